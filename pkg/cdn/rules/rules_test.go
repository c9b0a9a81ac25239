// SPDX-License-Identifier: Apache-2.0

package rules

import (
	_ "embed"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

//go:embed testdata/built.txt
var builtFields string

// TestEveryRequestFieldIsBuiltOrRefused walks the requests of every service. A new
// field has to be put into testdata/built.txt by the change that builds it, or into
// the table of unbuilt ones.
func TestEveryRequestFieldIsBuiltOrRefused(t *testing.T) {
	built := map[string]bool{}
	for _, line := range strings.Fields(builtFields) {
		built[line] = true
	}
	refused, met := unbuilt(), map[string]bool{}
	var visit func(m protoreflect.MessageDescriptor)
	visited := map[protoreflect.FullName]bool{}
	visit = func(m protoreflect.MessageDescriptor) {
		if visited[m.FullName()] || !strings.HasPrefix(string(m.FullName()), "seafront.") {
			return
		}
		visited[m.FullName()] = true
		for i := range m.Fields().Len() {
			fd := m.Fields().Get(i)
			name := string(fd.FullName())
			met[name] = true
			values, no := refused[fd.FullName()]
			whole := no && len(values) == 0
			if built[name] == whole {
				t.Errorf("%s: built %v, refused %v; want exactly one", name, built[name], whole)
			}
			if fd.Message() != nil && !fd.IsMap() && !whole {
				visit(fd.Message())
			}
		}
	}
	for _, file := range []protoreflect.FileDescriptor{
		configv1.File_seafront_config_v1_distribution_service_proto,
		configv1.File_seafront_config_v1_cache_policy_service_proto,
		configv1.File_seafront_config_v1_origin_request_policy_service_proto,
		configv1.File_seafront_config_v1_response_headers_policy_service_proto,
		configv1.File_seafront_config_v1_certificate_service_proto,
		configv1.File_seafront_config_v1_continuous_deployment_policy_service_proto,
		configv1.File_seafront_config_v1_function_service_proto,
		configv1.File_seafront_config_v1_key_group_service_proto,
		configv1.File_seafront_config_v1_key_value_store_service_proto,
		configv1.File_seafront_config_v1_public_key_service_proto,
		configv1.File_seafront_config_v1_realtime_log_config_service_proto,
		configv1.File_seafront_config_v1_invalidation_service_proto,
		originv1.File_seafront_origin_v1_origin_service_proto,
		edgev1.File_seafront_edge_v1_edge_service_proto,
		originv1.File_seafront_origin_v1_origin_access_control_service_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				visit(methods.Get(j).Input())
			}
		}
	}
	for name := range refused {
		if !met[string(name)] {
			t.Errorf("%s is in the table and in no request", name)
		}
	}
	for name := range built {
		if !met[name] {
			t.Errorf("%s is in testdata/built.txt and in no request", name)
		}
	}
}

func TestUnsupported(t *testing.T) {
	d := &configv1.Distribution{Staging: true, Config: &configv1.DistributionConfig{
		GeoRestriction: &configv1.GeoRestriction{}, HttpVersion: configv1.HttpVersion_HTTP_VERSION_HTTP3,
		DefaultCacheBehavior: &configv1.CacheBehavior{AllowedMethods: configv1.MethodSet_METHOD_SET_GET_HEAD},
		CacheBehaviors:       []*configv1.CacheBehavior{{}, {Compress: true, AllowedMethods: configv1.MethodSet_METHOD_SET_ANY, TrustedKeyGroups: []string{"keyGroups/a"}}},
	}}
	var got []string
	for _, v := range Unsupported(d) {
		got = append(got, v.Field)
	}
	want := []string{
		"config.cache_behaviors[1].compress",
		"config.cache_behaviors[1].trusted_key_groups[0]", "config.geo_restriction", "config.http_version",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("C2.185: (-want +got)\n%s", diff)
	}
}

// Headers that only edges can make, and cannot make yet (D10.2), are refused where they
// would be keyed or sent.
func TestUncomputedHeaders(t *testing.T) {
	names := []string{"Accept", "CloudFront-Viewer-Country", "CloudFront-Forwarded-Proto", "cloudfront-is-mobile-viewer"}
	sent := func(mode configv1.OriginRequestHeaders_Mode) proto.Message {
		return &configv1.CreateOriginRequestPolicyRequest{OriginRequestPolicy: &configv1.OriginRequestPolicy{Headers: &configv1.OriginRequestHeaders{Mode: mode, Names: names}}}
	}
	for _, tt := range []struct {
		rule string
		m    proto.Message
		want string
	}{
		{"D10.2: keyed", &configv1.CachePolicy{Headers: &configv1.HeaderSelection{Names: names}}, "headers.names[1] headers.names[3]"},
		{"D10.2: sent", sent(configv1.OriginRequestHeaders_MODE_LISTED), "origin_request_policy.headers.names[1] origin_request_policy.headers.names[3]"},
		{"D11.22: held back", sent(configv1.OriginRequestHeaders_MODE_ALL_EXCEPT), ""},
	} {
		var got []string
		for _, v := range Unsupported(tt.m) {
			got = append(got, v.Field)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.rule, got, tt.want)
		}
	}
}

func TestUnknownEnums(t *testing.T) {
	d := &configv1.Distribution{Config: &configv1.DistributionConfig{CacheBehaviors: []*configv1.CacheBehavior{{ViewerProtocolPolicy: 77}}}}
	got := UnknownEnums(d)
	if len(got) != 1 || got[0].Field != "config.cache_behaviors[0].viewer_protocol_policy" || !strings.Contains(got[0].Description, "77") {
		t.Errorf("C6.60: %+v", got)
	}
}

func TestDefaults(t *testing.T) {
	d := &configv1.Distribution{Config: &configv1.DistributionConfig{
		Origins: []*configv1.Origin{
			{Id: "a", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{}}}}},
			{Id: "b", Source: &configv1.Origin_OriginRef{OriginRef: "origins/b"}},
		},
		DefaultCacheBehavior: &configv1.CacheBehavior{},
		CustomErrorResponses: []*configv1.CustomErrorResponse{{ErrorCode: 404}, {ErrorCode: 500, ErrorCachingMinTtl: durationpb.New(0)}},
	}}
	DefaultDistribution(d)
	once := proto.Clone(d)
	DefaultDistribution(d)
	if !proto.Equal(once, d) {
		t.Error("defaults are not idempotent")
	}
	c := d.GetConfig()
	a, h := c.GetOrigins()[0], c.GetOrigins()[0].GetEndpoint().GetHttp()
	if a.GetConnectionAttempts() != 3 || a.GetReadTimeout().AsDuration() != 30*time.Second || h.GetHttpPort() != 80 || h.GetHttpsPort() != 443 || len(h.GetTlsVersions()) != 1 {
		t.Errorf("C2.50, C2.57, C2.61: %v", a)
	}
	if b := c.GetOrigins()[1]; b.ConnectionAttempts != nil || b.ReadTimeout != nil {
		t.Errorf("C5.33: a referenced origin was given defaults: %v", b)
	}
	if e := c.GetCustomErrorResponses(); e[0].GetErrorCachingMinTtl().AsDuration() != 10*time.Second || e[1].GetErrorCachingMinTtl().AsDuration() != 0 {
		t.Errorf("C2.134: %v", e)
	}
}

func FuzzDistribution(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, b []byte) {
		var d configv1.Distribution
		if proto.Unmarshal(b, &d) == nil { // whatever is stored must not panic
			Unsupported(&d)
			UnknownEnums(&d)
			DefaultDistribution(&d)
		}
	})
}
