// SPDX-License-Identifier: Apache-2.0

package records

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Digest is a SHA-256 of what m says: two messages of one type have one digest exactly
// if they are equal. It may be kept, since it does not rest on how protobuf orders bytes,
// which may change from one release to the next (C9.41).
func Digest(m proto.Message) []byte {
	h := sha256.New()
	digest(h, m.ProtoReflect())
	return h.Sum(nil)
}

// digest writes the populated fields in the order of their numbers. Everything is framed,
// so that no two messages write the same. A hash takes everything.
func digest(h io.Writer, m protoreflect.Message) {
	type field struct {
		fd protoreflect.FieldDescriptor
		v  protoreflect.Value
	}
	var fields []field
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		fields = append(fields, field{fd, v})
		return true
	})
	slices.SortFunc(fields, func(a, b field) int { return cmp.Compare(a.fd.Number(), b.fd.Number()) })
	_, _ = fmt.Fprintf(h, "{%d", len(fields))
	for _, f := range fields {
		_, _ = fmt.Fprintf(h, ";%d=", f.fd.Number())
		switch {
		case f.fd.IsMap():
			digestMap(h, f.v.Map())
		case f.fd.IsList():
			_, _ = fmt.Fprintf(h, "[%d", f.v.List().Len())
			for i := range f.v.List().Len() {
				digestValue(h, f.v.List().Get(i))
			}
		default:
			digestValue(h, f.v)
		}
	}
	_, _ = fmt.Fprintf(h, ";%d:%s}", len(m.GetUnknown()), m.GetUnknown())
}

func digestMap(h io.Writer, m protoreflect.Map) {
	var keys []protoreflect.MapKey
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return cmp.Compare(a.String(), b.String()) })
	_, _ = fmt.Fprintf(h, "<%d", len(keys))
	for _, k := range keys {
		digestValue(h, k.Value())
		digestValue(h, m.Get(k))
	}
}

func digestValue(h io.Writer, v protoreflect.Value) {
	switch x := v.Interface().(type) {
	case protoreflect.Message:
		digest(h, x)
	case []byte:
		_, _ = fmt.Fprintf(h, "(%d:%s)", len(x), x)
	default: // numbers, booleans and text
		text := fmt.Sprint(x)
		_, _ = fmt.Fprintf(h, "(%d:%s)", len(text), text)
	}
}
