// SPDX-License-Identifier: Apache-2.0

package hostname

import (
	"slices"
	"strings"
	"testing"
)

func TestCheckAlias(t *testing.T) {
	long := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." + strings.Repeat("d", 57)
	for _, good := range []string{
		"www.example.com", "example.com", "*.example.com", "a.b.c.example.co.uk", "xn--bcher-kva.example", "1.example.com", long + ".co",
	} {
		if err := CheckAlias(good, "cdn.test"); err != nil {
			t.Errorf("C2.344: %q refused: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "Example.com", "*", "*.com", "*abc.example.com", "a.*.example.com", "www.example.com.", "-a.example.com", "a_b.example.com",
		"192.0.2.1", "localhost", "www.example.com:8443", "bücher.example", strings.Repeat("a", 64) + ".com", long + ".comm",
		"foo.cdn.test", "cdn.test", "*.cdn.test", "a..b",
	} {
		if CheckAlias(bad, "cdn.test") == nil {
			t.Errorf("C2.344: %q accepted", bad)
		}
	}
}

func TestCheckHost(t *testing.T) {
	for _, good := range []string{"origin.example.net", "ORIGIN.example.net", "localhost"} {
		if err := CheckHost(good); err != nil {
			t.Errorf("C2.350: %q refused: %v", good, err)
		}
	}
	for _, bad := range []string{"https://origin.example.net", "origin.example.net/x", "origin.example.net:8080", "192.0.2.1", "", "a b", "::1"} {
		if CheckHost(bad) == nil {
			t.Errorf("C2.350: %q accepted", bad)
		}
	}
}

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		ok       bool
	}{
		{"www.example.com", "www.example.com", true},
		{"Q.B.EXAMPLE.COM:443", "q.b.example.com", true}, // C2.346
		{"a.test.", "a.test", true},
		{"a.test:", "a.test", true},
		{"[::1]:80", "[::1]", true},
		{"", "", false},
		{":80", "", false},
		{"a:b", "", false},
		{"a b", "", false},
		{"a/b", "", false},
		{"[::1", "", false},
		{strings.Repeat("a", 254), "", false},
	} {
		if got, ok := Fold(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("D2.2: Fold(%q) = %q, %v, want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Fold("www.example.com:80") }); n != 0 {
		t.Errorf("Fold allocates %v times", n)
	}
}

func FuzzFold(f *testing.F) {
	f.Add("A.b:80")
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := Fold(s)
		if !ok {
			return
		}
		if again, ok := Fold(name); strings.HasSuffix(name, ".") == false && (!ok || again != name) {
			t.Errorf("Fold(%q) = %q, and again %q, %v", s, name, again, ok)
		}
	})
}

func TestParents(t *testing.T) {
	if got, want := slices.Collect(Parents("a.b.example.com")), []string{"b.example.com", "example.com", "com"}; !slices.Equal(got, want) {
		t.Errorf("D2.5: parents %q, want %q", got, want)
	}
	if got := slices.Collect(Parents("localhost")); got != nil {
		t.Errorf("parents of one label: %q", got)
	}
}

func TestReverse(t *testing.T) {
	for in, want := range map[string]string{"www.example.com": "com.example.www", "*.example.com": "com.example.*", "a": "a"} {
		if got := Reverse(in); got != want || Reverse(got) != in {
			t.Errorf("C8.30: Reverse(%q) = %q, want %q", in, got, want)
		}
	}
}
