// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// FuzzServe sends what a viewer could send. Whatever it is, there is one answer, and
// the origin is asked for nothing but a path of the configured server.
func FuzzServe(f *testing.F) {
	f.Add("GET", "/a?b=c", host, "Connection", "x, y")
	f.Add("HEAD", "//..%2e/%zz", "WWW.example.com:80", "If-None-Match", `W/"1", *`)
	f.Add("get", "*", "[::1", "Accept-Encoding", "br;q=0, gzip")
	f.Add("GET", "/\xff\x7f", "a..b", "traceparent", "00-x")
	e := newEdge(f, options{})
	f.Fuzz(func(t *testing.T, method, target, name, field, value string) {
		r := &exchange.Request{
			Method: method, Target: target, Host: name, Scheme: "http", Major: 1, Minor: 1, Header: fieldsOf(field, value),
		}
		g := &got{}
		e.Serve(t.Context(), r, g)
		switch g.status {
		case 200, 304, 400, 403, 412, 414, 494:
		default:
			t.Errorf("%d for %q %q %q %q: %q", g.status, method, target, name, field, value)
		}
		if g.sends != 1 || len(g.header.Values("X-Seafront-Id")) != 1 {
			t.Errorf("answered %d times, %v", g.sends, g.header)
		}
		for _, asked := range e.origin.requests() {
			if asked.Target[0] != '/' || strings.ContainsFunc(asked.Target, func(c rune) bool { return c <= ' ' || c == '#' }) {
				t.Errorf("asked for %q", asked.Target)
			}
		}
	})
}
