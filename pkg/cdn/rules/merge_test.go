// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// stored is a distribution as it lies in the store.
func stored() *configv1.Distribution {
	d := valid()
	d.Name, d.Uid, d.DomainName, d.CreateTime = "distributions/E1", "u", "d1."+base, &timestamppb.Timestamp{Seconds: 1}
	d.Labels = map[string]string{"env": "prod"}
	d.Config.Comment, d.Config.Aliases = "old", []string{"www.example.com"}
	return d
}

func TestMergeDistribution(t *testing.T) {
	type dist = configv1.Distribution
	cfg := func(c *configv1.DistributionConfig) *dist { return &dist{Config: c} }
	for _, tt := range []struct {
		name  string
		in    *dist
		paths []string
		want  func(d *dist) // what becomes of stored
	}{
		{"design §5: no mask, nothing populated", &dist{}, nil, func(*dist) {}},
		{"design §5: no mask, config replaced whole", cfg(&configv1.DistributionConfig{Comment: "new"}), nil,
			func(d *dist) { d.Config = &configv1.DistributionConfig{Comment: "new"} }},
		{"design §5: no mask, labels replaced whole", &dist{Labels: map[string]string{"a": "b"}}, nil,
			func(d *dist) { d.Labels = map[string]string{"a": "b"} }},
		{"C6.16: star clears what is absent", cfg(&configv1.DistributionConfig{Comment: "new"}), []string{"*"},
			func(d *dist) { d.Labels, d.Config = nil, &configv1.DistributionConfig{Comment: "new"} }},
		{"C6.16: output-only fields are ignored", &dist{Name: "x", Uid: "x", DomainName: "x", Reconciling: true, UpdateTime: &timestamppb.Timestamp{Seconds: 9}},
			[]string{"name", "uid", "etag", "domain_name", "reconciling", "update_time", "deployment.state", "conditions", "create_time"}, func(*dist) {}},
		{"design §5: disabling", cfg(&configv1.DistributionConfig{Comment: "not masked"}), []string{"config.enabled"}, func(d *dist) { d.Config.Enabled = false }},
		{"C6.16: a field deep down", cfg(&configv1.DistributionConfig{DefaultCacheBehavior: behavior("", "x")}),
			[]string{"config.default_cache_behavior.target_origin_id"}, func(d *dist) { d.Config.DefaultCacheBehavior.TargetOriginId = "x" }},
		{"C6.16: one member of a oneof", cfg(&configv1.DistributionConfig{DefaultCacheBehavior: &configv1.CacheBehavior{Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: disabled}}}),
			[]string{"config.default_cache_behavior.cache_policy"}, func(d *dist) {
				d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: disabled}
			}},
		{"C6.16: the other member of a oneof", cfg(&configv1.DistributionConfig{DefaultCacheBehavior: &configv1.CacheBehavior{Caching: &configv1.CacheBehavior_Legacy{Legacy: &configv1.LegacyCacheSettings{QueryString: true}}}}),
			[]string{"config.default_cache_behavior.legacy.query_string"}, func(d *dist) {
				d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_Legacy{Legacy: &configv1.LegacyCacheSettings{QueryString: true}}
			}},
		{"C6.16: a oneof member is cleared", cfg(&configv1.DistributionConfig{}), []string{"config.default_cache_behavior.cache_policy"}, func(d *dist) { d.Config.DefaultCacheBehavior.Caching = nil }},
		{"C6.16: clearing a member that is not set leaves the other", cfg(&configv1.DistributionConfig{}), []string{"config.default_cache_behavior.legacy", "config.default_cache_behavior.legacy.min_ttl"}, func(*dist) {}},
		{"C6.16: unset values clear", &dist{}, []string{"config.comment", "config.aliases", "labels"}, func(d *dist) { d.Config.Comment, d.Config.Aliases, d.Labels = "", nil, nil }},
		{"C6.16: a repeated field is replaced whole", cfg(&configv1.DistributionConfig{Aliases: []string{"a.example.com"}}), []string{"config.aliases"}, func(d *dist) { d.Config.Aliases = []string{"a.example.com"} }},
		{"C6.16: an absent message on the way is created", cfg(&configv1.DistributionConfig{ViewerCertificate: &configv1.ViewerCertificate{Certificate: "certificates/a"}}),
			[]string{"config.viewer_certificate.certificate"}, func(d *dist) { d.Config.ViewerCertificate = &configv1.ViewerCertificate{Certificate: "certificates/a"} }},
		{"C6.16: a message absent in both is not", cfg(&configv1.DistributionConfig{}), []string{"config.viewer_certificate.certificate"}, func(*dist) {}},
		{"C6.16: paths within paths, in any order", cfg(&configv1.DistributionConfig{Comment: "new"}), []string{"config.aliases", "config", "config.comment"},
			func(d *dist) { d.Config = &configv1.DistributionConfig{Comment: "new"} }},
		{"C2.5: the same caller reference", &dist{CallerReference: "first"}, []string{"caller_reference", "staging", "config.enabled"}, func(d *dist) { d.Config.Enabled = false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, in := stored(), proto.CloneOf(tt.in)
			got, vs := MergeDistribution(before, in, &fieldmaskpb.FieldMask{Paths: tt.paths})
			want := stored()
			if diff := cmp.Diff(want, before, protocmp.Transform()); diff != "" {
				t.Errorf("stored was changed (-want +got)\n%s", diff)
			}
			tt.want(want)
			if diff := cmp.Diff(want, got, protocmp.Transform()); vs != nil || diff != "" {
				t.Errorf("%v, result (-want +got)\n%s", vs, diff)
			}
		})
	}
}

func TestMergeDistributionRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    *configv1.Distribution
		paths []string
		want  []string
	}{
		{"C6.16: unknown paths", &configv1.Distribution{}, []string{"config.nothing", "nothing", "", "config.", "config.enabled.x", "config.enabled", "Config"},
			[]string{"update_mask INVALID_ARGUMENT", "update_mask INVALID_ARGUMENT", "update_mask INVALID_ARGUMENT", "update_mask INVALID_ARGUMENT", "update_mask INVALID_ARGUMENT", "update_mask INVALID_ARGUMENT"}},
		{"C9.40: into a repeated field or a map", &configv1.Distribution{}, []string{"config.origins.id", "labels.env", "config.origins[0]", "config.aliases.0"},
			[]string{"update_mask INVALID_ARGUMENT", "update_mask INVALID_ARGUMENT", "update_mask INVALID_ARGUMENT", "update_mask INVALID_ARGUMENT"}},
		{"C6.16: beside a star", &configv1.Distribution{}, []string{"*", "x"}, []string{"update_mask INVALID_ARGUMENT"}},
		{"C6.16: the name of a oneof", &configv1.Distribution{}, []string{"config.default_cache_behavior.caching"}, []string{"update_mask INVALID_ARGUMENT"}},
		{"C2.5: another caller reference", &configv1.Distribution{CallerReference: "second"}, nil, []string{"distribution.caller_reference ILLEGAL_UPDATE"}},
		{"C2.5: another caller reference with a mask", &configv1.Distribution{CallerReference: "second"}, []string{"labels"}, []string{"distribution.caller_reference ILLEGAL_UPDATE"}},
		{"C2.183: cleared by the mask", &configv1.Distribution{}, []string{"caller_reference"}, []string{"distribution.caller_reference ILLEGAL_UPDATE"}},
		{"C2.29: staging", &configv1.Distribution{Staging: true}, nil, []string{"distribution.staging ILLEGAL_UPDATE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, vs := MergeDistribution(stored(), tt.in, &fieldmaskpb.FieldMask{Paths: tt.paths})
			if diff := cmp.Diff(tt.want, found(vs)); got != nil || diff != "" {
				t.Errorf("%v, violations (-want +got)\n%s", got, diff)
			}
		})
	}
}

func TestMergeOrigin(t *testing.T) {
	type origin = originv1.Origin
	before := &origin{
		Name: "origins/a", Uid: "u", DisplayName: "old", Labels: map[string]string{"a": "b"},
		Endpoint: server("old.test"), ReadTimeout: durationpb.New(time.Minute), ConnectionAttempts: proto.Int32(2),
	}
	for _, tt := range []struct {
		name  string
		in    *origin
		paths []string
		want  *origin
	}{
		{"design §5: no mask, populated fields", &origin{Name: "x", Uid: "x", DisplayName: "new", Endpoint: server("new.test")}, nil, &origin{
			Name: "origins/a", Uid: "u", DisplayName: "new", Labels: map[string]string{"a": "b"},
			Endpoint: server("new.test"), ReadTimeout: durationpb.New(time.Minute), ConnectionAttempts: proto.Int32(2),
		}},
		{"C6.16: star", &origin{Endpoint: server("new.test")}, []string{"*"}, &origin{Name: "origins/a", Uid: "u", Endpoint: server("new.test")}},
		{"C6.16: one field of the endpoint, one cleared", &origin{Endpoint: server("new.test")}, []string{"endpoint.http.host", "read_timeout", "connection_attempts"}, &origin{
			Name: "origins/a", Uid: "u", DisplayName: "old", Labels: map[string]string{"a": "b"}, Endpoint: server("new.test"),
		}},
		{"C6.16: another kind of endpoint", &origin{Endpoint: store(&originv1.S3Endpoint{Bucket: "abc"})}, []string{"endpoint.s3.bucket"}, &origin{
			Name: "origins/a", Uid: "u", DisplayName: "old", Labels: map[string]string{"a": "b"}, Endpoint: store(&originv1.S3Endpoint{Bucket: "abc"}),
			ReadTimeout: durationpb.New(time.Minute), ConnectionAttempts: proto.Int32(2),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, vs := MergeOrigin(before, tt.in, &fieldmaskpb.FieldMask{Paths: tt.paths})
			if diff := cmp.Diff(tt.want, got, protocmp.Transform()); vs != nil || diff != "" {
				t.Errorf("%v, result (-want +got)\n%s", vs, diff)
			}
		})
	}
	if _, vs := MergeOrigin(before, before, &fieldmaskpb.FieldMask{Paths: []string{"labels.a", "x"}}); len(vs) != 2 {
		t.Errorf("C6.16: %v", vs)
	}
	// protobuf keeps a message's parts; the result must not share any with the request.
	in := &origin{Endpoint: server("new.test")}
	got, _ := MergeOrigin(before, in, nil)
	in.GetEndpoint().GetHttp().Host = "changed.test"
	if got.GetEndpoint().GetHttp().GetHost() != "new.test" {
		t.Error("the result shares its endpoint with the request")
	}
}
