// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

func TestRequests(t *testing.T) {
	got := make(chan *exchange.Request, 1)
	s := serve(t, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		got <- req
		_, _ = to.Send(ctx, &exchange.Answer{Status: 204})
	})
	for _, tt := range []struct {
		name, raw string
		want      exchange.Request
	}{
		{
			"D5: the target byte for byte", "GET //a/../b%2fc%2Fd%7E;?x=%20&y%zz HTTP/1.1\r\nHost: H.test:80\r\nB: 2\r\nA: 1\r\nb: 3\r\n\r\n",
			exchange.Request{Method: "GET", Target: "//a/../b%2fc%2Fd%7E;?x=%20&y%zz", Host: "H.test:80", Major: 1, Minor: 1, Header: fields("A", "1", "B", "2", "B", "3")},
		},
		{
			"D1.1: HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n",
			exchange.Request{Method: "GET", Target: "/", Major: 1, Minor: 0, Header: header.Fields{}},
		},
		{
			"RFC 9112 3.2.2: absolute form", "GET http://other.test/a?b=c HTTP/1.1\r\nHost: h.test\r\n\r\n",
			exchange.Request{Method: "GET", Target: "/a?b=c", Host: "other.test", Major: 1, Minor: 1, Header: header.Fields{}},
		},
		{
			"D4.4: a body by length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
			exchange.Request{Method: "POST", Target: "/", Host: "h", Major: 1, Minor: 1, HasBody: true, Header: fields("Content-Length", "3")},
		},
		{
			"D4.4: a body by chunks", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			exchange.Request{Method: "GET", Target: "/", Host: "h", Major: 1, Minor: 1, HasBody: true, Header: header.Fields{}},
		},
		{
			"D4.4: an empty body", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
			exchange.Request{Method: "GET", Target: "/", Host: "h", Major: 1, Minor: 1, Header: fields("Content-Length", "0")},
		},
		{
			"D4.1: any method reaches the pipeline", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Request{Method: "OPTIONS", Target: "*", Host: "h", Major: 1, Minor: 1, Header: header.Fields{}},
		},
		{
			"D4.1: unknown method", "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Request{Method: "BREW", Target: "/pot", Host: "h", Major: 1, Minor: 1, Header: header.Fields{}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, r := dial(t, s.http)
			if _, err := io.WriteString(c, tt.raw); err != nil {
				t.Fatal(err)
			}
			if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 204 ") {
				t.Fatalf("answer %q, %v", line, err)
			}
			req := <-got
			if req.Viewer.String() != c.LocalAddr().String() {
				t.Errorf("viewer %v, want %v", req.Viewer, c.LocalAddr())
			}
			tt.want.Viewer, tt.want.Scheme = req.Viewer, "http"
			if diff := cmp.Diff(tt.want, *req, cmp.Comparer(func(a, b exchange.Request) bool { return fmt.Sprint(a) == fmt.Sprint(b) })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTarget(t *testing.T) {
	for uri, want := range map[string]string{
		"/":                    "/",
		"/http://x/y":          "/http://x/y",
		"http://h":             "/",
		"http://h?q=/x":        "/?q=/x",
		"https://h:1/a//b?c=d": "/a//b?c=d",
		"HTTP://h/a":           "/a",
		"*":                    "*",
		"h.test:443":           "h.test:443",
		"ftp://h/a":            "ftp://h/a",
		"http:///a":            "http:///a",
		"http://":              "http://",
		"https://?q":           "https://?q",
		"http://u:p@h/a":       "http://u:p@h/a",
		"http://h/a@b":         "/a@b",
	} {
		if got := target(uri); got != want {
			t.Errorf("target(%q) = %q, want %q", uri, got, want)
		}
	}
}

// A field Host beside :authority, and a :path that is none, are HTTP/2's ways of
// naming two hosts.
func TestOneHostOnHTTP2(t *testing.T) {
	for _, tt := range []struct {
		name, target, authority string
		host                    []string
		want                    exchange.Request
	}{
		{"as usual", "/a", "h.test", nil, exchange.Request{Target: "/a", Host: "h.test"}},
		{"the same", "/a", "h.test", []string{"H.test"}, exchange.Request{Target: "/a", Host: "h.test"}},
		{"RFC 9113 8.3.1: another", "/a", "h.test", []string{"other.test"}, exchange.Request{Target: "/a"}},
		{"two", "/a", "h.test", []string{"h.test", "other.test"}, exchange.Request{Target: "/a"}},
		{"RFC 9113 8.3.1: absolute", "http://other.test/a", "h.test", nil, exchange.Request{Target: "http://other.test/a", Host: "h.test"}},
	} {
		r := &http.Request{Method: "GET", RequestURI: tt.target, Host: tt.authority, ProtoMajor: 2, Header: http.Header{}}
		if tt.host != nil {
			r.Header["Host"] = tt.host
		}
		tt.want.Method, tt.want.Scheme, tt.want.Major, tt.want.Header = "GET", "http", 2, header.Fields{}
		if got := request(r); fmt.Sprint(*got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, *got, tt.want)
		}
	}
}
