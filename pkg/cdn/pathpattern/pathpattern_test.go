// SPDX-License-Identifier: Apache-2.0

package pathpattern

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	for _, good := range []string{"/images/*.jpg", "images/*.jpg", "*", "/a?c", "/*/x/*", "/~user/@me:1+2&3", "*.doc*", strings.Repeat("a", 255)} {
		if err := Check(good); err != nil {
			t.Errorf("C2.353: %q refused: %v", good, err)
		}
	}
	for _, bad := range []string{"", "/a b", "/ä", "/a%20b", "/a#b", strings.Repeat("a", 256)} {
		if Check(bad) == nil {
			t.Errorf("C2.353: %q accepted", bad)
		}
	}
	if Canonical("x") != Canonical("/x") {
		t.Error("C2.68: /x and x differ")
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		rule, pattern, path string
		want                bool
	}{
		{"C2.354", "images/*.jpg", "/images/a.jpg", true},
		{"C2.354", "images/*.jpg", "/images/p/q.jpg", true},
		{"C2.354", "images/*.jpg", "/images/a.JPG", false},
		{"C2.354", "images/*.jpg", "/images/a.jpg2", false},
		{"C2.354", "images/*.jpg", "/x/images/a.jpg", false},
		{"D5.7", "a??.jpg", "/ant.jpg", true},
		{"D5.7", "a??.jpg", "/abe.jpg", true},
		{"D5.7", "a??.jpg", "/at.jpg", false},
		{"D5.7", "*.doc?", "/x.doc", false},
		{"D5.7", "*.doc*", "/x.doc", true},
		{"D5.3", "a?b", "/a/b", true},
		{"D5.4", "a*.jpg", "/abra/cadabra/magic.jpg", true},
		{"D5.4", "*.jpg", "/LOGO.JPG", false},
		{"D5.5", "/a", "/ab", false},
		{"D5.1", "*", "/", true},
	} {
		l, err := NewList([]string{tt.pattern})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Match(tt.path) == 0; got != tt.want {
			t.Errorf("%s: %q on %q = %v", tt.rule, tt.pattern, tt.path, got)
		}
	}
}

func TestListOrder(t *testing.T) {
	l, err := NewList([]string{"images/*.jpg", "images/*", "*.gif", "*"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/images/sample.gif": 1, "/a.gif": 2, "/": 3} {
		if got := l.Match(path); got != want {
			t.Errorf("C2.354: %q matches %d, want %d", path, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { l.Match("/images/x/y.png") }); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

func TestMatchAgainstRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[ab/*?]{1,8}`).Draw(t, "pattern")
		s := "/" + rapid.StringMatching(`[ab/]{0,8}`).Draw(t, "path")
		re := regexp.QuoteMeta(Canonical(p))
		re = strings.ReplaceAll(strings.ReplaceAll(re, `\*`, `.*`), `\?`, `.`)
		l, err := NewList([]string{p})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := l.Match(s) == 0, regexp.MustCompile("^"+re+"$").MatchString(s); got != want {
			t.Fatalf("%q on %q = %v, want %v", p, s, got, want)
		}
	})
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "/a/b": "/a/b", "/a/b/..": "/a/", "/a/./b": "/a/b", "//a///b": "/a/b", "/a/b/../../..": "/",
		"/%61": "/a", "/a%2Fb": "/a%2Fb", "/%2e%2e/x": "/x", "/a%": "/a%", "/a%zz": "/a%zz", "/a%2": "/a%2", "/.a": "/.a",
		"/a/": "/a/", "/a/.": "/a/", "": "/", "x": "/x",
	} {
		if got := Normalize(in); got != want {
			t.Errorf("D5.8: Normalize(%q) = %q, want %q", in, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Normalize("/images/a.b/c.png") }); n != 0 {
		t.Errorf("Normalize allocates %v times", n)
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("/a/../%2e/b//c")
	f.Fuzz(func(t *testing.T, s string) {
		n := Normalize(s)
		if !strings.HasPrefix(n, "/") || strings.Contains(n, "//") || strings.Contains(n+"/", "/../") {
			t.Errorf("Normalize(%q) = %q", s, n)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	patterns := []string{}
	for i := range 74 {
		patterns = append(patterns, "/section"+string(rune('a'+i%26))+"/*.jpg")
	}
	l, err := NewList(append(patterns, "*"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Match(Normalize("/articles/2026/11/index.html"))
	}
}
