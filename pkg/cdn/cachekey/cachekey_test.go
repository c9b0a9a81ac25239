// SPDX-License-Identifier: Apache-2.0

package cachekey

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

func fields(kv ...string) header.Fields {
	var f header.Fields
	for i := 0; i < len(kv); i += 2 {
		f.Add(kv[i], kv[i+1])
	}
	return f
}

func TestSameKey(t *testing.T) {
	none := Selection{Mode: None}
	listed := func(n ...string) Selection { return Selection{Listed, n} }
	get := func(path, query string, kv ...string) Parts {
		return Parts{Distribution: "E1", Method: "GET", Path: path, Query: query, Header: fields(kv...)}
	}
	with := func(p Parts, method, dist string) Parts { p.Method, p.Distribution = method, dist; return p }
	for _, tt := range []struct {
		name   string
		policy Policy
		a, b   Parts
		same   bool
	}{
		{"D11.1: GET and HEAD share", NewPolicy(nil, none, none, false, false), get("/", ""), with(get("/", ""), "HEAD", "E1"), true},
		{"D11.1: OPTIONS apart", NewPolicy(nil, none, none, false, false), get("/", ""), with(get("/", ""), "OPTIONS", "E1"), false},
		{"D11.1: distributions apart", NewPolicy(nil, none, none, false, false), get("/", ""), with(get("/", ""), "GET", "E2"), false},
		{"D11.2: Host is not in the key", NewPolicy(nil, none, none, false, false), get("/", "", "Host", "a"), get("/", "", "Host", "b"), true},
		{"D11.3: trailing slash", NewPolicy(nil, none, none, false, false), get("/i", ""), get("/i/", ""), false},
		{"D11.3: %41 is not A", NewPolicy(nil, none, none, false, false), get("/%41", ""), get("/A", ""), false},
		{"D11.7: header case", NewPolicy([]string{"X-A"}, none, none, false, false), get("/", "", "x-a", "1"), get("/", "", "X-A", "1"), true},
		{"D11.7: header value", NewPolicy([]string{"X-A"}, none, none, false, false), get("/", "", "X-A", "a"), get("/", "", "X-A", "A"), false},
		{"D11.7: absent is not empty", NewPolicy([]string{"X-A"}, none, none, false, false), get("/", ""), get("/", "", "X-A", ""), false},
		{"D11.7: order of headers", NewPolicy([]string{"X-A", "X-B"}, none, none, false, false), get("/", "", "X-B", "2", "X-A", "1"), get("/", "", "X-A", "1", "X-B", "2"), true},
		{"D11.7: lines join", NewPolicy([]string{"X-A"}, none, none, false, false), get("/", "", "X-A", "1", "X-A", "2"), get("/", "", "X-A", "1,2"), true},
		{"D11.9: + is not %20", NewPolicy(nil, none, Selection{Mode: All}, false, false), get("/", "a=+"), get("/", "a=%20"), false},
		{"D11.10: order of the query", NewPolicy(nil, none, listed("a", "b"), false, false), get("/", "a=1&b=2"), get("/", "b=2&a=1"), false},
		{"D11.9: unlisted query", NewPolicy(nil, none, listed("a"), false, false), get("/", "a=1&x=2"), get("/", "y=3&a=1"), true},
		{"D11.11: empty query", NewPolicy(nil, none, Selection{Mode: All}, false, false), get("/", ""), get("/", ""), true},
		{"D11.13: cookies sort by name", NewPolicy(nil, Selection{Mode: All}, none, false, false), get("/", "", "Cookie", "b=2; a=1"), get("/", "", "Cookie", "a=1; b=2"), true},
		{"D11.13: cookie case", NewPolicy(nil, Selection{Mode: All}, none, false, false), get("/", "", "Cookie", "a=1"), get("/", "", "Cookie", "A=1"), false},
		{"D11.16: br and gzip", NewPolicy(nil, none, none, true, true), get("/", "", "Accept-Encoding", "gzip, br"), get("/", "", "Accept-Encoding", "br;q=1.0, gzip, zstd"), true},
		{"D11.16: gzip alone", NewPolicy(nil, none, none, true, true), get("/", "", "Accept-Encoding", "gzip"), get("/", "", "Accept-Encoding", "gzip, br"), false},
		{"D11.17: weight 0", NewPolicy(nil, none, none, true, true), get("/", "", "Accept-Encoding", "gzip, br;q=0"), get("/", "", "Accept-Encoding", "gzip"), true},
		{"spoofed computed header", NewPolicy([]string{"CloudFront-Viewer-Country"}, none, none, false, false), get("/", "", "CloudFront-Viewer-Country", "DE"), get("/", ""), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := tt.policy.Build(tt.a)
			b, _ := tt.policy.Build(tt.b)
			if (a == b) != tt.same {
				t.Errorf("keys %q and %q, want same = %v", a, b, tt.same)
			}
		})
	}
}

func TestForward(t *testing.T) {
	p := NewPolicy([]string{"Origin"}, Selection{AllExcept, []string{"x"}}, Selection{Listed, []string{"v", "w"}}, true, true)
	_, got := p.Build(Parts{Distribution: "E1", Method: "GET", Path: "/", Query: "w&u=2&v=1&v=3",
		Header: fields("origin", "https://a", "Cookie", "b=2; x=1; $Version=1; junk", "cookie", "a=1", "Accept-Encoding", "deflate", "Other", "no")})
	want := Forward{Query: "w&v=1&v=3", Cookie: "a=1; b=2", Class: Plain, Header: fields("Origin", "https://a", "Accept-Encoding", "identity")}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("D11.4, D11.12–D11.16: (-want +got)\n%s", d)
	}
}

func TestClasses(t *testing.T) {
	for _, tt := range []struct {
		asked Class
		ce    string
		want  Class
	}{{BrotliGzip, "gzip", Gzip}, {BrotliGzip, "br", Brotli}, {BrotliGzip, "", BrotliGzip}, {Gzip, "br", Gzip}} {
		if got := tt.asked.Stored(tt.ce); got != tt.want {
			t.Errorf("D11.18: %q answered with %q is stored as %q, want %q", tt.asked, tt.ce, got, tt.want)
		}
	}
	p := NewPolicy(nil, Selection{}, Selection{}, true, true)
	both, _ := p.Build(Parts{Method: "GET", Path: "/", Header: fields("Accept-Encoding", "gzip,br")})
	gzip, _ := p.Build(Parts{Method: "GET", Path: "/", Header: fields("Accept-Encoding", "gzip")})
	if both.With(Gzip) != gzip {
		t.Error("D11.18: a viewer of both cannot find the gzip object")
	}
}

func TestKeysAreUnambiguous(t *testing.T) {
	type request struct {
		path, query string
		a, b        *string
		cookie      string
	}
	p := NewPolicy([]string{"A", "B"}, Selection{Mode: All}, Selection{Mode: All}, false, false)
	build := func(r request) Key {
		in := Parts{Distribution: "E1", Method: "GET", Path: r.path, Query: r.query}
		if r.a != nil {
			in.Header.Add("A", *r.a)
		}
		if r.b != nil {
			in.Header.Add("B", *r.b)
		}
		if r.cookie != "" {
			in.Header.Add("Cookie", "c="+r.cookie)
		}
		k, _ := p.Build(in)
		return k
	}
	text := rapid.StringMatching(`[ab\x00\x01\x02]{0,3}`)
	draw := rapid.Custom(func(t *rapid.T) request {
		return request{text.Draw(t, "path"), text.Draw(t, "query"), rapid.Ptr(text, true).Draw(t, "a"), rapid.Ptr(text, true).Draw(t, "b"), text.Draw(t, "cookie")}
	})
	rapid.Check(t, func(t *rapid.T) {
		x, y := draw.Draw(t, "x"), draw.Draw(t, "y")
		if (build(x) == build(y)) != cmp.Equal(x, y, cmp.AllowUnexported(request{})) {
			t.Fatalf("%+v and %+v: keys %q and %q", x, y, build(x), build(y))
		}
	})
}

func FuzzBuild(f *testing.F) {
	f.Add("/a", "b=1&c", "x=1; y", "gzip;q=0, br")
	p := NewPolicy([]string{"X"}, Selection{AllExcept, []string{"y"}}, Selection{Listed, []string{"b"}}, true, true)
	f.Fuzz(func(t *testing.T, path, query, cookie, encoding string) {
		k, fwd := p.Build(Parts{Path: path, Query: query, Header: fields("Cookie", cookie, "Accept-Encoding", encoding)})
		if k == "" || len(fwd.Query) > len(query) {
			t.Errorf("key %q, forwarded query %q of %q", k, fwd.Query, query)
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	p := NewPolicy(nil, Selection{Mode: None}, Selection{Mode: None}, true, true)
	in := Parts{Distribution: "E2QWRUHAPOMQZL", Method: "GET", Path: "/images/logo.png"}
	b.ReportAllocs()
	for b.Loop() {
		p.Build(in)
	}
}
