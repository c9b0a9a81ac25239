// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

const (
	base      = "cdn.test"
	optimized = "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"
	disabled  = "cachePolicies/4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
)

func inline(id, host string) *configv1.Origin {
	return &configv1.Origin{Id: id, Source: &configv1.Origin_Endpoint{Endpoint: server(host)}}
}

func server(host string) *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
		Host: host, ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
	}}}
}

func store(s *originv1.S3Endpoint) *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_S3{S3: s}}
}

func referring(id, name string) *configv1.Origin {
	return &configv1.Origin{Id: id, Source: &configv1.Origin_OriginRef{OriginRef: name}}
}

func behavior(pattern, target string) *configv1.CacheBehavior {
	return &configv1.CacheBehavior{
		PathPattern: pattern, TargetOriginId: target,
		ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
		Caching:              &configv1.CacheBehavior_CachePolicy{CachePolicy: optimized},
	}
}

// valid is a distribution without violations, as a caller sends it.
func valid() *configv1.Distribution {
	return &configv1.Distribution{CallerReference: "first", Config: &configv1.DistributionConfig{
		Enabled: true, Origins: []*configv1.Origin{inline("web", "origin.example.net")},
		DefaultCacheBehavior: behavior("", "web"),
	}}
}

// found returns "field REASON" of each violation.
func found(vs []Violation) []string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Field+" "+v.Reason)
	}
	return out
}

// check returns the violations of valid after a change, in the way services do.
func check(change func(d *configv1.Distribution)) []string {
	d := valid()
	change(d)
	DefaultDistribution(d)
	return found(CheckDistribution(d, Limits{BaseDomain: base}))
}

func repeat[T any](n int, of func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = of(i)
	}
	return out
}

func TestCheckDistribution(t *testing.T) {
	none := []string(nil)
	const (
		getHead   = configv1.MethodSet_METHOD_SET_GET_HEAD
		options   = configv1.MethodSet_METHOD_SET_GET_HEAD_OPTIONS
		every     = configv1.MethodSet_METHOD_SET_ALL
		anyMethod = configv1.MethodSet_METHOD_SET_ANY
	)
	for _, tt := range []struct {
		name   string
		change func(d *configv1.Distribution)
		want   []string
	}{
		{"C2.1: nothing wrong", func(*configv1.Distribution) {}, none},
		{"C2.2: everything at once, in the order of the fields", func(d *configv1.Distribution) {
			d.Labels = map[string]string{"b": "#", "": "x", "a": "*"}
			d.CallerReference = ""
			c := d.Config
			c.Comment, c.Aliases, c.DefaultRootObject = strings.Repeat("ä", 129), []string{"WWW.example.com", "*"}, "/index.html"
			c.Origins = append(c.Origins, &configv1.Origin{OriginPath: "x", ConnectionAttempts: proto.Int32(0)})
			c.DefaultCacheBehavior = &configv1.CacheBehavior{PathPattern: "*"}
			c.CacheBehaviors = []*configv1.CacheBehavior{behavior("/a b", "nowhere")}
			c.CustomErrorResponses = []*configv1.CustomErrorResponse{{ErrorCode: 418, ErrorCachingMinTtl: durationpb.New(-1)}}
			c.PriceClass, c.HttpVersion = 99, 98
		}, []string{
			`labels[""] INVALID_TAGGING`, `labels["a"] INVALID_TAGGING`, `labels["b"] INVALID_TAGGING`,
			"caller_reference INVALID_ARGUMENT", "config.comment INVALID_ARGUMENT",
			"config.aliases[0] INVALID_ARGUMENT", "config.aliases[1] INVALID_ARGUMENT",
			"config.default_root_object INVALID_DEFAULT_ROOT_OBJECT",
			"config.origins[1].id INVALID_ARGUMENT", "config.origins[1] INVALID_ARGUMENT",
			"config.origins[1].origin_path INVALID_RELATIVE_PATH", "config.origins[1].connection_attempts INVALID_ARGUMENT",
			"config.default_cache_behavior.path_pattern INVALID_ARGUMENT",
			"config.default_cache_behavior.target_origin_id INVALID_ARGUMENT",
			"config.default_cache_behavior.viewer_protocol_policy INVALID_ARGUMENT",
			"config.default_cache_behavior.cache_policy INVALID_ARGUMENT",
			"config.cache_behaviors[0].path_pattern INVALID_ARGUMENT",
			"config.cache_behaviors[0].target_origin_id NO_SUCH_ORIGIN",
			"config.custom_error_responses[0].error_code INVALID_ERROR_CODE",
			"config.custom_error_responses[0].error_caching_min_ttl INVALID_ARGUMENT",
			"config.price_class UNKNOWN_ENUM_VALUE", "config.http_version UNKNOWN_ENUM_VALUE",
		}},
		{"C2.1: no config", func(d *configv1.Distribution) { d.Config = nil }, []string{"config INVALID_ARGUMENT"}},
		{"C2.14, C2.16: no origin, no behavior", func(d *configv1.Distribution) { d.Config = &configv1.DistributionConfig{} }, []string{
			"config.origins INVALID_ARGUMENT", "config.default_cache_behavior INVALID_ARGUMENT",
		}},
		{"C2.10: too large", func(d *configv1.Distribution) {
			d.Config.DefaultCacheBehavior.TargetOriginId = strings.Repeat("x", 256<<10)
		}, []string{"config ENTITY_SIZE_LIMIT_EXCEEDED", "config.default_cache_behavior.target_origin_id NO_SUCH_ORIGIN"}},
		{"C2.19: comment of 128 characters", func(d *configv1.Distribution) { d.Config.Comment = strings.Repeat("ä", 128) }, none},
		{"C2.12: 100 aliases", func(d *configv1.Distribution) {
			d.Config.Aliases = repeat(100, func(i int) string { return fmt.Sprintf("a%d.example.com", i) })
		}, none},
		{"C4.6: 101 aliases, the last not looked at", func(d *configv1.Distribution) {
			d.Config.Aliases = append(repeat(100, func(i int) string { return fmt.Sprintf("a%d.example.com", i) }), "!")
		}, []string{"config.aliases TOO_MANY_DISTRIBUTION_CNAMES"}},
		{"C2.344: wildcard and a name below it", func(d *configv1.Distribution) {
			d.Config.Aliases = []string{"*.example.com", "www.example.com"}
		}, none},
		{"C2.344: an alias twice", func(d *configv1.Distribution) {
			d.Config.Aliases = []string{"www.example.com", "a.example.com", "www.example.com"}
		}, []string{"config.aliases[2] INVALID_ARGUMENT"}},
		{"C2.44: alias in the base domain", func(d *configv1.Distribution) { d.Config.Aliases = []string{"foo." + base} }, []string{"config.aliases[0] INVALID_ARGUMENT"}},
		{"C4.7: 100 origins", func(d *configv1.Distribution) {
			d.Config.Origins = append(d.Config.Origins, repeat(99, func(i int) *configv1.Origin { return referring(fmt.Sprint(i), "origins/o") })...)
		}, none},
		{"C4.7: 101 origins, the last is a target", func(d *configv1.Distribution) {
			d.Config.Origins = append(repeat(100, func(i int) *configv1.Origin { return referring(fmt.Sprint(i), "origins/o") }), d.Config.Origins...)
		}, []string{"config.origins TOO_MANY_ORIGINS"}},
		{"C2.45: an id twice", func(d *configv1.Distribution) { d.Config.Origins = append(d.Config.Origins, inline("web", "o.test")) }, []string{"config.origins[1].id INVALID_ARGUMENT"}},
		{"C2.45: an id of 129 characters", func(d *configv1.Distribution) {
			d.Config.Origins = append(d.Config.Origins, inline(strings.Repeat("ö", 129), "o.test"))
		}, []string{"config.origins[1].id INVALID_ARGUMENT"}},
		{"C4.10: 75 behaviors", func(d *configv1.Distribution) {
			d.Config.CacheBehaviors = repeat(75, func(i int) *configv1.CacheBehavior { return behavior(fmt.Sprint(i), "web") })
		}, none},
		{"C4.10: 76 behaviors", func(d *configv1.Distribution) {
			d.Config.CacheBehaviors = repeat(76, func(i int) *configv1.CacheBehavior { return behavior(fmt.Sprint(i), "web") })
		}, []string{"config.cache_behaviors TOO_MANY_CACHE_BEHAVIORS"}},
		{"C2.353: the slash makes no other pattern", func(d *configv1.Distribution) {
			d.Config.CacheBehaviors = []*configv1.CacheBehavior{behavior("/x", "web"), behavior("y", "web"), behavior("x", "web")}
		}, []string{"config.cache_behaviors[2].path_pattern INVALID_ARGUMENT"}},
		{"C2.353: accepted patterns", func(d *configv1.Distribution) {
			for _, p := range []string{"/images/*.jpg", "*", "/a?c", "/*/x/*", "/~user/@me:1+2&3", "*.doc*"} {
				d.Config.CacheBehaviors = append(d.Config.CacheBehaviors, behavior(p, "web"))
			}
		}, none},
		{"C2.353: refused patterns", func(d *configv1.Distribution) {
			for _, p := range []string{"", "/a b", "/ä", "/a%20b", "/a#b", strings.Repeat("a", 256)} {
				d.Config.CacheBehaviors = append(d.Config.CacheBehaviors, behavior(p, "web"))
			}
		}, repeat(6, func(i int) string { return fmt.Sprintf("config.cache_behaviors[%d].path_pattern INVALID_ARGUMENT", i) })},
		{"C2.357: unknown target", func(d *configv1.Distribution) { d.Config.DefaultCacheBehavior.TargetOriginId = "api" }, []string{"config.default_cache_behavior.target_origin_id NO_SUCH_ORIGIN"}},
		{"C2.357: no cache settings", func(d *configv1.Distribution) { d.Config.DefaultCacheBehavior.Caching = nil }, []string{"config.default_cache_behavior.cache_policy INVALID_ARGUMENT"}},
		{"C2.75: no name of a cache policy", func(d *configv1.Distribution) {
			d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/CachingOptimized"}
		}, []string{"config.default_cache_behavior.cache_policy INVALID_ARGUMENT"}},
		{"C2.76: a name of another form", func(d *configv1.Distribution) { d.Config.DefaultCacheBehavior.OriginRequestPolicy = "AllViewer" },
			[]string{"config.default_cache_behavior.origin_request_policy INVALID_ARGUMENT"}},
		{"C2.70: unknown enum numbers", func(d *configv1.Distribution) {
			b := d.Config.DefaultCacheBehavior
			b.ViewerProtocolPolicy, b.AllowedMethods, b.CachedMethods = 77, 78, 79
		}, []string{
			"config.default_cache_behavior.viewer_protocol_policy UNKNOWN_ENUM_VALUE",
			"config.default_cache_behavior.allowed_methods UNKNOWN_ENUM_VALUE",
			"config.default_cache_behavior.cached_methods UNKNOWN_ENUM_VALUE",
		}},
		{"C2.355, C2.72: methods that answers can be stored of", func(d *configv1.Distribution) {
			for i, m := range [][2]configv1.MethodSet{
				{getHead, getHead}, {options, getHead}, {options, options}, {every, options}, {anyMethod, options}, {0, 0}, {every, 0},
			} {
				b := behavior(fmt.Sprint(i), "web")
				b.AllowedMethods, b.CachedMethods = m[0], m[1]
				d.Config.CacheBehaviors = append(d.Config.CacheBehaviors, b)
			}
		}, none},
		{"C2.355, C2.71, C2.72: methods that they cannot", func(d *configv1.Distribution) {
			for i, m := range [][2]configv1.MethodSet{{getHead, options}, {0, options}, {every, every}, {anyMethod, anyMethod}} {
				b := behavior(fmt.Sprint(i), "web")
				b.AllowedMethods, b.CachedMethods = m[0], m[1]
				d.Config.CacheBehaviors = append(d.Config.CacheBehaviors, b)
			}
		}, repeat(4, func(i int) string {
			return fmt.Sprintf("config.cache_behaviors[%d].cached_methods INVALID_ARGUMENT", i)
		})},
		{"C2.360: every status", func(d *configv1.Distribution) {
			for _, code := range []int32{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504} {
				d.Config.CustomErrorResponses = append(d.Config.CustomErrorResponses, &configv1.CustomErrorResponse{ErrorCode: code})
			}
		}, none},
		{"C2.360: other statuses, and one twice", func(d *configv1.Distribution) {
			for _, code := range []int32{404, 418, 200, 0, 404} {
				d.Config.CustomErrorResponses = append(d.Config.CustomErrorResponses, &configv1.CustomErrorResponse{ErrorCode: code})
			}
		}, []string{
			"config.custom_error_responses[1].error_code INVALID_ERROR_CODE", "config.custom_error_responses[2].error_code INVALID_ERROR_CODE",
			"config.custom_error_responses[3].error_code INVALID_ERROR_CODE", "config.custom_error_responses[4].error_code INVALID_ARGUMENT",
		}},
		{"C2.134: lifetimes of errors", func(d *configv1.Distribution) {
			for i, ttl := range []*durationpb.Duration{nil, {}, {Seconds: 3153600000}, {Seconds: 3153600001}, {Seconds: -1}, {Seconds: 1, Nanos: 5e8}, {Seconds: 1 << 62}} {
				codes := []int32{400, 403, 404, 405, 414, 416, 500}
				d.Config.CustomErrorResponses = append(d.Config.CustomErrorResponses, &configv1.CustomErrorResponse{ErrorCode: codes[i], ErrorCachingMinTtl: ttl})
			}
		}, repeat(4, func(i int) string {
			return fmt.Sprintf("config.custom_error_responses[%d].error_caching_min_ttl INVALID_ARGUMENT", i+3)
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, check(tt.change)); diff != "" {
				t.Errorf("violations (-want +got)\n%s", diff)
			}
		})
	}
}

func TestDefaultRootObject(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, "index.html": true, "a/b/index.html": true, `_-.*$/~"'&`: true, strings.Repeat("a", 255): true,
		"/index.html": false, "index html": false, "ïndex.html": false, strings.Repeat("a", 256): false, "a?b": false, "a\x00": false,
	} {
		var want []string
		if !ok {
			want = []string{"config.default_root_object INVALID_DEFAULT_ROOT_OBJECT"}
		}
		got := check(func(d *configv1.Distribution) { d.Config.DefaultRootObject = value })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("C2.348: %q (-want +got)\n%s", value, diff)
		}
	}
}

func TestCacheTagHeader(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, "Cache-Tag": true, "x_!#$%&'*+.^|~`1": true, strings.Repeat("a", 256): true,
		strings.Repeat("a", 257): false, "Cache Tag": false, "Cache-Tag:": false, "Täg": false, "a,b": false, "a\n": false,
	} {
		var want []string
		if !ok {
			want = []string{"config.cache_tag_header INVALID_ARGUMENT"}
		}
		got := check(func(d *configv1.Distribution) { d.Config.CacheTagHeader = value })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("C2.35: %q (-want +got)\n%s", value, diff)
		}
	}
}

func TestLoops(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    *originv1.OriginEndpoint
		want string // field below the endpoint, empty for a good one
	}{
		{"C5.12: in the base domain", server("D1." + base), "http.host"},
		{"C5.12: the base domain itself", server(base), "http.host"},
		{"C5.12: an own alias, in other case", server("WWW.example.com"), "http.host"},
		{"C5.12: covered by an own wildcard", server("origin.wild.example.com"), ""},
		{"C5.12: a store in the base domain", store(&originv1.S3Endpoint{EndpointUrl: "http://s3." + base, Bucket: "abc", PathStyle: true}), "s3.endpoint_url"},
		{"C5.12: a bucket's name is an own alias", store(&originv1.S3Endpoint{EndpointUrl: "http://example.com", Bucket: "www"}), "s3.endpoint_url"},
		{"C5.12: a name that only ends alike", server("not" + base), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			if tt.want != "" {
				want = []string{"config.origins[0].endpoint." + tt.want + " INVALID_ARGUMENT"}
			}
			got := check(func(d *configv1.Distribution) {
				d.Config.Aliases = []string{"www.example.com", "*.wild.example.com"}
				d.Config.Origins[0].Source = &configv1.Origin_Endpoint{Endpoint: tt.o}
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("violations (-want +got)\n%s", diff)
			}
		})
	}
	d := valid()
	d.Config.Origins[0] = inline("web", "d1."+base)
	if got := CheckDistribution(d, Limits{}); got != nil {
		t.Errorf("C5.12: no base domain forbids nothing: %v", got)
	}
}

func TestViolationsAreBounded(t *testing.T) {
	got := check(func(d *configv1.Distribution) {
		d.Config.Origins = repeat(100, func(int) *configv1.Origin {
			o := inline("", "!")
			o.OriginPath, o.ConnectTimeout, o.ReadTimeout = "x", durationpb.New(time.Hour), durationpb.New(time.Hour)
			o.KeepaliveTimeout, o.ResponseCompletionTimeout = durationpb.New(time.Hour), durationpb.New(0)
			o.GetEndpoint().GetHttp().HttpPort, o.GetEndpoint().GetHttp().HttpsPort = proto.Int32(0), proto.Int32(0)
			o.GetEndpoint().GetHttp().ProtocolPolicy = 0
			return o
		})
	})
	if len(got) != maxViolations {
		t.Errorf("%d violations, want %d", len(got), maxViolations)
	}
}

// TestLimits: C4.1: a limit that was lowered forbids growth and nothing else.
func TestLimits(t *testing.T) {
	old := valid()
	old.Config.Aliases = []string{"a.example.com", "b.example.com"}
	low := Limits{BaseDomain: base, Aliases: 1, Origins: 1, Behaviors: 1}
	DefaultDistribution(old)
	if got := found(CheckDistribution(old, low)); !cmp.Equal(got, []string{"config.aliases TOO_MANY_DISTRIBUTION_CNAMES"}) {
		t.Errorf("C4.6: %q", got)
	}
	if got := found(CheckDistribution(old, low.Allowing(old))); len(got) > 0 {
		t.Errorf("C4.1: what was there is refused: %q", got)
	}
	more := proto.CloneOf(old)
	more.Config.Aliases = append(more.Config.Aliases, "c.example.com")
	more.Config.Origins = append(more.Config.Origins, inline("second", "second.example.net"))
	more.Config.CacheBehaviors = []*configv1.CacheBehavior{behavior("/a", "web"), behavior("/b", "web")}
	DefaultDistribution(more)
	want := []string{"config.aliases TOO_MANY_DISTRIBUTION_CNAMES", "config.origins TOO_MANY_ORIGINS", "config.cache_behaviors TOO_MANY_CACHE_BEHAVIORS"}
	if got := found(CheckDistribution(more, low.Allowing(old))); !cmp.Equal(got, want) {
		t.Errorf("C4.1: growth: %q, want %q", got, want)
	}
	if got := (Limits{}).Allowing(old); got.Aliases != MaxAliases || got.Origins != MaxOrigins || got.Behaviors != MaxBehaviors {
		t.Errorf("C4.6, C4.7, C4.10: defaults %+v", got)
	}
}

// TestStaging: C2.12: a staging distribution has no aliases.
func TestStaging(t *testing.T) {
	for _, aliases := range [][]string{nil, {"a.example.com"}} {
		got := check(func(d *configv1.Distribution) { d.Staging, d.Config.Aliases = true, aliases })
		if want := len(aliases) > 0; (len(got) == 1 && got[0] == "config.aliases INVALID_ARGUMENT") != want || len(got) > 1 {
			t.Errorf("C2.12: %v: %q", aliases, got)
		}
	}
}
