// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"testing"
)

func TestParseTag(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    string
		want entityTag
		ok   bool
	}{
		{"RFC 9110 8.8.3: strong", `"xyzzy"`, entityTag{opaque: `"xyzzy"`}, true},
		{"RFC 9110 8.8.3: weak", `W/"xyzzy"`, entityTag{opaque: `"xyzzy"`, weak: true}, true},
		{"RFC 9110 8.8.3: empty", `""`, entityTag{opaque: `""`}, true},
		{"RFC 9110 8.8.3: comma and backslash stand for themselves", `"a,b\"`, entityTag{opaque: `"a,b\"`}, true},
		{"RFC 9110 8.8.3: obs-text", "\"\xff\"", entityTag{opaque: "\"\xff\""}, true},
		{"RFC 9110 8.8.3: W has one case", `w/"a"`, entityTag{}, false},
		{"no quotes", "abc", entityTag{}, false},
		{"one quote", `"abc`, entityTag{}, false},
		{"space inside", `"a b"`, entityTag{}, false},
		{"control inside", "\"a\x7f\"", entityTag{}, false},
		{"text behind", `"a"b`, entityTag{}, false},
		{"nothing", "", entityTag{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseTag(tt.s)
			if ok != tt.ok || (ok && got != tt.want) {
				t.Errorf("parseTag(%q) = %v, %v, want %v, %v", tt.s, got, ok, tt.want, tt.ok)
			}
		})
	}
}

// TestMatch is the table of RFC 9110 §8.8.3.2.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		a, b         string
		strong, weak bool
	}{
		{`W/"1"`, `W/"1"`, false, true},
		{`W/"1"`, `W/"2"`, false, false},
		{`W/"1"`, `"1"`, false, true},
		{`"1"`, `"1"`, true, true},
	} {
		a, _ := parseTag(tt.a)
		b, _ := parseTag(tt.b)
		if got := strongMatch(a, b); got != tt.strong {
			t.Errorf("strongMatch(%s, %s) = %v, want %v", tt.a, tt.b, got, tt.strong)
		}
		if got := weakMatch(a, b); got != tt.weak {
			t.Errorf("weakMatch(%s, %s) = %v, want %v", tt.a, tt.b, got, tt.weak)
		}
	}
}

func FuzzAnyTag(f *testing.F) {
	for _, seed := range []string{
		"", `"a"`, `W/"a", "b"`, ` , "a" ,,"b"`, `"a,b", "c"`, `"a""b"`, `"a`, `a", "b"`, "*", `W/`, `"a" "b", "c"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		n := 0
		anyTag(list, func(tag entityTag) bool {
			n++
			if again, ok := parseTag(tag.opaque); !ok || again.opaque != tag.opaque {
				t.Errorf("the list %q holds %q, which is no entity tag", list, tag.opaque)
			}
			if !strings.Contains(list, tag.opaque) {
				t.Errorf("the list %q holds %q, which is not in it", list, tag.opaque)
			}
			return false
		})
		// Members that are no tags do not hide the tag behind them.
		if !strings.Contains(list, `"`) {
			if !anyTag(list+`, "end"`, func(tag entityTag) bool { return tag.opaque == `"end"` }) {
				t.Errorf(`"end" is not found after %q`, list)
			}
		}
		if most := strings.Count(list, `"`) / 2; n > most {
			t.Errorf("the list %q has %d quotes and %d tags", list, 2*most, n)
		}
	})
}
