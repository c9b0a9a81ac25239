// SPDX-License-Identifier: Apache-2.0

package cachekey_test

import (
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

var (
	none = cachekey.Selection{Mode: cachekey.None}
	all  = cachekey.Selection{Mode: cachekey.All}
)

func listed(names ...string) cachekey.Selection {
	return cachekey.Selection{Mode: cachekey.Listed, Names: names}
}

func allExcept(names ...string) cachekey.Selection {
	return cachekey.Selection{Mode: cachekey.AllExcept, Names: names}
}

// keyHeaders, keyCookies, keyQuery and keyEncoding make policies that key one kind
// of thing.
func keyHeaders(names ...string) cachekey.Policy {
	return cachekey.NewPolicy(names, none, none, false, false)
}

func keyCookies(s cachekey.Selection) cachekey.Policy {
	return cachekey.NewPolicy(nil, s, none, false, false)
}

func keyQuery(s cachekey.Selection) cachekey.Policy {
	return cachekey.NewPolicy(nil, none, s, false, false)
}

func keyEncoding(gzip, brotli bool) cachekey.Policy {
	return cachekey.NewPolicy(nil, none, none, gzip, brotli)
}

// fields makes header lines of names and values in turn.
func fields(lines ...string) header.Fields {
	var f header.Fields
	for i := 0; i < len(lines); i += 2 {
		f.Add(lines[i], lines[i+1])
	}
	return f
}

// get is a GET for "/" with header lines.
func get(lines ...string) cachekey.Parts {
	return cachekey.Parts{Distribution: "E1", Method: "GET", Path: "/", Header: fields(lines...)}
}

func withMethod(method string) cachekey.Parts {
	in := get()
	in.Method = method
	return in
}

func withPath(path string) cachekey.Parts {
	in := get()
	in.Path = path
	return in
}

func withQuery(query string) cachekey.Parts {
	in := get()
	in.Query, in.HasQuery = query, true
	return in
}

func TestKeyParts(t *testing.T) {
	other := get()
	other.Distribution = "E2"
	shifted := withPath("1/")
	shifted.Distribution = "E"
	for _, tt := range []struct {
		name   string
		policy cachekey.Policy
		a, b   cachekey.Parts
		same   bool
	}{
		{"D11.1: GET and HEAD share", keyHeaders(), get(), withMethod("HEAD"), true},
		{"D11.1: OPTIONS apart", keyHeaders(), get(), withMethod("OPTIONS"), false},
		{"D11.1: POST is not taken for GET", keyHeaders(), get(), withMethod("POST"), false},
		{"D11.1: distributions apart", keyHeaders(), get(), other, false},
		{"D11.1: parts do not run into each other", keyHeaders(), get(), shifted, false},
		{"D11.2: Host is not in the key", keyHeaders(), get("Host", "a"), get("Host", "b"), true},
		{"D11.2: unless listed", keyHeaders("Host"), get("Host", "a"), get("Host", "b"), false},
		{"D11.3: slash at the end", keyHeaders(), withPath("/i"), withPath("/i/"), false},
		{"D11.3: escapes", keyHeaders(), withPath("/%41"), withPath("/A"), false},
		{"D11.3: case", keyHeaders(), withPath("/a"), withPath("/A"), false},
		{"D11.3: dot segments", keyHeaders(), withPath("/a/../b"), withPath("/b"), false},
		{"D11.7: case of the name", keyHeaders("X-A"), get("x-a", "1"), get("X-A", "1"), true},
		{"D11.7: case of the value", keyHeaders("X-A"), get("X-A", "a"), get("X-A", "A"), false},
		{"D11.7: absent is not empty", keyHeaders("X-A"), get(), get("X-A", ""), false},
		{"D11.7: order of headers", keyHeaders("X-A", "X-B"), get("X-B", "2", "X-A", "1"), get("X-A", "1", "X-B", "2"), true},
		{"D11.7: lines are joined", keyHeaders("X-A"), get("X-A", "1", "X-A", "2"), get("X-A", "1,2"), true},
		{"D11.7: order of lines", keyHeaders("X-A"), get("X-A", "1", "X-A", "2"), get("X-A", "2", "X-A", "1"), false},
		{"D11.7: headers not listed", keyHeaders("X-A"), get("X-B", "1"), get("X-B", "2"), true},
		{"D11.7: which of two is absent", keyHeaders("X-A", "X-B"), get("X-A", "1"), get("X-B", "1"), false},
		{"D11.6: star is no wildcard in headers", keyHeaders("*", "X-*"), get("X-A", "1"), get("X-A", "2"), true},
		{"D10.1: forged computed header", keyHeaders("CloudFront-Viewer-Country"), get("CloudFront-Viewer-Country", "DE"), get(), true},
		{"D10.1: forged in lower case", keyHeaders("cloudfront-viewer-country"), get("CLOUDFRONT-viewer-country", "DE"), get(), true},
		{"D11.9: plus is not an escaped space", keyQuery(all), withQuery("a=+"), withQuery("a=%20"), false},
		{"D11.9: case of query names", keyQuery(listed("a")), withQuery("a=1"), withQuery("A=1"), false},
		{"D11.9: not listed", keyQuery(listed("a")), withQuery("a=1&x=2"), withQuery("y=3&a=1"), true},
		{"D11.9: name without a value", keyQuery(listed("a")), withQuery("a"), withQuery("a="), false},
		{"D11.10: order of the query", keyQuery(all), withQuery("a=1&b=2"), withQuery("b=2&a=1"), false},
		{"D11.10: order of a listed query", keyQuery(listed("a", "b")), withQuery("a=1&b=2"), withQuery("b=2&a=1"), false},
		{"D11.11: duplicates", keyQuery(listed("a")), withQuery("a=1&a=1"), withQuery("a=1"), false},
		{"D11.11: bare question mark", keyQuery(all), withQuery(""), get(), true},
		{"D11.9: query not keyed", keyQuery(none), withQuery("a=1"), withQuery("a=2"), true},
		{"D11.13: cookies are sorted", keyCookies(all), get("Cookie", "b=2; a=1"), get("Cookie", "a=1; b=2"), true},
		{"D11.13: order of one name", keyCookies(all), get("Cookie", "a=1; a=2"), get("Cookie", "a=2; a=1"), false},
		{"D11.13: case of cookie names", keyCookies(all), get("Cookie", "a=1"), get("Cookie", "A=1"), false},
		{"D11.13: cookies not keyed", keyCookies(none), get("Cookie", "a=1"), get("Cookie", "a=2"), true},
		{"D11.13: several lines", keyCookies(all), get("Cookie", "b=2", "cookie", "a=1"), get("Cookie", "a=1; b=2"), true},
		{"D11.14: $ cookies", keyCookies(all), get("Cookie", "$Version=1; a=1"), get("Cookie", "a=1"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := tt.policy.Build(tt.a)
			b, _ := tt.policy.Build(tt.b)
			if (a == b) != tt.same {
				t.Errorf("keys %q and %q, want same: %v", a, b, tt.same)
			}
		})
	}
}

// One request by two policies.
func TestPolicies(t *testing.T) {
	request := get("X-A", "1", "X-B", "1", "Cookie", "a=1")
	for _, tt := range []struct {
		name string
		a, b cachekey.Policy
		in   cachekey.Parts
		same bool
	}{
		{"D11.7: order of the list", keyHeaders("X-A", "X-B"), keyHeaders("X-B", "X-A"), request, true},
		{"D11.7: spelling of the list", keyHeaders("X-A"), keyHeaders("x-a", "X-a"), request, true},
		{"D11.5: different headers of one value", keyHeaders("X-A"), keyHeaders("X-B"), request, false},
		{"D11.5: one more header that is absent", keyHeaders("X-A"), keyHeaders("X-A", "X-C"), request, true},
		{"D11.5: cookies by another list", keyCookies(all), keyCookies(listed("a")), request, true},
		{"D11.5: a header is not a cookie", keyHeaders("X-A"), keyCookies(all), request, false},
		{"D11.5: the zero policy", cachekey.Policy{}, keyHeaders(), request, true},
		{"D11.5: unknown mode keys nothing", keyCookies(cachekey.Selection{Names: []string{"a"}}), keyCookies(none), request, true},
		{"D11.16: no Accept-Encoding", keyEncoding(true, true), keyEncoding(false, false), request, true},
		{"D11.16: not enabled", keyEncoding(true, true), keyEncoding(false, false), get("Accept-Encoding", "gzip"), false},
		{"D11.19: plain header", keyHeaders("Accept-Encoding"), keyEncoding(true, true), get("Accept-Encoding", "gzip"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := tt.a.Build(tt.in)
			b, _ := tt.b.Build(tt.in)
			if (a == b) != tt.same {
				t.Errorf("keys %q and %q, want same: %v", a, b, tt.same)
			}
		})
	}
}

func TestPolicyKeepsNoSlices(t *testing.T) {
	headers, names := []string{"X-A"}, []string{"b", "a"}
	p := cachekey.NewPolicy(headers, listed(names...), none, false, false)
	in := get("X-A", "1", "Cookie", "a=1; b=2")
	before, _ := p.Build(in)
	headers[0], names[0], names[1] = "X-Z", "y", "z"
	if after, _ := p.Build(in); after != before {
		t.Errorf("key %q became %q when the caller changed its slices", before, after)
	}
}

func TestModeString(t *testing.T) {
	for mode, want := range map[cachekey.Mode]string{
		0: "unknown", cachekey.None: "none", cachekey.Listed: "listed", cachekey.AllExcept: "all-except", cachekey.All: "all", 9: "unknown",
	} {
		if got := mode.String(); got != want {
			t.Errorf("mode %d is %q, want %q", mode, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	for _, in := range []cachekey.Parts{
		{Distribution: "E1", Method: "GET", Path: "/a", Query: "x=1"},
		{Distribution: "", Method: "OPTIONS", Path: "/" + strings.Repeat("long", 100), Query: ""},
	} {
		p := cachekey.NewPolicy([]string{"A"}, none, all, true, false)
		k, _ := p.Build(in)
		for _, k := range []cachekey.Key{k, k + "h"} {
			d, path, query, ok := k.Parts()
			if !ok || d != in.Distribution || path != in.Path || query != in.Query {
				t.Errorf("Parts of %q = %q, %q, %q, %v", k, d, path, query, ok)
			}
		}
	}
	for _, k := range []cachekey.Key{"", "\x05abc", "\x01a\x00\x02", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if _, _, _, ok := k.Parts(); ok {
			t.Errorf("%q has parts", k)
		}
	}
}

func TestTells(t *testing.T) {
	keyed := cachekey.NewPolicy([]string{"Origin", "X-A"}, none, none, false, true)
	plain := cachekey.NewPolicy([]string{"Accept-Encoding"}, none, none, true, true)
	nothing := cachekey.NewPolicy(nil, all, all, false, false)
	for _, tt := range []struct {
		policy *cachekey.Policy
		field  string
		want   bool
	}{
		{&keyed, "origin", true},
		{&keyed, "x-a", true},
		{&keyed, "x", false},
		{&keyed, "accept-encoding", true},
		{&plain, "accept-encoding", true},
		{&nothing, "accept-encoding", false},
		{&nothing, "cookie", false},
		{&nothing, "", false},
	} {
		if got := tt.policy.Tells(tt.field); got != tt.want {
			t.Errorf("Tells(%q) = %v, want %v", tt.field, got, tt.want)
		}
	}
}
