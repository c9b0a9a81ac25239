// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// TestAcceptableAgrees sets fields at random and compares with the functions that
// name what is wrong.
func TestAcceptableAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom([]proto.Message{&configv1.Distribution{}, &configv1.CachePolicy{}, &originv1.Origin{}}).Draw(t, "kind")
		m = proto.Clone(m)
		for range rapid.IntRange(0, 6).Draw(t, "fields") {
			scatter(t, m.ProtoReflect(), 0)
		}
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		want := len(UnknownEnums(m)) == 0 && len(Unsupported(m)) == 0
		if got := Acceptable(m.ProtoReflect().Descriptor(), wire); got != want {
			t.Fatalf("Acceptable = %v, want %v for %v", got, want, m)
		}
	})
}

// scatter sets one field of m, or of a message below it.
func scatter(t *rapid.T, m protoreflect.Message, depth int) {
	fd := m.Descriptor().Fields().Get(rapid.IntRange(0, m.Descriptor().Fields().Len()-1).Draw(t, "field"))
	switch {
	case fd.IsMap() || depth > 4:
	case fd.IsList() && fd.Message() != nil:
		e := m.Mutable(fd).List().AppendMutable()
		scatter(t, e.Message(), depth+1)
	case fd.IsList() && fd.Kind() == protoreflect.EnumKind:
		m.Mutable(fd).List().Append(protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.IntRange(0, 6).Draw(t, "number"))))
	case fd.IsList() && fd.Kind() == protoreflect.StringKind:
		m.Mutable(fd).List().Append(protoreflect.ValueOfString(rapid.SampledFrom([]string{"x", "CloudFront-Viewer-Country", "CloudFront-Forwarded-Proto"}).Draw(t, "text")))
	case fd.IsList():
	case fd.Message() != nil:
		scatter(t, m.Mutable(fd).Message(), depth+1)
	case fd.Kind() == protoreflect.EnumKind:
		m.Set(fd, protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.IntRange(0, 6).Draw(t, "number"))))
	case fd.Kind() == protoreflect.StringKind:
		m.Set(fd, protoreflect.ValueOfString("x"))
	case fd.Kind() == protoreflect.BoolKind:
		m.Set(fd, protoreflect.ValueOfBool(true))
	}
}

// FuzzAcceptable holds the promise that true is always right, for bytes that no
// encoder of ours would write.
func FuzzAcceptable(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x40, 1})
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, m := range []proto.Message{&configv1.Distribution{}, &configv1.CachePolicy{}, &originv1.Origin{}} {
			ok := Acceptable(m.ProtoReflect().Descriptor(), wire)
			if proto.Unmarshal(wire, m) == nil && ok && len(UnknownEnums(m))+len(Unsupported(m)) > 0 {
				t.Errorf("%x is accepted as %T", wire, m)
			}
		}
	})
}
