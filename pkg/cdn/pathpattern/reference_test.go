// SPDX-License-Identifier: Apache-2.0

package pathpattern_test

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
)

// reference is the first pattern that matches by its translation into a regular
// expression, or -1.
func reference(patterns []string, path string) int {
	for i, p := range patterns {
		re := regexp.QuoteMeta("/" + strings.TrimPrefix(p, "/"))
		re = strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(re)
		if regexp.MustCompile(`(?s)\A` + re + `\z`).MatchString(path) {
			return i
		}
	}
	return -1
}

func TestMatchAgainstReference(t *testing.T) {
	t.Run("D5.1, D5.3, D5.5: as a regular expression", rapid.MakeCheck(func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.StringMatching(`[ab/*?]{1,9}`), 0, 6).Draw(t, "patterns")
		s := "/" + rapid.StringMatching(`[ab/]{0,12}`).Draw(t, "path")
		l, err := pathpattern.NewList(patterns)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := l.Match(s), reference(patterns, s); got != want {
			t.Fatalf("%q on %q: pattern %d, want %d", patterns, s, got, want)
		}
	}))
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"images/*.jpg\nimages/*\n*.gif", "/images/sample.gif"},
		{"/*ab*cd*\na??.jpg", "/xabyabzcd"},
		{"/ab*ab\n*.doc?", "/ab"},
		{"**?*\n*", "/"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, lines, raw string) {
		patterns := strings.Split(lines, "\n")
		l, err := pathpattern.NewList(patterns)
		if err != nil {
			return
		}
		// A path reaches the edge as bytes of ASCII; to a regular expression other
		// bytes would not be one character each.
		s := strings.Map(func(c rune) rune { return c & 0x7f }, raw)
		if got, want := l.Match(s), reference(patterns, s); got != want {
			t.Errorf("%q on %q: pattern %d, want %d", patterns, s, got, want)
		}
	})
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"/images/*.jpg", "*", "", "/ä", "/a b", "/\xff", strings.Repeat("a", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		p, err := pathpattern.Compile(pattern)
		if err != nil {
			return
		}
		// Every pattern matches itself with its wildcards read as characters.
		if !p.Match(pathpattern.Canonical(pattern)) {
			t.Errorf("%q does not match itself", pattern)
		}
	})
}

func TestNormalize(t *testing.T) {
	for _, tt := range []struct{ name, path, want string }{
		{"D5.8: root", "/", "/"},
		{"D5.8: normal", "/a/b.c/d", "/a/b.c/d"},
		{"D5.8: slash at the end stays", "/a/", "/a/"},
		{"D5.8: names that begin with dots", "/.well-known/..x/...", "/.well-known/..x/..."},
		{"D5.8: dot", "/a/./b", "/a/b"},
		{"D5.8: dot at the end", "/a/.", "/a/"},
		{"D5.8: two dots", "/a/b/../c", "/a/c"},
		{"D5.8: two dots at the end", "/a/b/..", "/a/"},
		{"D5.8: above the root", "/../../a", "/a"},
		{"D5.8: only dots", "/..", "/"},
		{"D5.8: slashes", "//a///b//", "/a/b/"},
		{"D5.8: only slashes", "///", "/"},
		{"D5.8: dot segments go before slashes collapse", "/a//../b", "/a/b"},
		{"D5.8: unreserved are decoded", "/%41%7a%30%2D%2e%5f%7E", "/Az0-._~"},
		{"D5.8: encoded dot segments", "/a/%2e%2E/b", "/b"},
		{"D5.8: half encoded dot segments", "/a/.%2e/b", "/b"},
		{"D5.8: encoded slash stays", "/a%2Fb%2f..", "/a%2Fb%2f.."},
		{"D5.8: other escapes stay as they are", "/%20%c3%A4%25", "/%20%c3%A4%25"},
		{"D5.8: decoded once", "/%252e%252e/a", "/%252e%252e/a"},
		{"D5.8: no second decoding", "/%%32e", "/%2e"},
		{"D5.8: malformed escapes", "/a%/%2/%zz/%g1/%1", "/a%/%2/%zz/%g1/%1"},
		{"D12.1: empty", "", "/"},
		{"D5.4: without a slash", "x", "/x"},
		{"D5.8: dots without a slash", "../x", "/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := pathpattern.Normalize(tt.path); got != tt.want {
				t.Errorf("Normalize(%q) = %q, want %q", tt.path, got, tt.want)
			}
		})
	}
}

func TestNormalizeProperties(t *testing.T) {
	t.Run("D5.8: as package path, but for slashes at the end", rapid.MakeCheck(func(t *rapid.T) {
		segments := rapid.SliceOfN(rapid.SampledFrom([]string{".", "..", "a", ".b", "%2e", "%2E.", "%2F"}), 0, 8).Draw(t, "segments")
		raw := "/" + strings.Join(segments, "/")
		want := path.Clean(strings.NewReplacer("%2e", ".", "%2E", ".").Replace(raw))
		got := pathpattern.Normalize(raw)
		if got != "/" {
			got = strings.TrimSuffix(got, "/")
		}
		if got != want {
			t.Fatalf("Normalize(%q) = %q, want %q", raw, got, want)
		}
	}))
	t.Run("D5.8: a normal path stays", rapid.MakeCheck(func(t *rapid.T) {
		// No lone percent signs: decoding behind one can make a new escape.
		raw := rapid.StringMatching(`(/|\.|a|%2[eEfF]|%61){0,12}`).Draw(t, "path")
		once := pathpattern.Normalize(raw)
		if again := pathpattern.Normalize(once); again != once {
			t.Fatalf("Normalize(%q) = %q, and of that %q", raw, once, again)
		}
	}))
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"/a/../%2e/b//c", "", "%", "/%2", "/%2E%2e", "..", "//", "/a//../b", "/%%32e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := pathpattern.Normalize(raw)
		if !strings.HasPrefix(got, "/") || strings.Contains(got, "//") || len(got) > len(raw)+1 {
			t.Errorf("Normalize(%q) = %q", raw, got)
		}
		for segment := range strings.SplitSeq(got, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("Normalize(%q) = %q, which has a dot segment", raw, got)
			}
		}
	})
}
