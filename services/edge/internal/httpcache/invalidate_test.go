// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInvalidated(t *testing.T) {
	target := Target{Scheme: "https", Host: "a.test:8443", Path: "/dir/page?x=1"}
	off := Policy{Semantics: HTTP}
	for _, tt := range []struct {
		name   string
		method string
		status int
		header []string
		policy Policy
		want   string
	}{
		{"RFC 9111 4.4: the target", "POST", 200, nil, pureHTTP, "/dir/page?x=1"},
		{"RFC 9111 4.4: unknown methods", "M-SEARCH", 204, nil, pureHTTP, "/dir/page?x=1"},
		{"RFC 9111 4.4: redirects are no errors", "POST", 303, []string{"Location", "/new"}, pureHTTP, "/dir/page?x=1 /new"},
		{"RFC 9111 4.4: errors change nothing", "POST", 400, nil, pureHTTP, ""},
		{"RFC 9111 4.4: nor do statuses that nobody knows", "POST", 999, nil, pureHTTP, ""},
		{"nor interim answers", "POST", 103, nil, pureHTTP, ""},
		{"RFC 9110 9.2.1: safe methods", "GET", 200, nil, pureHTTP, ""},
		{"RFC 9110 9.1: methods have one case", "get", 200, nil, pureHTTP, "/dir/page?x=1"},
		{"D13.13: CloudFront semantics", "POST", 200, nil, zeroMin, ""},
		{"D13.3: caching off", "POST", 200, nil, off, ""},
		{"Location, relative", "PUT", 201, []string{"Location", "other?y"}, pureHTTP, "/dir/page?x=1 /dir/other?y"},
		{"Location, above", "PUT", 201, []string{"Location", "../b/%2e%41"}, pureHTTP, "/dir/page?x=1 /b/%2e%41"},
		{"Location, absolute", "PUT", 201, []string{"Location", "https://A.test:8443"}, pureHTTP, "/dir/page?x=1 /"},
		{"Location, with a fragment", "PUT", 201, []string{"Location", "/a#b"}, pureHTTP, "/dir/page?x=1 /a"},
		{"both", "PUT", 201, []string{"Content-Location", "/b", "Location", "/a"}, pureHTTP, "/dir/page?x=1 /a /b"},
		{"the same again", "PUT", 201, []string{"Content-Location", "/a", "Location", "/a"}, pureHTTP, "/dir/page?x=1 /a"},
		{"RFC 9111 4.4: another host", "PUT", 201, []string{"Location", "https://b.test:8443/a"}, pureHTTP, "/dir/page?x=1"},
		{"RFC 9111 4.4: another port", "PUT", 201, []string{"Location", "https://a.test/a"}, pureHTTP, "/dir/page?x=1"},
		{"RFC 9111 4.4: another scheme", "PUT", 201, []string{"Location", "http://a.test:8443/a"}, pureHTTP, "/dir/page?x=1"},
		{"no path", "PUT", 201, []string{"Location", "mailto:a@a.test"}, pureHTTP, "/dir/page?x=1"},
		{"no reference", "PUT", 201, []string{"Location", "%zz"}, pureHTTP, "/dir/page?x=1"},
		{"empty", "PUT", 201, []string{"Location", ""}, pureHTTP, "/dir/page?x=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Invalidated(tt.method, target, tt.status, fields(tt.header...), tt.policy)
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("Invalidated (-want +got):\n%s", diff)
			}
		})
	}
	got := Invalidated("POST", Target{Scheme: "http", Host: "a b", Path: "/"}, 200, fields("Location", "/a"), pureHTTP)
	if diff := cmp.Diff([]string{"/"}, got); diff != "" {
		t.Errorf("a host that is none (-want +got):\n%s", diff)
	}
	for host, other := range map[string]string{"a.test": "http://a.test:80/a", "a.test:80": "http://a.test/a", "[::1]": "http://[::1]:80/a"} {
		got := Invalidated("POST", Target{Scheme: "http", Host: host, Path: "/"}, 200, fields("Location", other), pureHTTP)
		if diff := cmp.Diff([]string{"/", "/a"}, got); diff != "" {
			t.Errorf("RFC 9110 4.2.3: %s and %s (-want +got):\n%s", host, other, diff)
		}
	}
}

func FuzzInvalidated(f *testing.F) {
	f.Add("/a", "../b?c", "a.test")
	f.Add("//x", "https://a.test:443/", "a.test:443")
	f.Fuzz(func(t *testing.T, path, location, host string) {
		got := Invalidated("POST", Target{Scheme: "https", Host: host, Path: path}, 200, fields("Location", location), pureHTTP)
		if len(got) < 1 || len(got) > 2 || got[0] != path {
			t.Errorf("Invalidated(%q, %q, %q) = %q", path, location, host, got)
		}
		if len(got) == 2 && !strings.HasPrefix(got[1], "/") {
			t.Errorf("%q is no origin form", got[1])
		}
	})
}
