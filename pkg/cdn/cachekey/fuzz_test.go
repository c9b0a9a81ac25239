// SPDX-License-Identifier: Apache-2.0

package cachekey_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
)

// isSubsequence says whether got is want with some elements left out.
func isSubsequence(got, want []string) bool {
	for _, w := range want {
		if len(got) > 0 && got[0] == w {
			got = got[1:]
		}
	}
	return len(got) == 0
}

// selections are one of each mode, around one name.
func selections(name string) []cachekey.Selection {
	return []cachekey.Selection{none, listed(name), allExcept(name), all}
}

func FuzzQuery(f *testing.F) {
	for _, seed := range [][2]string{{"a=1&b=2&a=3", "a"}, {"&&=&a", ""}, {"a;b=1&c", "a;b"}, {"", "a"}, {"%zz&+", "+"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, query, name string) {
		for _, s := range selections(name) {
			p := keyQuery(s)
			k, got := p.Build(withQuery(query))
			if got.HasQuery != (got.Query != "") || k == "" {
				t.Errorf("%v of %q: key %q, forwarded %+v", s, query, k, got)
			}
			if !got.HasQuery {
				continue
			}
			pieces := strings.Split(got.Query, "&")
			if !isSubsequence(pieces, strings.Split(query, "&")) {
				t.Errorf("%v of %q forwards %q, which is no part of it", s, query, got.Query)
			}
			for _, piece := range pieces {
				n, _, _ := strings.Cut(piece, "=")
				if s.Mode == cachekey.Listed && n != name || s.Mode == cachekey.AllExcept && n == name {
					t.Errorf("%v of %q forwards %q", s, query, piece)
				}
			}
			// What the origin's next cache gets leads to the same key.
			if again, _ := p.Build(withQuery(got.Query)); again != k {
				t.Errorf("%v of %q forwards %q, which has another key", s, query, got.Query)
			}
		}
	})
}

func FuzzCookie(f *testing.F) {
	for _, seed := range [][2]string{{"b=2; a=1", "a"}, {"$Version=1; a=1;;=; x", "x"}, {" a = 1 ;\ta=", "a "}, {"", ""}, {"a=1; a=1", "a"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, value, name string) {
		for _, s := range selections(name) {
			p := keyCookies(s)
			k, got := p.Build(get("Cookie", value))
			if got.HasCookie != (got.Cookie != "") || k == "" {
				t.Errorf("%v of %q: key %q, forwarded %+v", s, value, k, got)
			}
			if !got.HasCookie {
				continue
			}
			checkCookies(t, value, got.Cookie)
			if again, _ := p.Build(get("Cookie", got.Cookie)); again != k {
				t.Errorf("%v of %q forwards %q, which has another key", s, value, got.Cookie)
			}
		}
	})
}

// checkCookies compares what is forwarded with what the viewer sent.
func checkCookies(t *testing.T, sent, forwarded string) {
	t.Helper()
	var left []string
	for piece := range strings.SplitSeq(sent, ";") {
		left = append(left, strings.Trim(piece, " \t"))
	}
	last := ""
	for pair := range strings.SplitSeq(forwarded, "; ") {
		i := slices.Index(left, pair)
		if i < 0 {
			t.Fatalf("%q forwards %q, which was not sent as often", sent, pair)
		}
		left = slices.Delete(left, i, i+1)
		name, _, ok := strings.Cut(pair, "=")
		if !ok || name == "" || name[0] == '$' || name < last {
			t.Errorf("%q forwards %q behind %q", sent, pair, last)
		}
		last = name
	}
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br", "br;q=0", "gzip;q=0.000;x, br", ";;,,q=0", "*", "gzip; q = 0"} {
		f.Add(seed)
	}
	p := keyEncoding(true, true)
	f.Fuzz(func(t *testing.T, value string) {
		k, got := p.Build(get("Accept-Encoding", value))
		if !got.HasAcceptEncoding || got.AcceptEncoding != got.Encoding.String() {
			t.Fatalf("%q: %+v", value, got)
		}
		again, forwarded := p.Build(get("Accept-Encoding", got.AcceptEncoding))
		if again != k || forwarded.Encoding != got.Encoding {
			t.Errorf("%q is of class %v, but what is sent for it of %v", value, got.Encoding, forwarded.Encoding)
		}
	})
}
