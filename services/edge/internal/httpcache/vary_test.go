// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

func TestVaryOf(t *testing.T) {
	many := "a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4,b5,b6,b7"
	for _, tt := range []struct {
		name  string
		lines []string
		want  Vary
	}{
		{"none", nil, ""},
		{"empty", []string{"", " , "}, ""},
		{"RFC 9110 5.1: names have no case", []string{"Accept-Encoding"}, "accept-encoding"},
		{"RFC 9110 12.5.5: order means nothing", []string{"Foo, Bar", "Baz"}, "bar,baz,foo"},
		{"twice", []string{"Foo, foo", "FOO"}, "foo"},
		{"RFC 9110 12.5.5: *", []string{"Foo, *"}, VaryAny},
		{"no name", []string{"Foo Bar"}, VaryAny},
		{"as many as are told apart", []string{many}, Vary(many)},
		{"more", []string{many, "c1"}, VaryAny},
		{"more lines, not more names", []string{many, many}, Vary(many)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h header.Fields
			for _, line := range tt.lines {
				h.Add("vary", line)
			}
			if got := VaryOf(h); got != tt.want {
				t.Errorf("VaryOf(%q) = %q, want %q", tt.lines, got, tt.want)
			}
		})
	}
}

func TestVaryNames(t *testing.T) {
	for v, want := range map[Vary]string{"": "", VaryAny: "", "bar,foo": "bar foo "} {
		got := ""
		for name := range v.Names {
			got += name + " "
		}
		if got != want {
			t.Errorf("Names of %q = %q, want %q", v, got, want)
		}
	}
}

func TestVaryMatches(t *testing.T) {
	for _, tt := range []struct {
		name string
		vary Vary
		a, b header.Fields
		want bool
	}{
		{"RFC 9111 4.1: no Vary", "", fields("Foo", "1"), nil, true},
		{"RFC 9111 4.1: *", VaryAny, nil, nil, false},
		{"RFC 9111 4.1: the same", "foo", fields("Foo", "1"), fields("foo", "1"), true},
		{"RFC 9111 4.1: different", "foo", fields("Foo", "1"), fields("Foo", "2"), false},
		{"long values", "foo", fields("Foo", strings.Repeat("a", 9999)), fields("Foo", strings.Repeat("a", 9999)), true},
		{"long values that differ at the end", "foo", fields("Foo", strings.Repeat("a", 9999)), fields("Foo", strings.Repeat("a", 9998)+"b"), false},
		{"more preferences than are sorted", "accept-language", fields("Accept-Language", strings.Repeat("a,", 40)), fields("Accept-Language", strings.Repeat("a,", 41)), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.vary.Matches(tt.a, tt.b); got != tt.want {
				t.Errorf("Matches = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestVaryKeyIsBounded: a viewer chooses the values.
func TestVaryKeyIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"foo", "cookie", "accept-language", "accept"}).Draw(t, "name")
		h := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) header.Field {
			return header.Field{Name: name, Value: rapid.StringN(0, 400, 1000).Draw(t, "value")}
		}), 0, 4).Draw(t, "header")
		key := Vary(name).AppendKey([]byte("before"), h)
		if !bytes.HasPrefix(key, []byte("before"+name)) || len(key) > len("before")+len(name)+maxSelecting+2 {
			t.Fatalf("key %q", key)
		}
	})
}

// TestVaryKeysDiffer: the keys of two requests are the same only if each field is, apart
// from white space around commas and the lines that it comes in.
func TestVaryKeysDiffer(t *testing.T) {
	draw := func(t *rapid.T, label string) header.Fields {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) header.Field {
			return header.Field{
				Name:  rapid.SampledFrom([]string{"A", "B"}).Draw(t, "name"),
				Value: rapid.StringMatching(`[ab=\-#", ]{0,4}`).Draw(t, "value"),
			}
		}), 0, 3).Draw(t, label)
	}
	plain := func(h header.Fields, name string) string {
		var members []string
		for _, line := range h.Values(name) {
			for rest := line; rest != ""; {
				var m string
				if m, rest = cutListMember(rest); m != "" {
					members = append(members, m)
				}
			}
		}
		if !h.Has(name) {
			return "absent"
		}
		return "=" + strings.Join(members, "\x00")
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "one"), draw(t, "other")
		want := plain(a, "A") == plain(b, "A") && plain(a, "B") == plain(b, "B")
		if got := Vary("a,b").Matches(a, b); got != want {
			t.Fatalf("Matches(%v, %v) = %v, want %v", a, b, got, want)
		}
	})
}

func FuzzAppendKey(f *testing.F) {
	f.Add("accept-language", "en;q=0.5, de", "de,en;q=0.5")
	f.Add("foo", `a, "b, c", d`, "\"")
	f.Add("cookie", "a=1", "")
	f.Fuzz(func(t *testing.T, vary, first, second string) {
		v := VaryOf(fields("Vary", vary))
		if again := VaryOf(fields("Vary", string(v))); again != v {
			t.Errorf("VaryOf(%q) = %q, and of that %q", vary, v, again)
		}
		for name := range v.Names {
			h := fields(name, first, name, second)
			// What is normalised stays as it is.
			key := Vary(name).AppendKey(nil, h)
			if n := len(key) - 1; key[len(name)] == selectValue && name != "cookie" {
				again := Vary(name).AppendKey(nil, fields(name, string(key[len(name)+1:n])))
				if strings.HasPrefix(name, "accept-") {
					continue // written in a form of its own
				}
				if !bytes.Equal(key, again) {
					t.Errorf("%q normalised twice is %q", key, again)
				}
			}
		}
	})
}

// keyed are the fields in a cache key.
type keyed []string

func (k keyed) Tells(field string) bool { return containsName(k, field) }

func TestVaryBeyondTheKey(t *testing.T) {
	p := pureHTTP
	p.Key = keyed{"Accept-Encoding", "Origin"}
	for vary, want := range map[string]Vary{
		"Accept-Encoding":         "",
		"accept-encoding, Origin": "",
		"Foo, Accept-Encoding":    "foo",
		"*":                       VaryAny,
		"":                        "",
	} {
		a := Assess(get, answer(200, "Vary", vary, "Cache-Control", "max-age=60"), p)
		if a.Vary != want || a.Storable == (want == VaryAny) {
			t.Errorf("RFC 9111 4.1: Vary: %q is %q (%v), want %q", vary, a.Vary, a.Reason, want)
		}
	}
}
