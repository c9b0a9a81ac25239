// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/computed"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

func fields(names ...string) header.Fields {
	var out header.Fields
	for _, n := range names {
		out.Add(n, "v")
	}
	return out
}

func policy(mode Mode, names ...string) *Policy {
	p := NewPolicy(mode, names, cachekey.Selection{}, cachekey.Selection{})
	return &p
}

func headerKey(names ...string) cachekey.Policy {
	return cachekey.NewPolicy(names, cachekey.Selection{}, cachekey.Selection{}, false, false)
}

// build takes a request through the key, as an edge does.
func build(key cachekey.Policy, more *Policy, r Request) Sent {
	_, keyed := key.Build(cachekey.Parts{Distribution: "E1", Method: r.Method, Path: "/", Query: r.Query, Header: withHost(&r), Viewer: r.Viewer})
	return Build(&key, keyed, more, &r)
}

func withHost(r *Request) header.Fields {
	out := r.Header.Clone(1)
	out.Set("Host", r.Host)
	return out
}

func names(s Sent) string {
	var out []string
	if s.Host != "" {
		out = append(out, "Host")
	}
	for _, f := range s.Header {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestHeaders is the table of D15.2 by rows: without a policy, named by a policy that
// may name it, and with every viewer header.
func TestHeaders(t *testing.T) {
	get := Request{Method: "GET", Host: "www.x.test"}
	body := Request{Method: "POST", Host: "www.x.test", HasBody: true}
	for _, tt := range []struct {
		rows         string // names of headers
		request      Request
		plain, named bool
	}{
		{"Accept Accept-Charset Accept-Language Referer X-HTTP-Method-Override", get, false, true},
		{"Accept-Encoding", get, false, true}, // like any header, when it is not normalised
		{"Authorization", get, false, true},
		{"Authorization", body, true, true},
		{"Authorization", Request{Method: "OPTIONS", Stored: true}, false, true},
		{"Authorization", Request{Method: "OPTIONS"}, true, true},
		{"Authorization", Request{Method: "HEAD"}, false, true},
		{"Authorization", Request{Method: "M-SEARCH"}, true, true},
		{"Cache-Control Pragma Max-Forwards Request-Range", get, false, true},
		{"Connection Content-Length Transfer-Encoding Keep-Alive TE Trailer Upgrade Expect", body, false, false},
		{"Proxy-Authenticate Proxy-Authorization Proxy-Connection", get, false, false},
		{"Content-MD5 Content-Type Content-Encoding", get, false, true},
		{"Content-MD5 Content-Type Content-Encoding", body, true, true},
		{"Date From Warning", get, false, true},
		{"If-Match If-None-Match If-Modified-Since If-Unmodified-Since If-Range Range", get, false, false},
		{"If-Match If-None-Match If-Modified-Since If-Unmodified-Since", Request{Method: "PUT", Conditions: true}, true, true},
		{"If-Range Range", Request{Method: "GET", Range: true}, true, true},
		{"Origin Access-Control-Request-Headers Access-Control-Request-Method", get, false, true},
		{"User-Agent", get, false, true}, // without one the edge sends its own
		{"Via X-Amz-Cf-Id X-Forwarded-For X-Real-IP X-Forwarded-Proto X-Edge-Location", get, false, false},
		{"Traceparent Tracestate", get, false, false},
		{"Sec-WebSocket-Key Sec-WebSocket-Version", get, false, true},
		{"Sec-WebSocket-Key Sec-WebSocket-Version", Request{Method: "GET", Upgrade: true}, true, true}, // D24.2
		{"X-Anything Cdn-Loop", get, false, true},
		{"CloudFront-Viewer-Country CloudFront-Is-Mobile-Viewer", get, false, false}, // D10.1
	} {
		for name := range strings.FieldsSeq(tt.rows) {
			r := tt.request
			r.Header = fields(strings.ToUpper(name), "X-Unnamed")
			for _, way := range []struct {
				what string
				more *Policy
				want bool
			}{
				{"without a policy", nil, tt.plain}, {"with a policy of nothing", policy(None), tt.plain},
				{"named", policy(Listed, name), tt.named}, {"all viewer", policy(AllViewer), tt.named},
				{"all but another", policy(AllExcept, "X-Other"), tt.named},
				{"all but it", policy(AllExcept, name), tt.plain},
			} {
				sent := build(headerKey(), way.more, r)
				if got := sent.Header.Has(name); got != way.want {
					t.Errorf("D15.2: %s %s, %s: sent %v, want %v", r.Method, name, way.what, got, way.want)
				}
				if got, want := sent.Header.Has("X-Unnamed"), way.what[:3] == "all"; got != want {
					t.Errorf("D11.22: X-Unnamed, %s: sent %v, want %v", way.what, got, want)
				}
			}
		}
	}
}

func TestHost(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		key    cachekey.Policy
		more   *Policy
		bucket bool
		want   string
	}{
		{"D15.2: the origin's own", headerKey(), nil, false, ""},
		{"D11.4: keyed", headerKey("Host"), nil, false, "www.x.test:8080"},
		{"D15.2: named", headerKey(), policy(Listed, "hOST"), false, "www.x.test:8080"},
		{"D15.2: all viewer", headerKey(), policy(AllViewer), false, "www.x.test:8080"},
		{"D11.25: all but Host", headerKey(), policy(AllExcept, "Host"), false, ""},
		{"D11.4: keyed, and all but Host", headerKey("Host"), policy(AllExcept, "Host"), false, "www.x.test:8080"},
		{"D15.7: a bucket has its own", headerKey(), policy(AllViewer), true, ""},
	} {
		r := Request{Method: "GET", Host: "www.x.test:8080", Bucket: tt.bucket}
		if got := build(tt.key, tt.more, r); got.Host != tt.want || got.Header.Has("Host") {
			t.Errorf("%s: host %q, want %q; %v", tt.rule, got.Host, tt.want, got.Header)
		}
	}
}

// TestUnion is D11.23 for headers, of which a cache policy lists some or none.
func TestUnion(t *testing.T) {
	r := Request{Method: "GET", Header: fields("C", "o", "X", "other")}
	for _, tt := range []struct {
		key  []string
		more *Policy
		want string
	}{
		{nil, nil, ""},
		{nil, policy(AllViewer), "C X o other"},
		{nil, policy(Listed, "O"), "o"},
		{nil, policy(AllExcept, "X"), "C o other"},
		{[]string{"c"}, nil, "c"},
		{[]string{"c"}, policy(AllViewer), "X c o other"},
		{[]string{"c"}, policy(Listed, "O"), "c o"},
		{[]string{"c"}, policy(AllExcept, "X", "C"), "c o other"},
	} {
		if got := names(build(headerKey(tt.key...), tt.more, r)); got != tt.want {
			t.Errorf("D11.23: key %v with %+v: %q, want %q", tt.key, tt.more, got, tt.want)
		}
	}
}

func TestComputed(t *testing.T) {
	r := Request{Method: "GET", Header: fields("CloudFront-Viewer-Address", "Accept"), Viewer: computed.Viewer{
		Address: netip.MustParseAddrPort("192.0.2.1:7"), Scheme: "https", Major: 1, Minor: 1,
	}}
	const address, proto = "CloudFront-Viewer-Address", "CloudFront-Forwarded-Proto"
	for _, tt := range []struct {
		rule string
		key  cachekey.Policy
		more *Policy
		want string
	}{
		{"D10.1: not asked for", headerKey(), policy(AllViewer), "Accept"},
		{"D10.1: named", headerKey(), policy(Listed, address), address},
		{"D10.1: beside all of the viewer's", headerKey(), policy(AllViewerAndMore, address, proto), "Accept " + proto + " " + address},
		{"D10.1: held back", headerKey(), policy(AllExcept, address), "Accept"},
		{"D11.4: keyed, and once", headerKey(proto), policy(Listed, proto), proto},
	} {
		got := build(tt.key, tt.more, r)
		if names(got) != tt.want {
			t.Errorf("%s: sent %q, want %q", tt.rule, names(got), tt.want)
		}
		if v, ok := got.Header.Lookup(address); ok && v != "192.0.2.1:7" {
			t.Errorf("%s: %s is the viewer's word: %q", tt.rule, address, v)
		}
	}
}

func TestEncoding(t *testing.T) {
	normal := cachekey.NewPolicy(nil, cachekey.Selection{}, cachekey.Selection{}, true, true)
	r := Request{Method: "GET", Header: header.Fields{{Name: "Accept-Encoding", Value: "zstd, br;q=0.5, gzip"}}}
	hidden := r
	hidden.HidesEncoding = true
	for _, tt := range []struct {
		rule string
		key  cachekey.Policy
		more *Policy
		r    Request
		want string
	}{
		{"D11.16: normalised", normal, nil, r, "br,gzip"},
		{"D11.21: an origin request policy has no say", normal, policy(AllViewer), r, "br,gzip"},
		{"D11.19: listed", headerKey("Accept-Encoding"), nil, r, "zstd, br;q=0.5, gzip"},
		{"D11.16: neither", headerKey(), nil, r, ""},
		{"D11.16: like any header", headerKey(), policy(AllViewer), r, "zstd, br;q=0.5, gzip"},
		{"D11.20: hidden from the origin", headerKey(), policy(AllViewer), hidden, ""},
		{"D11.20: hidden from the origin", normal, policy(AllViewer), hidden, ""},
	} {
		if got := build(tt.key, tt.more, tt.r).Header.Values("Accept-Encoding"); strings.Join(got, "|") != tt.want {
			t.Errorf("%s: %q, want %q", tt.rule, got, tt.want)
		}
	}
}

func TestCookiesAndQuery(t *testing.T) {
	all := cachekey.Selection{Mode: cachekey.All}
	a := cachekey.Selection{Mode: cachekey.Listed, Names: []string{"a"}}
	key := cachekey.NewPolicy(nil, a, a, false, false)
	more := NewPolicy(None, nil, all, all)
	r := Request{Method: "GET", Query: "b=2&a=1", Header: header.Fields{{Name: "Cookie", Value: "b=2; a=1"}}}
	if got := build(key, nil, r); got.Query != "a=1" || got.Header.Get("Cookie") != "a=1" {
		t.Errorf("D11.4: %+v", got)
	}
	if got := build(key, &more, r); got.Query != "b=2&a=1" || got.Header.Get("Cookie") != "a=1; b=2" {
		t.Errorf("D11.23: %+v", got)
	}
	if got := build(headerKey(), policy(AllViewer), r); got.Query != "" || len(got.Header) != 0 {
		t.Errorf("D15.2: cookies are no plain header: %+v", got)
	}
	if !more.Cookies() || policy(AllViewer).Cookies() {
		t.Error("D14.4: whether cookies are sent")
	}
}

// TestLines: what no policy names goes as it was sent, in its lines and its order.
func TestLines(t *testing.T) {
	in := header.Fields{{Name: "x-b", Value: "1"}, {Name: "X-A", Value: "2"}, {Name: "x-b", Value: "3"}}
	sent := build(headerKey(), policy(AllViewer), Request{Method: "GET", Header: in})
	if !slices.Equal(sent.Header, in) {
		t.Errorf("RFC 9110 §5.3: %v", sent.Header)
	}
}

func TestForwards(t *testing.T) {
	p := policy(AllViewerAndMore, "CloudFront-Forwarded-Proto")
	for name, want := range map[string]bool{
		"Accept": true, "cloudfront-forwarded-proto": true, "CloudFront-Viewer-Country": false, "Via": false, "Connection": false,
	} {
		if got := p.Forwards(name); got != want {
			t.Errorf("D13.19: forwards %s: %v", name, got)
		}
	}
	if policy(AllExcept, "Accept").Forwards("accept") || !policy(Listed, "accept").Forwards("Accept") || policy(None).Forwards("Accept") {
		t.Error("D13.19: by mode")
	}
}

func TestSorting(t *testing.T) {
	names := []string{"If-Unmodified-Since", "PROXY-AUTHENTICATE", "content-md5", strings.Repeat("a", 300), ""}
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			kindOf(name)
		}
	}); n > 0 {
		t.Errorf("sorting headers allocates %v times", n)
	}
}

// FuzzBuild: whatever a viewer sends, what belongs to the connection stays, and what is
// keyed goes.
func FuzzBuild(f *testing.F) {
	f.Add("GET", "Accept", "v", uint8(2), true)
	f.Add("POST", "Connection", "close", uint8(4), false)
	f.Fuzz(func(t *testing.T, method, name, value string, mode uint8, all bool) {
		key := headerKey("X-Keyed")
		more := policy(Mode(mode%6), "Host", name)
		r := Request{Method: method, Host: "h", Header: header.Fields{{Name: name, Value: value}, {Name: "X-Keyed", Value: "k"}}, Conditions: all, Range: all, HasBody: all, Upgrade: all}
		sent := build(key, more, r)
		if !sent.Header.Has("X-Keyed") {
			t.Error("D11.4: what is keyed is not sent")
		}
		for _, h := range sent.Header {
			if kindOf(h.Name) == hop && !header.Equal(h.Name, "Cookie") {
				t.Errorf("D15.2: %q is sent", h.Name)
			}
		}
	})
}
