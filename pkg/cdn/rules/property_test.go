// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// texts are values on either side of what the rules allow.
func texts() []string {
	return []string{
		"", "a", "web", "api", "/", "/a", "a/", "/x/*", "*", "*.example.com", "www.example.com", "WWW.example.com", "d1.cdn.test",
		"origin.example.net", "localhost", "127.0.0.1", "assets.s3.eu-west-1.amazonaws.com", "assets", "a.b", "eu-west-1",
		"http://localhost:9000", "https://127.0.0.1", "http://[::1]", "http://localhost:99999", "http://a:b", "http://%", "origins/o", "origins/O", "origins/",
		"cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6", "cachePolicies/x", "index.html", "ä", "\x00",
	}
}

// scramble sets or clears one field somewhere below m, at random.
func scramble(t *rapid.T, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	fd := fields.Get(rapid.IntRange(0, fields.Len()-1).Draw(t, "field"))
	if rapid.IntRange(0, 9).Draw(t, "clear") == 0 {
		m.Clear(fd)
		return
	}
	switch {
	case fd.IsMap():
		m.Mutable(fd).Map().Set(protoreflect.ValueOfString(text(t)).MapKey(), protoreflect.ValueOfString(text(t)))
	case fd.IsList() && fd.Message() != nil:
		list := m.Mutable(fd).List()
		if n := list.Len(); n > 0 && rapid.Bool().Draw(t, "old element") {
			scramble(t, list.Get(rapid.IntRange(0, n-1).Draw(t, "element")).Message())
			return
		}
		scramble(t, list.AppendMutable().Message())
	case fd.IsList():
		m.Mutable(fd).List().Append(scalar(t, fd))
	case fd.Message() != nil:
		scramble(t, m.Mutable(fd).Message())
	default:
		m.Set(fd, scalar(t, fd))
	}
}

func text(t *rapid.T) string { return rapid.SampledFrom(texts()).Draw(t, "text") }

func scalar(t *rapid.T, fd protoreflect.FieldDescriptor) protoreflect.Value {
	number := rapid.SampledFrom([]int64{-1, 0, 1, 2, 3, 4, 5, 10, 80, 404, 416, 443, 500, 1024, 65535, 65536, 1 << 31, 1 << 62})
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text(t))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.EnumKind:
		n := rapid.IntRange(0, fd.Enum().Values().Len()).Draw(t, "enum") // one more than there are
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(number.Draw(t, "int32")))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(number.Draw(t, "int64"))
	}
	t.Fatalf("%s: no values for %v", fd.FullName(), fd.Kind())
	return protoreflect.Value{}
}

func endpoints() []*originv1.OriginEndpoint {
	return []*originv1.OriginEndpoint{
		{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{Host: "o.test", ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY}}},
		{Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{Host: "assets.s3.amazonaws.com"}}},
		{Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{EndpointUrl: "http://[::1]:9000", Bucket: "assets", PathStyle: true}}},
	}
}

// distribution is one that is valid, after a few random changes.
func distribution(t *rapid.T) *configv1.Distribution {
	behavior := func(pattern string) *configv1.CacheBehavior {
		return &configv1.CacheBehavior{
			PathPattern: pattern, TargetOriginId: "web", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
			Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"},
		}
	}
	d := &configv1.Distribution{CallerReference: "r", DomainName: "d1.cdn.test", Config: &configv1.DistributionConfig{
		Aliases: []string{"a.example.com"}, DefaultCacheBehavior: behavior(""), CacheBehaviors: []*configv1.CacheBehavior{behavior("/a*")},
		Origins: []*configv1.Origin{
			{Id: "web", Source: &configv1.Origin_Endpoint{Endpoint: rapid.SampledFrom(endpoints()).Draw(t, "endpoint")}},
			{Id: "api", Source: &configv1.Origin_OriginRef{OriginRef: "origins/o"}},
		},
		CustomErrorResponses: []*configv1.CustomErrorResponse{{ErrorCode: 404}},
	}}
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		scramble(t, d.Config.ProtoReflect())
	}
	return d
}

func origin(t *rapid.T) *originv1.Origin {
	o := &originv1.Origin{Endpoint: rapid.SampledFrom(endpoints()).Draw(t, "endpoint")}
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		scramble(t, o.ProtoReflect())
	}
	return o
}

// The edges compile what the rules let through (C6.60, design 3.2).
func TestValidDistributionsCompile(t *testing.T) {
	good, bad := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		d := distribution(t)
		rules.DefaultDistribution(d)
		if len(rules.Unsupported(d)) > 0 || len(rules.CheckDistribution(d, rules.Limits{BaseDomain: "cdn.test"})) > 0 {
			bad++
			return
		}
		good++
		rules.CheckJoined(d, nil, nil)
		rules.Warnings(d, nil)
		if vs := rules.UnknownEnums(d); vs != nil {
			t.Fatalf("C6.60: unknown numbers pass: %v", vs)
		}
		if _, err := snapshot.CompileDistribution("E1", 1, d); err != nil {
			t.Fatalf("a valid distribution does not compile: %v\n%v", err, d)
		}
	})
	if good == 0 || bad == 0 {
		t.Errorf("%d valid and %d other distributions; want some of each", good, bad)
	}
}

func TestValidOriginsCompile(t *testing.T) {
	good, bad := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		o := origin(t)
		rules.DefaultOrigin(o)
		if len(rules.Unsupported(o)) > 0 || len(rules.CheckOrigin(o, rules.Limits{})) > 0 {
			bad++
			return
		}
		good++
		rules.OriginWarnings(o)
		if vs := rules.UnknownEnums(o); vs != nil {
			t.Fatalf("C6.60: unknown numbers pass: %v", vs)
		}
		if _, err := snapshot.CompileOrigin("o", o); err != nil {
			t.Fatalf("a valid origin does not compile: %v\n%v", err, o)
		}
	})
	if good == 0 || bad == 0 {
		t.Errorf("%d valid and %d other origins; want some of each", good, bad)
	}
}

// paths draws a mask of legal paths, of messages at most three fields deep.
func paths(t *rapid.T, m protoreflect.MessageDescriptor) []string {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		path := ""
		for at, depth := m, 0; ; depth++ {
			fd := at.Fields().Get(rapid.IntRange(0, at.Fields().Len()-1).Draw(t, "field"))
			path += string(fd.Name())
			if fd.Message() == nil || fd.Cardinality() == protoreflect.Repeated || depth == 2 || rapid.Bool().Draw(t, "stop") {
				return path
			}
			path, at = path+".", fd.Message()
		}
	}), 0, 4).Draw(t, "paths")
}

func TestMergeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored, in := distribution(t), distribution(t)
		in.DomainName = "ignored"
		before, sent := proto.CloneOf(stored), proto.CloneOf(in)
		got, vs := rules.MergeDistribution(stored, in, &fieldmaskpb.FieldMask{Paths: []string{"*"}})
		want := proto.CloneOf(stored)
		want.Labels, want.Config = in.Labels, in.Config
		if diff := cmp.Diff(want, got, protocmp.Transform()); vs != nil || diff != "" {
			t.Fatalf("C6.16: * is no full replacement: %v (-want +got)\n%s", vs, diff)
		}
		mask := &fieldmaskpb.FieldMask{Paths: paths(t, in.ProtoReflect().Descriptor())}
		same, vs := rules.MergeDistribution(stored, stored, mask)
		if vs != nil || !proto.Equal(same, stored) {
			t.Fatalf("C6.16: a distribution merged into itself: %v\n%v", vs, same)
		}
		once, vs := rules.MergeDistribution(stored, in, mask)
		if vs != nil {
			t.Fatalf("C6.16: %v", vs)
		}
		for i, j := 0, len(mask.Paths)-1; i < j; i, j = i+1, j-1 {
			mask.Paths[i], mask.Paths[j] = mask.Paths[j], mask.Paths[i]
		}
		turned, _ := rules.MergeDistribution(stored, in, mask)
		twice, _ := rules.MergeDistribution(once, in, mask)
		if !proto.Equal(once, turned) || !proto.Equal(once, twice) {
			t.Fatalf("C6.16: the order of %v matters, or repeating it\n%v\n%v\n%v", mask, once, turned, twice)
		}
		if !proto.Equal(before, stored) || !proto.Equal(sent, in) {
			t.Fatal("C6.16: an argument was changed")
		}
	})
}

func TestMergeOriginProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored, in := origin(t), origin(t)
		mask := &fieldmaskpb.FieldMask{Paths: paths(t, in.ProtoReflect().Descriptor())}
		same, vs := rules.MergeOrigin(stored, stored, mask)
		if vs != nil || !proto.Equal(same, stored) {
			t.Fatalf("C6.16: an origin merged into itself: %v\n%v", vs, same)
		}
		got, vs := rules.MergeOrigin(stored, in, &fieldmaskpb.FieldMask{Paths: []string{"*"}})
		want := proto.CloneOf(in)
		want.Name, want.Uid, want.Etag, want.CreateTime, want.UpdateTime = stored.Name, stored.Uid, stored.Etag, stored.CreateTime, stored.UpdateTime
		if diff := cmp.Diff(want, got, protocmp.Transform()); vs != nil || diff != "" {
			t.Fatalf("C6.16: * is no full replacement: %v (-want +got)\n%s", vs, diff)
		}
	})
}

// Whatever arrives must not panic.
func FuzzCheck(f *testing.F) {
	f.Add([]byte{}, "config.enabled")
	f.Fuzz(func(t *testing.T, b []byte, path string) {
		mask := &fieldmaskpb.FieldMask{Paths: []string{path}}
		var d configv1.Distribution
		if proto.Unmarshal(b, &d) == nil {
			rules.DefaultDistribution(&d)
			rules.CheckDistribution(&d, rules.Limits{BaseDomain: "cdn.test"})
			rules.DistributionRefs(&d)
			rules.CheckJoined(&d, map[string]*configv1.CachePolicy{"": nil}, map[string]*originv1.Origin{"": nil})
			rules.Warnings(&d, map[string]*originv1.Origin{"o": {}})
			rules.MergeDistribution(&d, &d, mask)
		}
		var o originv1.Origin
		if proto.Unmarshal(b, &o) == nil {
			rules.DefaultOrigin(&o)
			rules.CheckOrigin(&o, rules.Limits{})
			rules.OriginWarnings(&o)
			rules.MergeOrigin(&o, &o, mask)
		}
	})
}
