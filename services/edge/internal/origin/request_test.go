// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

func TestRequestHead(t *testing.T) {
	const start = "GET /a HTTP/1.1\r\nHost: o.test\r\nConnection: Keep-Alive\r\n"
	for _, tt := range []struct {
		name   string
		method string
		target string
		header header.Fields
		want   string
	}{
		{
			name: "D15.1: path and query go raw", target: "/a/%7e//../?x=%20&y=\xff",
			want: "GET /a/%7e//../?x=%20&y=\xff HTTP/1.1\r\nHost: o.test\r\nConnection: Keep-Alive\r\n\r\n",
		},
		{name: "HEAD", method: "HEAD", want: "HEAD" + start[3:] + "\r\n"},
		{
			name:   "D15.2: Connection is replaced, what is hop-by-hop removed",
			header: header.Fields{{Name: "connection", Value: "close"}, {Name: "Keep-Alive", Value: "1"}, {Name: "TE", Value: "trailers"}, {Name: "Trailer", Value: "x"}, {Name: "Upgrade", Value: "h2c"}, {Name: "Proxy-Authorization", Value: "x"}, {Name: "Proxy-Connection", Value: "x"}, {Name: "Accept", Value: "*/*"}},
			want:   start + "Accept: */*\r\n\r\n",
		},
		{
			name:   "no body, so nothing that announces one",
			header: header.Fields{{Name: "Content-Length", Value: "5"}, {Name: "Transfer-Encoding", Value: "chunked"}, {Name: "Host", Value: "evil"}},
			want:   start + "\r\n",
		},
		{
			name:   "D15.8: fields named by Connection are removed",
			header: header.Fields{{Name: "X-One", Value: "1"}, {Name: "Connection", Value: "keep-alive, x-one"}, {Name: "Connection", Value: "\tX-Two"}, {Name: "x-two", Value: "2"}, {Name: "X-Three", Value: "3"}},
			want:   start + "X-Three: 3\r\n\r\n",
		},
		{
			name:   "D15.9: names have canonical capitals, values stay",
			header: header.Fields{{Name: "user-agent", Value: "a  b"}, {Name: "x-amz-cf-id", Value: ""}, {Name: "x-b", Value: "é"}},
			want:   start + "User-Agent: a  b\r\nX-Amz-Cf-Id: \r\nX-B: é\r\n\r\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Request{Origin: &snapshot.Origin{Host: "o.test", HTTPPort: 80, Scheme: snapshot.HTTP}, Method: "GET", Target: "/a", Header: tt.header}
			if tt.method != "" {
				r.Method = tt.method
			}
			if tt.target != "" {
				r.Target = tt.target
			}
			before := tt.header.Clone(0)
			got, err := r.appendHead(nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, tt.header.Clone(0)); diff != "" {
				t.Errorf("the caller's fields changed: %s", diff)
			}
		})
	}
}

// TestCustomHeaders: they are sent in place of whatever else has their names (D15.6).
func TestCustomHeaders(t *testing.T) {
	custom := func(pairs ...string) []snapshot.CustomHeader {
		var out []snapshot.CustomHeader
		for i := 0; i+1 < len(pairs); i += 2 {
			out = append(out, snapshot.CustomHeader{Name: pairs[i], Value: snapshot.NewSecret(pairs[i+1])})
		}
		return out
	}
	viewer := header.Fields{{Name: "User-Agent", Value: "Seafront"}, {Name: "authorization", Value: "viewer"}, {Name: "Accept-Encoding", Value: "gzip"}, {Name: "Connection", Value: "x-key"}}
	const start = "GET /a HTTP/1.1\r\nHost: o.test\r\nConnection: Keep-Alive\r\n"
	for _, tt := range []struct {
		name   string
		custom []snapshot.CustomHeader
		want   string
	}{
		{"none", nil, "User-Agent: Seafront\r\nAuthorization: viewer\r\nAccept-Encoding: gzip\r\n"},
		{"C5.23: added, and in place of the viewer's", custom("AUTHORIZATION", "hush", "x-key", "1"), "User-Agent: Seafront\r\nAccept-Encoding: gzip\r\nAuthorization: hush\r\nX-Key: 1\r\n"},
		{"C5.22: in place of the edge's", custom("user-agent", "me"), "Authorization: viewer\r\nAccept-Encoding: gzip\r\nUser-Agent: me\r\n"},
		{"without a value", custom("X-Empty", ""), "User-Agent: Seafront\r\nAuthorization: viewer\r\nAccept-Encoding: gzip\r\nX-Empty: \r\n"},
		{"D11.20: Accept-Encoding without a value", custom("accept-encoding", ""), "User-Agent: Seafront\r\nAuthorization: viewer\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &snapshot.Origin{Host: "o.test", HTTPPort: 80, Scheme: snapshot.HTTP, Headers: tt.custom}
			got, err := (&Request{Origin: o, Method: "GET", Target: "/a", Header: viewer}).appendHead(nil)
			if diff := cmp.Diff(start+tt.want+"\r\n", string(got)); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
	o := &snapshot.Origin{Host: "o.test", HTTPPort: 80, Scheme: snapshot.HTTP, Headers: custom("X-Key", "hush\r\nX-Evil: 1")}
	if b, err := (&Request{Origin: o, Method: "GET", Target: "/a"}).appendHead(nil); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("C5.24: a line end in a value: %q, %v", b, err)
	}
}

func TestRequestRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Request)
	}{
		{"CONNECT", func(r *Request) { r.Method = "CONNECT" }},
		{"no method", func(r *Request) { r.Method = "" }},
		{"D4.12: space in the method", func(r *Request) { r.Method = "GET /" }},
		{"RFC 9110 §9.3.8: TRACE with a body", func(r *Request) { r.Method, r.Body, r.Length = "TRACE", strings.NewReader("a"), 1 }},
		{"line break in Upgrade", func(r *Request) { r.Upgrade = "a\r\nX: y" }},
		{"upgrade to h2c", func(r *Request) { r.Upgrade = "websocket, H2C" }},
		{"upgrade with a body", func(r *Request) { r.Upgrade, r.Body, r.Length = "websocket", strings.NewReader("a"), -1 }},
		{"no target", func(r *Request) { r.Target = "" }},
		{"target is not a path", func(r *Request) { r.Target = "*" }},
		{"D4.12: space in the target", func(r *Request) { r.Target = "/a b" }},
		{"D4.12: line break in the target", func(r *Request) { r.Target = "/a\r\nX: y" }},
		{"D4.12: DEL in the target", func(r *Request) { r.Target = "/a\x7f" }},
		{"D4.12: fragment in the target", func(r *Request) { r.Target = "/a#b" }},
		{"line break in the host", func(r *Request) { r.Host = "a\r\nX: y" }},
		{"user in the host", func(r *Request) { r.Host = "a@b" }},
		{"line break in a value", func(r *Request) { r.Header.Add("X", "a\nb") }},
		{"NUL in a value", func(r *Request) { r.Header.Add("X", "\x00") }},
		{"no name", func(r *Request) { r.Header.Add("", "a") }},
		{"space in a name", func(r *Request) { r.Header.Add("X ", "a") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Request{Origin: &snapshot.Origin{Host: "o.test", HTTPPort: 80, Scheme: snapshot.HTTP}, Method: "GET", Target: "/"}
			tt.change(r)
			_, err := newTestClient(t, Config{}).Fetch(t.Context(), r)
			if e := wantKind(t, err, BadRequest); e.Attempts != 0 {
				t.Errorf("attempts = %d", e.Attempts)
			}
		})
	}
}

func TestHostAndServerName(t *testing.T) {
	for _, tt := range []struct {
		name       string
		origin     snapshot.Origin
		viewer     string
		host       string
		wantHost   string
		wantSecure bool
		wantName   string
	}{
		{"D15.2: the origin's own host", snapshot.Origin{Host: "o.test", HTTPPort: 80, Scheme: snapshot.HTTP}, "https", "", "o.test", false, "o.test"},
		{"port that is not the scheme's", snapshot.Origin{Host: "o.test", HTTPPort: 8080, Scheme: snapshot.HTTP}, "http", "", "o.test:8080", false, "o.test"},
		{"port 443 of HTTPS", snapshot.Origin{Host: "O.test.", HTTPPort: 80, HTTPSPort: 443, Scheme: snapshot.HTTPS}, "http", "", "O.test.", true, "o.test"},
		{"D16.2: match-viewer, HTTPS", snapshot.Origin{Host: "o.test", HTTPPort: 80, HTTPSPort: 444, Scheme: snapshot.MatchViewer}, "https", "", "o.test:444", true, "o.test"},
		{"D16.2: match-viewer, HTTP", snapshot.Origin{Host: "o.test", HTTPPort: 80, HTTPSPort: 444, Scheme: snapshot.MatchViewer}, "http", "", "o.test", false, "o.test"},
		{"D16.5: a forwarded Host is the name to ask for", snapshot.Origin{Host: "o.test", HTTPSPort: 443, Scheme: snapshot.HTTPS}, "https", "WWW.example.com", "WWW.example.com", true, "www.example.com"},
		{"D16.5: without its port", snapshot.Origin{Host: "o.test", HTTPSPort: 443, Scheme: snapshot.HTTPS}, "https", "www.example.com:8443", "www.example.com:8443", true, "www.example.com"},
		{"IPv6", snapshot.Origin{Host: "::1", HTTPPort: 80, Scheme: snapshot.HTTP}, "http", "", "[::1]", false, "::1"},
		{"IPv6 with port", snapshot.Origin{Host: "[::1]", HTTPPort: 81, Scheme: snapshot.HTTP}, "http", "", "[::1]:81", false, "::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Request{Origin: &tt.origin, ViewerScheme: tt.viewer, Host: tt.host}
			if got := string(r.appendHost(nil)); got != tt.wantHost {
				t.Errorf("host = %q, want %q", got, tt.wantHost)
			}
			if got := r.secure(); got != tt.wantSecure {
				t.Errorf("secure = %v", got)
			}
			if got := r.serverName(); got != tt.wantName {
				t.Errorf("server name = %q, want %q", got, tt.wantName)
			}
		})
	}
}
