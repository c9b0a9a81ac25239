// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

func keyed(names ...string) *configv1.HeaderSelection {
	return &configv1.HeaderSelection{Mode: configv1.HeaderSelection_MODE_LISTED, Names: names}
}

func items(mode configv1.ItemSelection_Mode, names ...string) *configv1.ItemSelection {
	return &configv1.ItemSelection{Mode: mode, Names: names}
}

func TestOriginRequestHeaders(t *testing.T) {
	policy := policyOf(0, time.Hour, time.Hour)
	policy.Headers = keyed("X-Keyed", "Accept-Language", "X-Dropped", "If-None-Match", "Range")
	policy.QueryStrings = items(configv1.ItemSelection_MODE_LISTED, "a", "b")
	e := newEdge(t, options{policy: policy})
	r := ask("/p?b=2&x=1&a=1&b=3",
		"User-Agent", "Browser/1", "Accept", "*/*", "X-Keyed", "1", "x-keyed", "2", "X-Other", "3", "Referer", "r",
		"X-Forwarded-For", "192.0.2.4,192.0.2.3", "Via", "1.0 before", "Connection", "X-Dropped, keep-alive", "X-Dropped", "4",
		"If-None-Match", `"1"`, "Range", "bytes=0-0", "X-Seafront-Id", "forged", "Cookie", "a=b", "Accept-Encoding", "gzip")
	r.Major, r.Minor = 2, 0
	r.Viewer = netip.MustParseAddrPort("[2001:db8::7]:1")
	e.do(r)
	asked := e.origin.requests()[0]
	if asked.Target != "/p?b=2&a=1&b=3" || asked.Host != "" {
		t.Errorf("D11.12, D15.2: target %s, host %q", asked.Target, asked.Host)
	}
	h := asked.Header
	via := regexp.MustCompile(`^1\.0 before, 2\.0 [0-9a-f]{32}\.seafront\.localhost \(Seafront\)$`)
	if !via.MatchString(h.Get("Via")) {
		t.Errorf("D15.4: Via %q", h.Get("Via"))
	}
	if len(h.Get("X-Seafront-Id")) != 56 {
		t.Errorf("D22.4: id %q", h.Get("X-Seafront-Id"))
	}
	want := header.Fields{
		{Name: "User-Agent", Value: "Seafront"}, {Name: "X-Keyed", Value: "1,2"},
		{Name: "X-Forwarded-For", Value: "192.0.2.4,192.0.2.3,2001:db8::7"}, // D15.3
		{Name: "Via", Value: h.Get("Via")}, {Name: "X-Seafront-Id", Value: h.Get("X-Seafront-Id")},
		{Name: "CDN-Loop", Value: "seafront.localhost"}, // D2.9
		{Name: "Range", Value: "bytes=0-1048575"},       // design 3.8
	}
	if len(h) != len(want) {
		t.Errorf("D15.2, D15.8: %v", h)
	}
	for _, f := range want {
		if vs := h.Values(f.Name); len(vs) != 1 || vs[0] != f.Value {
			t.Errorf("D15.2: %s = %q, want %q", f.Name, vs, f.Value)
		}
	}
	e.do(ask("/p"))
	if got := e.origin.requests()[0].Header.Get("X-Forwarded-For"); got != "192.0.2.7" {
		t.Errorf("D15.3: %q", got)
	}
}

func TestKeyedHostAndUserAgent(t *testing.T) {
	policy := policyOf(0, time.Hour, time.Hour)
	policy.Headers = keyed("Host", "User-Agent")
	e := newEdge(t, options{policy: policy})
	for i, name := range []string{"www.example.com", "d1.cdn.test", "www.example.com:8080"} {
		r := ask("/", "User-Agent", "Browser/1")
		r.Host = name
		e.do(r)
		asked := e.origin.requests()
		if len(asked) != 1 || asked[0].Host != name || asked[0].Header.Get("User-Agent") != "Browser/1" || asked[0].Header.Has("Host") {
			t.Errorf("D11.2, D15.2: request %d: %+v", i, asked)
		}
	}
}

func TestAcceptEncodingClasses(t *testing.T) {
	policy := policyOf(0, time.Hour, time.Hour)
	policy.AcceptEncodingGzip, policy.AcceptEncodingBrotli = true, true
	e := newEdge(t, options{policy: policy})
	e.origin.says(text(200, "gzipped", "Content-Encoding", "gzip", "Vary", "Accept-Encoding, X-Other"))
	first := e.get("/", "Accept-Encoding", "br, gzip")
	if got := e.origin.requests()[0].Header.Get("Accept-Encoding"); got != "br,gzip" {
		t.Errorf("D11.16: sent %q", got)
	}
	if got := first.header.Get("Vary"); got != "Accept-Encoding" {
		t.Errorf("D13.19: Vary %q", got)
	}
	e.want("D11.18: gzip alone", e.get("/", "Accept-Encoding", "gzip"), 200, "Hit", "gzipped", 0)
	e.want("D11.18: both", e.get("/", "Accept-Encoding", "gzip, br"), 200, "Hit", "gzipped", 0)
	e.want("D11.16: none", e.get("/"), 200, "Miss", "gzipped", 1)
	e.want("D11.18: br alone", e.get("/", "Accept-Encoding", "br"), 200, "Miss", "gzipped", 1)
}

// TestHiddenEncoding is the switch of D11.20: an origin header Accept-Encoding without
// a value.
func TestHiddenEncoding(t *testing.T) {
	policy := policyOf(0, time.Hour, time.Hour)
	policy.AcceptEncodingGzip, policy.AcceptEncodingBrotli = true, true
	site := siteOf(80)
	site.Config.Origins[0].CustomHeaders = []*configv1.OriginCustomHeader{{Name: "Accept-Encoding"}}
	e := newEdge(t, options{policy: policy, site: site})
	e.origin.says(text(200, "plain"))
	e.get("/", "Accept-Encoding", "br, gzip")
	if sent := e.origin.requests(); len(sent) != 1 || sent[0].Header.Has("Accept-Encoding") {
		t.Errorf("D11.20: sent %+v", sent)
	}
	e.want("D11.20: gzip alone", e.get("/", "Accept-Encoding", "gzip"), 200, "Hit", "plain", 0)
	e.want("D11.20: none", e.get("/"), 200, "Hit", "plain", 0)
}

func TestQueryStrings(t *testing.T) {
	for _, tt := range []struct {
		name    string
		keys    *configv1.ItemSelection
		targets []string
		want    []string // of the origin requests
	}{
		{"none", nil, []string{"/?a=1", "/?b", "/"}, []string{"/"}},
		{"D11.10: order", items(configv1.ItemSelection_MODE_ALL), []string{"/?a=1&b=2", "/?b=2&a=1"}, []string{"/?a=1&b=2", "/?b=2&a=1"}},
		{"D11.11: bare question mark", items(configv1.ItemSelection_MODE_ALL), []string{"/", "/?"}, []string{"/"}},
		{"D11.12: no piece, no question mark", items(configv1.ItemSelection_MODE_LISTED, "v"), []string{"/?x=1", "/"}, []string{"/"}},
		{"all except", items(configv1.ItemSelection_MODE_ALL_EXCEPT, "utm"), []string{"/?utm=1&v=1", "/?v=1"}, []string{"/?v=1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policy := policyOf(0, time.Hour, time.Hour)
			policy.QueryStrings = tt.keys
			e := newEdge(t, options{policy: policy})
			for _, target := range tt.targets {
				e.get(target)
			}
			var got []string
			for _, r := range e.origin.requests() {
				got = append(got, r.Target)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("asked %v, want %v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("asked %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestBucketTargets(t *testing.T) {
	site := siteOf(80)
	site.Config.Origins[0].Source = &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{
		Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{
			EndpointUrl: "http://127.0.0.1:9000", Bucket: "media", PathStyle: true,
		}},
	}}
	site.Config.Origins[0].OriginPath = "/v1"
	policy := policyOf(0, time.Hour, time.Hour)
	policy.Headers = keyed("Host")
	e := newEdge(t, options{site: site, policy: policy})
	e.origin.says(text(200, "x", "x-amz-request-id", "1", "x-amz-meta-a", "2"))
	g := e.get("/a%20b+c%/ü//x")
	asked := e.origin.requests()[0]
	if asked.Target != "/media/v1/a%20b+c%/ü//x" || asked.Host != "" {
		t.Errorf("path style: %s, host %q", asked.Target, asked.Host)
	}
	if g.header.Has("x-amz-request-id") || !g.header.Has("x-amz-meta-a") {
		t.Errorf("D17.2: %v", g.header)
	}
}

func TestEndToEnd(t *testing.T) {
	for value, want := range map[string]int{"keep-alive": 3, "close": 3, "x-a": 2, "close, X-A ,\tx-b": 1} {
		r := exchange.Request{Header: fieldsOf("Connection", value, "X-A", "1", "X-B", "2")}
		if got := len(endToEnd(r.Header)); got != want {
			t.Errorf("D15.8: Connection %q leaves %d fields, want %d", value, got, want)
		}
		if len(r.Header) != 3 {
			t.Error("the viewer's header was changed")
		}
	}
}

// TestOriginRequestPolicy: what a policy sends beside the key reaches the origin, and
// requests that differ by it alone share an object (D11.4, D11.22).
func TestOriginRequestPolicy(t *testing.T) {
	const allViewer = "originRequestPolicies/216adef6-5c7f-47e4-b989-5492eafa07d3"
	policy := policyOf(0, time.Hour, time.Hour)
	policy.QueryStrings = items(configv1.ItemSelection_MODE_LISTED, "a")
	site := siteOf(80)
	site.Config.DefaultCacheBehavior.OriginRequestPolicy = allViewer
	e := newEdge(t, options{policy: policy, site: site})
	e.origin.says(text(200, "all", "Set-Cookie", "s=1", "Vary", "Accept, X-Any", "Cache-Control", "max-age=60"))
	r := ask("/p?b=2&a=1", "User-Agent", "Browser/1", "X-Any", "1", "X-Any", "2", "Cookie", "b=2; a=1", "CloudFront-Viewer-Country", "XX",
		"Authorization", "Basic x", "X-Forwarded-For", "192.0.2.4", "If-None-Match", `"1"`)
	got := e.do(r)
	asked := e.origin.requests()[0]
	if asked.Target != "/p?b=2&a=1" || asked.Host != r.Host {
		t.Errorf("D11.23, D15.2: target %s, host %q", asked.Target, asked.Host)
	}
	for name, want := range map[string]string{
		"User-Agent": "Browser/1", "Cookie": "a=1; b=2", "Authorization": "Basic x", "X-Forwarded-For": "192.0.2.4,192.0.2.7",
		"CloudFront-Viewer-Country": "", "If-None-Match": "",
	} {
		if v := asked.Header.Get(name); v != want {
			t.Errorf("D15.2: %s %q, want %q", name, v, want)
		}
	}
	if v := asked.Header.Values("X-Any"); len(v) != 2 {
		t.Errorf("RFC 9110 §5.3: %q", v)
	}
	if got.header.Get("Vary") != "Accept, X-Any" || got.header.Get("Set-Cookie") != "s=1" {
		t.Errorf("D13.19, D17.6: %v", got.header)
	}
	e.want("D11.4: not in the key", e.get("/p?b=3&a=1", "X-Any", "3"), 200, "Hit", "all", 0)
}
