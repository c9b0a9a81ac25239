// SPDX-License-Identifier: Apache-2.0

package hostname_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
)

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		name string
		host string
		want string // empty: no possible host
	}{
		{"D2.2: already folded", "www.example.com", "www.example.com"},
		{"C2.346: case and port", "Q.B.EXAMPLE.COM:443", "q.b.example.com"},
		{"D2.2: port alone", "www.example.com:8080", "www.example.com"},
		{"D2.2: empty port", "a.test:", "a.test"},
		{"D2.2: highest port", "a.test:65535", "a.test"},
		{"D2.2: dot at the end", "a.test.", "a.test"},
		{"D2.2: dot and port", "a.test.:80", "a.test"},
		{"D2.2: one label", "LOCALHOST", "localhost"},
		{"D2.6: underscore is unknown, not malformed", "a_b.test", "a_b.test"},
		{"D2.2: 253 bytes", long(253), long(253)},
		{"D2.2: 253 bytes and a dot", long(253) + ".", long(253)},
		{"D2.2: IPv4", "192.0.2.1:80", "192.0.2.1"},
		{"D2.2: IPv6", "[2001:DB8::1]", "[2001:db8::1]"},
		{"D2.2: IPv6 and port", "[::1]:80", "[::1]"},
		{"D2.2: IPv6 and empty port", "[::1]:", "[::1]"},
		{"D2.2: 254 bytes", long(254), ""},
		{"D2.2: empty", "", ""},
		{"D2.2: port without a name", ":80", ""},
		{"D2.2: dot alone", ".", ""},
		{"D2.2: two dots at the end", "a.test..", ""},
		{"D2.2: empty label", "a..test", ""},
		{"D2.2: dot first", ".a.test", ""},
		{"D2.2: port of letters", "a:b", ""},
		{"D2.2: signed port", "a:+80", ""},
		{"D2.2: port too high", "a:65536", ""},
		{"D2.2: two ports", "a:80:80", ""},
		{"D2.2: IPv6 without brackets", "::1", ""},
		{"D2.2: bracket left open", "[::1", ""},
		{"D2.2: text behind the bracket", "[::1]80", ""},
		{"D2.2: bad port of IPv6", "[::1]:x", ""},
		{"D2.2: name in brackets", "[a.test]", ""},
		{"D2.2: IPv4 in brackets", "[192.0.2.1]", ""},
		{"D2.2: IPv6 with a zone", "[fe80::1%25eth0]", ""},
		{"D2.2: space", "a b", ""},
		{"D2.2: path", "a/b", ""},
		{"D2.2: user", "me@a.test", ""},
		{"D2.2: control character", "a\x00.test", ""},
		{"D2.2: not ASCII", "bücher.test", ""},
		{"D2.2: a wildcard itself", "*.example.com", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := hostname.Fold(tt.host)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("Fold(%q) = %q, %v, want %q", tt.host, got, ok, tt.want)
			}
		})
	}
}

func TestNoAllocation(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func()
	}{
		{"Fold of a folded name", func() { hostname.Fold("www.example.com") }},
		{"Fold of a name with a port", func() { hostname.Fold("www.example.com:8080") }},
		{"Fold of an IPv6 literal", func() { hostname.Fold("[2001:db8::1]:80") }},
		{"Parents", func() {
			for parent := range hostname.Parents("a.b.example.com") {
				if parent == "" {
					t.Error("empty parent")
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, tt.run); n != 0 {
				t.Errorf("%v allocations, want none", n)
			}
		})
	}
}

func TestParents(t *testing.T) {
	for _, tt := range []struct {
		name string
		host string
		want []string
	}{
		{"D2.5: longest first", "a.b.example.com", []string{"b.example.com", "example.com", "com"}},
		{"D2.3: never the apex itself", "example.com", []string{"com"}},
		{"D2.3: one label has none", "localhost", nil},
		{"D2.3: empty", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, slices.Collect(hostname.Parents(tt.host))); d != "" {
				t.Errorf("Parents(%q): (-want +got)\n%s", tt.host, d)
			}
		})
	}
}

// C2.346 as a whole: exact names first, then Parents in its order.
func TestRouting(t *testing.T) {
	owner := map[string]string{"*.example.com": "D1", "www.example.com": "D2", "*.b.example.com": "D3"}
	route := func(host string) string {
		name, _ := hostname.Fold(host)
		if id, ok := owner[name]; ok {
			return id
		}
		for parent := range hostname.Parents(name) {
			if id, ok := owner["*."+parent]; ok {
				return id
			}
		}
		return ""
	}
	for _, tt := range []struct{ name, host, want string }{
		{"C2.42: one label under the wildcard", "x.example.com", "D1"},
		{"C2.42: two labels under the wildcard", "a.x.example.com", "D1"},
		{"C3.45: exact before wildcard", "www.example.com", "D2"},
		{"C2.346: below an exact name", "a.www.example.com", "D1"},
		{"C3.44: the longer wildcard wins", "q.b.example.com", "D3"},
		{"C3.45: apex of the longer wildcard", "b.example.com", "D1"},
		{"C3.45: apex of the shorter wildcard", "example.com", ""},
		{"C2.346: request hosts are folded", "Q.B.EXAMPLE.COM:443", "D3"},
		{"D2.6: unknown", "example.net", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := route(tt.host); got != tt.want {
				t.Errorf("%q goes to %q, want %q", tt.host, got, tt.want)
			}
		})
	}
}

func TestReverse(t *testing.T) {
	for _, tt := range []struct{ name, alias, want string }{
		{"C8.30: name", "www.example.com", "com.example.www"},
		{"C8.30: wildcard", "*.example.com", "com.example.*"},
		{"C8.30: one label", "localhost", "localhost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := hostname.Reverse(tt.alias)
			if got != tt.want {
				t.Errorf("Reverse(%q) = %q, want %q", tt.alias, got, tt.want)
			}
			if back := hostname.Unreverse(got); back != tt.alias {
				t.Errorf("Unreverse(%q) = %q, want %q", got, back, tt.alias)
			}
		})
	}
}

func TestReverseProperties(t *testing.T) {
	t.Run("C8.30: Unreverse undoes Reverse", rapid.MakeCheck(func(t *rapid.T) {
		alias := rapid.OneOf(rapid.String(), rapid.StringMatching(`(\*\.)?[a-z.]{0,12}`)).Draw(t, "alias")
		if got := hostname.Unreverse(hostname.Reverse(alias)); got != alias {
			t.Fatalf("got %q, want %q", got, alias)
		}
	}))
	t.Run("C8.45: what a wildcard covers is one range", rapid.MakeCheck(func(t *rapid.T) {
		name := rapid.StringMatching(`[a-c]{1,2}(\.[a-c]{1,2}){0,4}`)
		apex, host := name.Draw(t, "apex"), name.Draw(t, "host")
		covered := slices.Contains(slices.Collect(hostname.Parents(host)), apex)
		inRange := strings.HasPrefix(hostname.Reverse(host), hostname.Reverse(apex)+".")
		if covered != inRange {
			t.Fatalf("*.%s covers %s: %v by Parents, %v by its reversed key", apex, host, covered, inRange)
		}
	}))
}

func FuzzFold(f *testing.F) {
	for _, seed := range []string{"A.b:80", "a.", "[::1]:80", "[::1", "a..b", ":", "*.a", "a:99999", "[fe80::1%25en0]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, ok := hostname.Fold(host)
		if !ok {
			if name != "" {
				t.Fatalf("Fold(%q) = %q without ok", host, name)
			}
			return
		}
		if again, ok := hostname.Fold(name); !ok || again != name {
			t.Errorf("Fold(%q) = %q, and of that %q, %v", host, name, again, ok)
		}
		if name == "" || len(name) > len(host) || name != strings.ToLower(name) || strings.HasSuffix(name, ".") {
			t.Errorf("Fold(%q) = %q", host, name)
		}
		for parent := range hostname.Parents(name) {
			if parent == "" {
				t.Errorf("%q has an empty parent", name)
			}
		}
	})
}

func BenchmarkFold(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		hostname.Fold("www.example.com:8080")
	}
}
