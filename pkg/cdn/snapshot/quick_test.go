// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// usual is a distribution as config stores one, with all that has an effect but secrets.
func usual() *configv1.Distribution {
	d := distribution("1", "origin.test", optimized, "www.x.test", "*.x.test")
	d.Uid, d.CallerReference, d.CreateTime, d.UpdateTime = "1", "ref", timestamppb.Now(), timestamppb.Now()
	d.Labels = map[string]string{"team": "web"}
	c := d.Config
	c.Comment, c.DefaultRootObject, c.CacheTagHeader = "ours", "index.html", "Cache-Tag"
	c.ViewerCertificate = &configv1.ViewerCertificate{Certificate: "certificates/c", MinimumProtocolVersion: commonv1.TlsPolicy_TLS_POLICY_TLSV1_3_2025}
	c.CustomErrorResponses = []*configv1.CustomErrorResponse{{ErrorCode: 404, ErrorCachingMinTtl: durationpb.New(7)}, {ErrorCode: 500}}
	c.Origins[0].OriginPath = "/site"
	c.Origins[0].ResponseCompletionTimeout = durationpb.New(9)
	c.Origins = append(c.Origins,
		&configv1.Origin{Id: "ref", Source: &configv1.Origin_OriginRef{OriginRef: "origins/o"}, ReadTimeout: durationpb.New(8)},
		&configv1.Origin{Id: "bucket", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_S3{
			S3: &originv1.S3Endpoint{EndpointUrl: "http://store.test:9000", Bucket: "b", PathStyle: true},
		}}}})
	for _, pattern := range []string{"/images/*", "*.css"} {
		more := proto.CloneOf(c.GetDefaultCacheBehavior())
		more.PathPattern, more.OriginRequestPolicy, more.AllowedMethods = pattern, "originRequestPolicies/p", configv1.MethodSet_METHOD_SET_ANY
		c.CacheBehaviors = append(c.CacheBehaviors, more)
	}
	rules.DefaultDistribution(d)
	return d
}

// unread takes from d what quickDistribution checks and leaves out.
func unread(d *configv1.Distribution) {
	d.Name, d.Uid, d.CallerReference, d.CreateTime, d.UpdateTime, d.Labels = "", "", "", nil, nil, nil
	if d.GetConfig() != nil {
		d.Config.Comment = ""
	}
}

// agree says what is wrong with quickDistribution, empty for nothing, and whether it has
// read the message.
func agree(wire []byte) (wrong string, read bool) {
	got, want := &configv1.Distribution{}, &configv1.Distribution{}
	if !quickDistribution(string(wire), got) {
		return "", false
	}
	if err := decode(wire, want); err != nil {
		return "decode: " + err.Error(), true
	}
	unread(want)
	if !proto.Equal(got, want) {
		return "got " + got.String() + ", want " + want.String(), true
	}
	return "", true
}

func TestQuickReadsUsualDistribution(t *testing.T) {
	wire, err := proto.Marshal(usual())
	if err != nil {
		t.Fatal(err)
	}
	if wrong, read := agree(wire); wrong != "" || !read {
		t.Errorf("read the quick way: %v; %s", read, wrong)
	}
}

// TestQuickAgrees changes fields at random.
func TestQuickAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := usual()
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			scatter(t, d.ProtoReflect())
		}
		wire, err := proto.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if wrong, _ := agree(wire); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// scatter sets a field of m, or of a message below it.
func scatter(t *rapid.T, m protoreflect.Message) {
	all := m.Descriptor().Fields()
	fd := all.Get(rapid.IntRange(0, all.Len()-1).Draw(t, "field"))
	one := func() protoreflect.Value {
		switch fd.Kind() {
		case protoreflect.EnumKind:
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.IntRange(-1, 11).Draw(t, "enum")))
		case protoreflect.BoolKind:
			return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
		case protoreflect.Int32Kind:
			return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
		case protoreflect.Int64Kind:
			return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
		default:
			return protoreflect.ValueOfString(rapid.String().Draw(t, "string"))
		}
	}
	switch {
	case fd.IsMap():
	case fd.IsList() && fd.Message() != nil:
		list := m.Mutable(fd).List()
		if list.Len() == 0 || rapid.Bool().Draw(t, "append") {
			list.AppendMutable()
		}
		scatter(t, list.Get(rapid.IntRange(0, list.Len()-1).Draw(t, "element")).Message())
	case fd.IsList():
		m.Mutable(fd).List().Append(one())
	case fd.Message() != nil:
		scatter(t, m.Mutable(fd).Message())
	default:
		m.Set(fd, one())
	}
}

// FuzzQuick holds the promise for bytes that no encoder of ours would write.
func FuzzQuick(f *testing.F) {
	wire, err := proto.Marshal(usual())
	if err != nil {
		f.Fatal(err)
	}
	again := func(number protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(wire[:len(wire):len(wire)], number, protowire.BytesType), v)
	}
	for _, seed := range [][]byte{
		nil, wire, wire[:len(wire)-1], again(10, nil), again(9, []byte{0xff}), again(6, []byte{0x0a, 1, 'k'}), again(99, nil),
		{8 << 3, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}, {8<<3 | 1}, {9<<3 | 2, 200},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		if wrong, _ := agree(wire); wrong != "" {
			t.Errorf("%x: %s", wire, wrong)
		}
	})
}
