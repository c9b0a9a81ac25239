// SPDX-License-Identifier: Apache-2.0

package pathpattern_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pattern string
		want    string // part of the error, empty for a good pattern
	}{
		{"C2.353: folder and suffix", "/images/*.jpg", ""},
		{"C2.353: without a leading slash", "images/*.jpg", ""},
		{"C2.353: star alone", "*", ""},
		{"C2.353: question mark", "/a?c", ""},
		{"C2.353: two stars", "/*/x/*", ""},
		{"C2.353: symbols", "/~user/@me:1+2&3", ""},
		{"C2.353: two stars around a suffix", "*.doc*", ""},
		{"D5.2: the whole alphabet", `/azAZ09_-.*$/~"'@:+&?`, ""},
		{"C2.68: 255 characters", strings.Repeat("a", 255), ""},
		{"C2.353: empty", "", "empty"},
		{"C2.353: space", "/a b", `' '`},
		{"C2.353: not ASCII", "/ä", `'ä'`},
		{"C2.353: escape", "/a%20b", `'%'`},
		{"C2.353: fragment", "/a#b", `'#'`},
		{"D5.3: no character classes", "/[ab]", `'['`},
		{"D5.3: no escaping", `/a\*`, `'\\'`},
		{"D5.2: not UTF-8", "/\xff", "has the character"},
		{"C2.353: 256 characters", strings.Repeat("a", 256), "256 characters"},
		{"C2.68: characters are counted, not bytes", strings.Repeat("ä", 200), `'ä'`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := pathpattern.Check(tt.pattern)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check(%q) = %v, want an error with %q", tt.pattern, err, tt.want)
			}
			if _, got := pathpattern.Compile(tt.pattern); (got == nil) != (err == nil) {
				t.Errorf("Compile(%q): %v, but Check: %v", tt.pattern, got, err)
			}
		})
	}
}

func TestCanonical(t *testing.T) {
	for _, tt := range []struct{ name, pattern, want string }{
		{"D5.4: slash is added", "images/*", "/images/*"},
		{"D5.4: slash is kept", "/images/*", "/images/*"},
		{"D5.4: star", "*", "/*"},
		{"C2.353: x and /x are duplicates", "x", "/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := pathpattern.Canonical(tt.pattern); got != tt.want {
				t.Errorf("Canonical(%q) = %q, want %q", tt.pattern, got, tt.want)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name, pattern, path string
		want                bool
	}{
		{"C2.354: one folder", "images/*.jpg", "/images/a.jpg", true},
		{"C2.354: a star takes slashes", "images/*.jpg", "/images/p/q.jpg", true},
		{"C2.354: case of the suffix", "images/*.jpg", "/images/a.JPG", false},
		{"C2.354: anchored at the end", "images/*.jpg", "/images/a.jpg2", false},
		{"C2.354: anchored at the start", "images/*.jpg", "/x/images/a.jpg", false},
		{"D5.7: images/*.jpg", "images/*.jpg", "/images/product1/x.jpg", true},
		{"C2.354: a??.jpg, ant", "a??.jpg", "/ant.jpg", true},
		{"C2.354: a??.jpg, abe", "a??.jpg", "/abe.jpg", true},
		{"C2.354: a??.jpg, at", "a??.jpg", "/at.jpg", false},
		{"D5.7: a??.jpg, a", "a??.jpg", "/a.jpg", false},
		{"C2.354: ? takes exactly one", "*.doc?", "/x.doc", false},
		{"D5.7: *.doc? takes one", "*.doc?", "/x.docx", true},
		{"D5.7: *.doc? does not take two", "*.doc?", "/x.docxy", false},
		{"C2.354: * takes none", "*.doc*", "/x.doc", true},
		{"D5.7: *.doc* takes more", "*.doc*", "/x.docm", true},
		{"D5.7: a star in front takes none", "*.doc*", "/.doc", true},
		{"D5.3: ? takes a slash", "a?b", "/a/b", true},
		{"D5.3: ? takes no nothing", "a?b", "/ab", false},
		{"D5.4: a*.jpg, apple", "a*.jpg", "/apple.jpg", true},
		{"D5.4: a*.jpg, folders", "a*.jpg", "/abra/cadabra/magic.jpg", true},
		{"D5.4: a*.jpg needs the a first", "a*.jpg", "/ba.jpg", false},
		{"D5.4: with the slash", "/a*.jpg", "/apple.jpg", true},
		{"D5.5: case", "*.jpg", "/LOGO.JPG", false},
		{"D5.5: no wildcard", "/a", "/a", true},
		{"D5.5: no wildcard, longer path", "/a", "/ab", false},
		{"D5.5: no wildcard, shorter path", "/ab", "/a", false},
		{"D5.5: prefix and suffix do not overlap", "/aba*aba", "/aba", false},
		{"D5.5: prefix and suffix touch", "/ab*ab", "/abab", true},
		{"D5.3: the last star goes on", "/*ab*cd*", "/xabyabzcd", true},
		{"D5.3: order of the parts", "/*ab*cd*", "/cdab", false},
		{"D5.3: stars beside each other", "/a**b", "/ab", true},
		{"D5.3: star and question mark", "/a*?", "/a", false},
		{"D5.1: the default pattern takes the root", "*", "/", true},
		{"D5.1: a path without a slash", "*", "x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := pathpattern.Compile(tt.pattern)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Match(tt.path); got != tt.want {
				t.Errorf("%q matches %q: %v, want %v", tt.pattern, tt.path, got, tt.want)
			}
		})
	}
}

func TestListMatch(t *testing.T) {
	l := mustList(t, "images/*.jpg", "images/*", "*.gif", "/a/b*", "/a*", "*")
	for _, tt := range []struct {
		name string
		path string // raw
		want int
	}{
		{"C2.354: first match, not the best", "/images/sample.gif", 1},
		{"D5.1: the first of two", "/images/sample.jpg", 0},
		{"C2.354: third", "/a.gif", 2},
		{"C2.354: default", "/", 5},
		{"D5.8: dot segments", "/a/b/..", 4},
		{"D5.8: encoded dot segments", "/a/b/%2E%2e", 4},
		{"D5.8: encoded letters", "/%69mages/x.png", 1},
		{"D5.8: doubled slashes", "//images//x.png", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := l.Match(pathpattern.Normalize(tt.path)); got != tt.want {
				t.Errorf("%q matches pattern %d, want %d", tt.path, got, tt.want)
			}
		})
	}
	t.Run("D5.1: nothing matches", func(t *testing.T) {
		if got := mustList(t, "/a", "/b").Match("/c"); got != -1 {
			t.Errorf("pattern %d, want -1", got)
		}
		if got := new(pathpattern.List).Match("/"); got != -1 {
			t.Errorf("empty list: pattern %d, want -1", got)
		}
	})
}

func TestNewListError(t *testing.T) {
	_, err := pathpattern.NewList([]string{"/a", "/b c"})
	if err == nil || !strings.Contains(err.Error(), `pattern 1 ("/b c") has the character ' '`) {
		t.Errorf("error %v, want one that names the second pattern", err)
	}
	if errors.Unwrap(err) == nil {
		t.Error("the error of Check is not wrapped")
	}
}

func mustList(tb testing.TB, patterns ...string) *pathpattern.List {
	tb.Helper()
	l, err := pathpattern.NewList(patterns)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}
