// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// byHost is the id of a managed policy with Host in its key.
const byHost = "83da9c7e-98b4-4e11-a168-04f0df8e2c65"

func TestDistributionRefs(t *testing.T) {
	d := valid()
	d.Config.Origins = []*configv1.Origin{referring("b", "origins/b"), referring("a", "origins/a"), inline("c", "x"), referring("d", "origins/b"), referring("e", "bad")}
	d.Config.CacheBehaviors = []*configv1.CacheBehavior{behavior("a", "a"), behavior("b", "b")}
	d.Config.CacheBehaviors[1].Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: disabled}
	want := Refs{CachePolicies: []string{disabled[14:], optimized[14:]}, Origins: []string{"a", "b"}}
	if diff := cmp.Diff(want, DistributionRefs(d)); diff != "" {
		t.Errorf("references (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(Refs{}, DistributionRefs(&configv1.Distribution{})); diff != "" {
		t.Errorf("references of nothing (-want +got)\n%s", diff)
	}
}

func TestCheckJoined(t *testing.T) {
	sec := func(n int64) *durationpb.Duration { return &durationpb.Duration{Seconds: n} }
	bucket := store(&originv1.S3Endpoint{Host: "assets.s3.eu-west-1.amazonaws.com"})
	policy := func(id string) *configv1.CacheBehavior_CachePolicy {
		return &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/" + id}
	}
	for _, tt := range []struct {
		name       string
		change     func(d *configv1.Distribution)
		registered *originv1.Origin // origins/r
		want       []string
	}{
		{"C2.101: Host in the key for a server", func(d *configv1.Distribution) { d.Config.DefaultCacheBehavior.Caching = policy(byHost) }, nil, nil},
		{"C5.7: Host in the key for a bucket", func(d *configv1.Distribution) {
			d.Config.Origins = append(d.Config.Origins, &configv1.Origin{Id: "s3", Source: &configv1.Origin_Endpoint{Endpoint: bucket}})
			b := behavior("/x", "s3")
			b.Caching = policy(byHost)
			d.Config.CacheBehaviors = []*configv1.CacheBehavior{behavior("/y", "s3"), b}
		}, nil, []string{"config.cache_behaviors[1].cache_policy INVALID_HEADERS_FOR_S3_ORIGIN"}},
		{"C5.7: for a registered bucket", func(d *configv1.Distribution) {
			d.Config.Origins[0] = referring("web", "origins/r")
			d.Config.DefaultCacheBehavior.Caching = policy(byHost)
		}, &originv1.Origin{Endpoint: bucket}, []string{"config.default_cache_behavior.cache_policy INVALID_HEADERS_FOR_S3_ORIGIN"}},
		{"C2.101: an origin that is not known is passed over", func(d *configv1.Distribution) {
			d.Config.Origins[0] = referring("web", "origins/unknown")
			d.Config.DefaultCacheBehavior.Caching = policy("00000000-0000-0000-0000-000000000000")
		}, nil, nil},
		{"C2.52: completion here, read there", func(d *configv1.Distribution) {
			d.Config.Origins[0] = referring("web", "origins/r")
			d.Config.Origins[0].ResponseCompletionTimeout = sec(59)
		}, &originv1.Origin{ReadTimeout: sec(60)}, []string{"config.origins[0].response_completion_timeout INVALID_ARGUMENT"}},
		{"C2.52: the default read timeout there", func(d *configv1.Distribution) {
			d.Config.Origins[0] = referring("web", "origins/r")
			d.Config.Origins[0].ResponseCompletionTimeout = sec(29)
		}, &originv1.Origin{}, []string{"config.origins[0].response_completion_timeout INVALID_ARGUMENT"}},
		{"C2.52: read here, completion there", func(d *configv1.Distribution) {
			d.Config.Origins[0] = referring("web", "origins/r")
			d.Config.Origins[0].ReadTimeout = sec(61)
		}, &originv1.Origin{ReadTimeout: sec(10), ResponseCompletionTimeout: sec(60)}, []string{"config.origins[0].read_timeout INVALID_ARGUMENT"}},
		{"C2.52: both here, whatever is there", func(d *configv1.Distribution) {
			d.Config.Origins[0] = referring("web", "origins/r")
			d.Config.Origins[0].ReadTimeout, d.Config.Origins[0].ResponseCompletionTimeout = sec(61), sec(61)
		}, &originv1.Origin{ReadTimeout: sec(120), ResponseCompletionTimeout: sec(1)}, nil},
		{"C5.12: a registered origin is an own alias", func(d *configv1.Distribution) {
			d.Config.Origins[0], d.Config.Aliases = referring("web", "origins/r"), []string{"www.example.com"}
		}, &originv1.Origin{Endpoint: server("www.example.com")}, []string{"config.origins[0].origin_ref INVALID_ARGUMENT"}},
		{"C5.12: a registered origin in the base domain", func(d *configv1.Distribution) {
			d.Config.Origins[0], d.DomainName = referring("web", "origins/r"), "d1."+base
		}, &originv1.Origin{Endpoint: server("d2." + base)}, []string{"config.origins[0].origin_ref INVALID_ARGUMENT"}},
		{"C5.12: a registered store with the bucket in front", func(d *configv1.Distribution) {
			d.Config.Origins[0], d.Config.Aliases = referring("web", "origins/r"), []string{"www.example.com"}
		}, &originv1.Origin{Endpoint: store(&originv1.S3Endpoint{EndpointUrl: "http://example.com:8080", Bucket: "www"})}, []string{"config.origins[0].origin_ref INVALID_ARGUMENT"}},
		{"C5.12: a registered store at an address", func(d *configv1.Distribution) { d.Config.Origins[0] = referring("web", "origins/r") },
			&originv1.Origin{Endpoint: store(&originv1.S3Endpoint{EndpointUrl: "http://127.0.0.1", Bucket: "www", PathStyle: true})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := valid()
			tt.change(d)
			DefaultDistribution(d)
			origins := map[string]*originv1.Origin{}
			if tt.registered != nil {
				DefaultOrigin(tt.registered)
				origins["r"] = tt.registered
			}
			policies := map[string]*configv1.CachePolicy{}
			for _, p := range managed.CachePolicies() {
				policies[p.GetUid()] = p
			}
			if diff := cmp.Diff(tt.want, found(CheckJoined(d, policies, origins))); diff != "" {
				t.Errorf("violations (-want +got)\n%s", diff)
			}
		})
	}
}
