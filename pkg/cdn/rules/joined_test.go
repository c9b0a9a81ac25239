// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

const (
	// byHost is the id of a managed policy with Host in its key.
	byHost = "83da9c7e-98b4-4e11-a168-04f0df8e2c65"
	// byCountry is the id of a managed origin request policy with headers that edges do
	// not compute.
	byCountry = "33f36d7e-f396-46d9-90e0-52428a34d9dc"
	unknownID = "00000000-0000-4000-8000-000000000000"
)

func TestUnsupportedPolicies(t *testing.T) {
	policies, requests := map[string]*configv1.CachePolicy{}, map[string]*configv1.OriginRequestPolicy{}
	for _, p := range managed.CachePolicies() {
		policies[p.GetUid()] = p
	}
	for _, p := range managed.OriginRequestPolicies() {
		requests[p.GetUid()] = p
	}
	for _, tt := range []struct{ rule, key, sent, want string }{
		{"D27.b: AllViewer", byHost, "216adef6-5c7f-47e4-b989-5492eafa07d3", ""},
		{"D27.b: AllViewerExceptHostHeader", byHost, "b689b0a8-53d0-40ab-baf2-68738e2966ac", ""},
		{"D10.2: countries", byHost, byCountry, "config.default_cache_behavior.origin_request_policy"},
		{"D10.2: Amplify keys the country", "2e54312d-136d-493c-8eb9-b001f22f67d2", byCountry,
			"config.default_cache_behavior.cache_policy config.default_cache_behavior.origin_request_policy"},
		{"one that is not known is passed over", byHost, unknownID, ""},
	} {
		d := valid()
		b := d.Config.DefaultCacheBehavior
		b.Caching, b.OriginRequestPolicy = &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/" + tt.key}, "originRequestPolicies/"+tt.sent
		var got []string
		for _, v := range UnsupportedPolicies(d, policies, requests) {
			got = append(got, v.Field)
			if v.Reason != ReasonUnsupported {
				t.Errorf("%s: %+v", tt.rule, v)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.rule, got, tt.want)
		}
	}
}

func TestPolicyWarnings(t *testing.T) {
	except := func(names ...string) *configv1.ItemSelection {
		return &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_ALL_EXCEPT, Names: names}
	}
	d := valid()
	b := d.Config.DefaultCacheBehavior
	b.Caching, b.OriginRequestPolicy = &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/" + unknownID}, "originRequestPolicies/"+unknownID
	key, sent := &configv1.CachePolicy{Cookies: except("a"), QueryStrings: except("a", "b")}, &configv1.OriginRequestPolicy{Cookies: except("a", "b"), QueryStrings: except("b")}
	got := PolicyWarnings(d, map[string]*configv1.CachePolicy{unknownID: key}, map[string]*configv1.OriginRequestPolicy{unknownID: sent})
	if len(got) != 1 || !strings.Contains(got[0], "cookies") {
		t.Errorf("D11.24: %q", got)
	}
	if got := PolicyWarnings(d, nil, nil); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}

func TestDistributionRefs(t *testing.T) {
	d := valid()
	d.Config.Origins = []*configv1.Origin{referring("b", "origins/b"), referring("a", "origins/a"), inline("c", "x"), referring("d", "origins/b"), referring("e", "bad")}
	d.Config.CacheBehaviors = []*configv1.CacheBehavior{behavior("a", "a"), behavior("b", "b")}
	d.Config.CacheBehaviors[1].Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: disabled}
	d.Config.CacheBehaviors[0].OriginRequestPolicy = "originRequestPolicies/" + byCountry
	d.Config.CacheBehaviors[1].OriginRequestPolicy = "originRequestPolicies/" + unknownID
	want := Refs{
		CachePolicies: []string{disabled[14:], optimized[14:]}, OriginRequestPolicies: []string{unknownID, byCountry}, Origins: []string{"a", "b"},
	}
	if diff := cmp.Diff(want, DistributionRefs(d)); diff != "" {
		t.Errorf("references (-want +got)\n%s", diff)
	}
	held := []Ref{{keys.OriginRequestPolicies, unknownID}, {keys.Origins, "a"}, {keys.Origins, "b"}}
	if diff := cmp.Diff(held, DistributionRefs(d).Held()); diff != "" {
		t.Errorf("C1.71: a managed policy is held by nobody (-want +got)\n%s", diff)
	}
	if got := PolicyField(d, held[0]); got != "config.cache_behaviors[1].origin_request_policy" {
		t.Errorf("named at %s", got)
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
