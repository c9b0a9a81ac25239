// SPDX-License-Identifier: Apache-2.0

package cachekey_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
)

func TestForward(t *testing.T) {
	p := cachekey.NewPolicy([]string{"X-Two", "Origin", "X-Empty", "X-Absent", "CloudFront-Viewer-Country"}, allExcept("x"), listed("v", "w"), true, true)
	in := cachekey.Parts{
		Distribution: "E1", Method: "GET", Path: "/", Query: "w&u=2&v=1&v=3", HasQuery: true,
		Header: fields(
			"origin", "https://a.test", "X-TWO", "1", "Cookie", "b=2; x=1; $Version=1; junk", "x-two", "2", "X-Empty", "",
			"cookie", "a=1", "Accept-Encoding", "deflate", "Other", "no", "CloudFront-Viewer-Country", "DE"),
	}
	want := cachekey.Forward{
		Query: "w&v=1&v=3", HasQuery: true, // D11.12
		Cookie: "a=1; b=2", HasCookie: true, // D11.13, D11.14
		AcceptEncoding: "identity", HasAcceptEncoding: true, Encoding: cachekey.Identity, // D11.16
		Header: fields("Origin", "https://a.test", "X-Empty", "", "X-Two", "1,2"), // D11.4, D11.7
	}
	_, got := p.Build(in)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}

	t.Run("D11.4: nothing keyed, nothing forwarded", func(t *testing.T) {
		_, got := new(cachekey.Policy).Build(in)
		if d := cmp.Diff(cachekey.Forward{Encoding: cachekey.Unkeyed}, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	})
}

func TestForwardQuery(t *testing.T) {
	for _, tt := range []struct {
		name   string
		choice cachekey.Selection
		query  string
		want   string
	}{
		{"D11.9: semicolon is data", listed("a"), "a=1;b=2&c=3", "a=1;b=2"},
		{"D11.9: first equals sign splits", listed("a"), "a=b=c&a%3Db=1", "a=b=c"},
		{"D11.9: names are not decoded", listed("a"), "%61=1&a=2", "a=2"},
		{"D11.9: name without a value", listed("a"), "a&b", "a"},
		{"D11.6: star is literal in a list", listed("*"), "a=1&*=2", "*=2"},
		{"D11.6: star is literal in an exception", allExcept("*"), "a=1&*=2", "a=1"},
		{"D11.10: request order, not list order", listed("b", "a"), "a=1&x=0&b=2", "a=1&b=2"},
		{"D11.11: duplicates", listed("a"), "a=1&x=0&a=1", "a=1&a=1"},
		{"D11.12: no piece left", listed("z"), "a=1&b=2", ""},
		{"D11.12: all but", allExcept("b"), "a=1&b=2&c=3", "a=1&c=3"},
		{"D11.12: empty pieces", allExcept("b"), "&b=1&&a=1&", "&&a=1&"},
		{"D11.12: only an empty piece left", allExcept("b"), "b=1&", ""},
		{"D11.12: all, byte for byte", all, "&a==&&b;%zz+", "&a==&&b;%zz+"},
		{"D11.12: none", none, "a=1", ""},
		{"D11.11: bare question mark", all, "", ""},
		{"D11.12: an empty list", listed(), "a=1", ""},
		{"D11.12: an empty exception", allExcept(), "a=1&b", "a=1&b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := keyQuery(tt.choice)
			_, got := p.Build(withQuery(tt.query))
			if got.Query != tt.want || got.HasQuery != (tt.want != "") {
				t.Errorf("%q forwards %q, %v, want %q", tt.query, got.Query, got.HasQuery, tt.want)
			}
		})
	}
}

func TestForwardCookie(t *testing.T) {
	for _, tt := range []struct {
		name   string
		choice cachekey.Selection
		cookie string
		want   string
	}{
		{"D11.13: sorted by name", all, "b=2; a=1; c=3", "a=1; b=2; c=3"},
		{"D11.13: natural order is by byte", all, "a=1; B=2; a2=3; a10=4", "B=2; a=1; a10=4; a2=3"},
		{"D11.13: ties keep request order", all, "b=1; a=2; a=1", "a=2; a=1; b=1"},
		{"D11.13: no name–value pair", all, "junk; =1; ; a=1", "a=1"},
		{"D11.13: empty value", all, "a=", "a="},
		{"D11.13: equals signs in the value", all, "a=b=c", "a=b=c"},
		{"D11.13: missing and extra spaces", all, "b=2;a=1;  c=3\t", "a=1; b=2; c=3"},
		{"D11.13: case of names", listed("A"), "a=1; A=2", "A=2"},
		{"D11.13: all but", allExcept("b"), "c=3; b=2; a=1", "a=1; c=3"},
		{"D11.14: $ names", all, "$Version=1; a=1; $Path=/", "a=1"},
		{"D11.14: $ names though listed", listed("$Version"), "$Version=1", ""},
		{"D11.6: star is literal", listed("s*"), "session=1; s*=2", "s*=2"},
		{"D11.13: none", none, "a=1", ""},
		{"D11.13: none left", listed("z"), "a=1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := keyCookies(tt.choice)
			_, got := p.Build(get("Cookie", tt.cookie))
			if got.Cookie != tt.want || got.HasCookie != (tt.want != "") {
				t.Errorf("%q forwards %q, %v, want %q", tt.cookie, got.Cookie, got.HasCookie, tt.want)
			}
		})
	}
}
