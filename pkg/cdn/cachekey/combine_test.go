// SPDX-License-Identifier: Apache-2.0

package cachekey

import (
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/computed"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

func selections() map[string]Selection {
	return map[string]Selection{
		"none": {Mode: None}, "all": {Mode: All}, "listed b a": {Mode: Listed, Names: []string{"b", "a"}}, "listed c b": {Mode: Listed, Names: []string{"c", "b"}},
		"except b a": {Mode: AllExcept, Names: []string{"b", "a"}}, "except c b": {Mode: AllExcept, Names: []string{"c", "b"}}, "zero": {},
	}
}

// TestCombine holds the table of D11.23 name by name.
func TestCombine(t *testing.T) {
	for what, s := range selections() {
		for more, o := range selections() {
			key, policy := s.Prepare(), o.Prepare()
			both := key.Combine(policy)
			for _, name := range strings.Fields("a b c d") {
				want := key.includes(name) || policy.includes(name)
				if key.Mode == AllExcept && policy.Mode == AllExcept {
					want = key.includes(name) && policy.includes(name) // D11.24
				}
				if got := both.includes(name); got != want {
					t.Errorf("D11.23: %s with %s: %s is sent: %v, want %v", what, more, name, got, want)
				}
			}
		}
	}
}

func TestCombineTable(t *testing.T) {
	const query, cookie = "a=1&b=2&c=3&d=4", "d=4; c=3; b=2; a=1"
	s := selections()
	for _, tt := range []struct{ key, policy, query, cookie string }{
		{"none", "none", "", ""},
		{"none", "all", query, "a=1; b=2; c=3; d=4"},
		{"none", "listed c b", "b=2&c=3", "b=2; c=3"},
		{"none", "except c b", "a=1&d=4", "a=1; d=4"},
		{"all", "except c b", query, "a=1; b=2; c=3; d=4"},
		{"listed b a", "none", "a=1&b=2", "a=1; b=2"},
		{"listed b a", "listed c b", "a=1&b=2&c=3", "a=1; b=2; c=3"},
		{"listed b a", "except c b", "a=1&b=2&d=4", "a=1; b=2; d=4"},
		{"except b a", "none", "c=3&d=4", "c=3; d=4"},
		{"except b a", "all", query, "a=1; b=2; c=3; d=4"},
		{"except b a", "listed c b", "b=2&c=3&d=4", "b=2; c=3; d=4"},
		{"except b a", "except c b", "d=4", "d=4"},
	} {
		key, policy := s[tt.key].Prepare(), s[tt.policy].Prepare()
		both := key.Combine(policy)
		if got := both.Query(query); got != tt.query {
			t.Errorf("D11.23: query, %s with %s: %q, want %q", tt.key, tt.policy, got, tt.query)
		}
		if got := both.Cookie(header.Fields{{Name: "Cookie", Value: cookie}}); got != tt.cookie {
			t.Errorf("D11.23: cookies, %s with %s: %q, want %q", tt.key, tt.policy, got, tt.cookie)
		}
	}
}

// What the edge computes is in the key, and what a viewer forges is not (D10.1, D10.2).
func TestComputedInKey(t *testing.T) {
	p := NewPolicy([]string{"CloudFront-Forwarded-Proto", "CloudFront-Viewer-Country"}, Selection{}, Selection{}, false, false)
	parts := func(scheme string, pairs ...string) Parts {
		in := Parts{Distribution: "E1", Path: "/", Viewer: computed.Viewer{Scheme: scheme}}
		for i := 0; i < len(pairs); i += 2 {
			in.Header.Add(pairs[i], pairs[i+1])
		}
		return in
	}
	secure, f := p.Build(parts("https"))
	if len(f.Header) != 1 || f.Header[0] != (header.Field{Name: "CloudFront-Forwarded-Proto", Value: "https"}) {
		t.Errorf("D11.4: forwarded %v", f.Header)
	}
	if open, _ := p.Build(parts("http")); open == secure {
		t.Error("D10.2: the scheme is not in the key")
	}
	if forged, _ := p.Build(parts("https", "CloudFront-Forwarded-Proto", "http", "CloudFront-Viewer-Country", "DE")); forged != secure {
		t.Error("D10.1: a forged header is in the key")
	}
}
