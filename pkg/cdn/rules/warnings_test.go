// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

func TestWarnings(t *testing.T) {
	type s3 = originv1.S3Endpoint
	endpoint := func(e *originv1.OriginEndpoint) func(*configv1.Distribution) {
		return func(d *configv1.Distribution) { d.Config.Origins[0].Source = &configv1.Origin_Endpoint{Endpoint: e} }
	}
	website := server("assets.s3-website.eu-north-1.amazonaws.com")
	secure := server("assets.s3-website-eu-west-1.amazonaws.com")
	secure.GetHttp().ProtocolPolicy = originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_MATCH_VIEWER
	for _, tt := range []struct {
		name   string
		change func(d *configv1.Distribution)
		want   []string // how each warning begins
	}{
		{"C2.87: nothing to say", func(*configv1.Distribution) {}, nil},
		{"design §5: aliases without a certificate", func(d *configv1.Distribution) { d.Config.Aliases = []string{"a.test", "b.test"} }, []string{"config.aliases have no certificate"}},
		{"C2.37: an unused origin", func(d *configv1.Distribution) { d.Config.Origins = append(d.Config.Origins, inline("api", "o.test")) }, []string{`config.origins[1] ("api") is the target of no`}},
		{"C2.87: an earlier pattern takes all", func(d *configv1.Distribution) {
			d.Config.CacheBehaviors = []*configv1.CacheBehavior{behavior("/a/*", "web"), behavior("a/b*", "web"), behavior("/b", "web"), behavior("*", "web"), behavior("/c", "web")}
		}, []string{"config.cache_behaviors[1].path_pattern", "config.cache_behaviors[4].path_pattern"}},
		{"C5.1: dots in a bucket, by host", endpoint(store(&s3{Host: "a.b.s3.eu-west-1.amazonaws.com"})), []string{"config.origins[0].endpoint.s3.host"}},
		{"C5.1: dots in a bucket, by HTTPS", endpoint(store(&s3{EndpointUrl: "https://o.test", Bucket: "a.b"})), []string{"config.origins[0].endpoint.s3.bucket"}},
		{"C5.1: dots in a bucket, by HTTP", endpoint(store(&s3{EndpointUrl: "http://o.test", Bucket: "a.b"})), nil},
		{"C5.1: dots in a bucket, in the path", endpoint(store(&s3{EndpointUrl: "https://o.test", Bucket: "a.b", PathStyle: true})), nil},
		{"C5.1: dots in a registered bucket", func(d *configv1.Distribution) { d.Config.Origins[0] = referring("web", "origins/dotted") }, []string{"config.origins[0].origin_ref.s3.bucket"}},
		{"C5.5: a bucket as a server", endpoint(server("assets.s3.amazonaws.com")), []string{"config.origins[0].endpoint.http.host"}},
		{"C5.4: a website by HTTP", endpoint(website), nil},
		{"C5.4: a website by HTTPS", endpoint(secure), []string{"config.origins[0].endpoint.http.protocol_policy"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := valid()
			tt.change(d)
			DefaultDistribution(d)
			got := Warnings(d, map[string]*originv1.Origin{"dotted": {Endpoint: store(&s3{EndpointUrl: "https://o.test", Bucket: "a.b"})}})
			if len(got) != len(tt.want) {
				t.Fatalf("warnings %q, want %q", got, tt.want)
			}
			for i, w := range tt.want {
				if !strings.HasPrefix(got[i], w) {
					t.Errorf("warning %q, want %q", got[i], w)
				}
			}
		})
	}
	if got := OriginWarnings(&originv1.Origin{Endpoint: secure}); len(got) != 1 || !strings.HasPrefix(got[0], "endpoint.http.protocol_policy") {
		t.Errorf("C5.4: %q", got)
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		earlier, later string
		want           bool
	}{
		{"*", "/a", true},
		{"/*", "*", true},
		{"a*", "/a*", true},
		{"/a/*", "/a/b/*.jpg", true},
		{"*.jpg", "/images/*.jpg", true},
		{"/a*c", "/ab*bc", true},
		{"/a?c", "/abc", true},
		{"/a?", "/a?", true},
		{"/?*", "/*a", true},
		{"/*?", "/?*", true},
		{"/*?a", "/*ba", true},
		{"/a??*", "/a*bc", true},
		{"/*a*b*", "/ab", true},
		{"/a", "/b", false},
		{"/a", "/*", false},
		{"/a?", "/a*", false},
		{"/a?c", "/ac", false},
		{"/a/*", "/a*", false},
		{"/?*", "/*", false},
		{"/*ab", "/*?b", false},
		{"/abc", "/ab", false},
		{"/ab", "/abc", false},
	} {
		if got := covers(tt.earlier, tt.later); got != tt.want {
			t.Errorf("C2.87: covers(%q, %q) = %v", tt.earlier, tt.later, got)
		}
	}
}

// What is said to be covered is.
func TestCoversIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab*?/")), 1, 6, -1)
		earlier, later := pattern.Draw(t, "earlier"), pattern.Draw(t, "later")
		var path strings.Builder // one that later matches
		for _, c := range pathpattern.Canonical(later) {
			switch c {
			case '*':
				path.WriteString(rapid.StringOfN(rapid.SampledFrom([]rune("ab/%")), 0, 3, -1).Draw(t, "star"))
			case '?':
				path.WriteString(rapid.SampledFrom([]string{"a", "b", "/", "%"}).Draw(t, "one"))
			default:
				path.WriteRune(c)
			}
		}
		a, err := pathpattern.Compile(earlier)
		if err != nil {
			t.Fatal(err)
		}
		if covers(earlier, later) && !a.Match(path.String()) {
			t.Fatalf("C2.87: %q is matched by %q and not by %q", path.String(), later, earlier)
		}
		if !covers(earlier, earlier) || !covers("*", later) {
			t.Fatalf("C2.87: %q does not cover itself, or * does not cover %q", earlier, later)
		}
	})
}
