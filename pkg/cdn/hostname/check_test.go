// SPDX-License-Identifier: Apache-2.0

package hostname_test

import (
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
)

const base = "cdn.test"

// long is a name of n bytes, 245 to 300, with legal labels.
func long(n int) string {
	name := strings.Repeat(strings.Repeat("a", 59)+".", 5)
	return name[:n-2] + ".b"
}

func TestCheckAlias(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alias string
		want  string // part of the error, empty for a good alias
	}{
		{"C2.344: three labels", "www.example.com", ""},
		{"C2.344: two labels", "example.com", ""},
		{"C2.344: wildcard", "*.example.com", ""},
		{"C2.344: many labels", "a.b.c.example.co.uk", ""},
		{"C2.344: A-label", "xn--bcher-kva.example", ""},
		{"C2.344: digit as a label", "1.example.com", ""},
		{"C2.344: digits first", "*.1and1.example", ""},
		{"C2.40: 253 bytes", long(253), ""},
		{"C2.40: label of 63 bytes", strings.Repeat("a", 63) + ".com", ""},
		{"C2.44: name that only ends alike", "notcdn.test", ""},
		{"C2.344: upper case", "Example.com", `want "example.com"`},
		{"C2.344: star alone", "*", "whole leftmost label"},
		{"C2.344: star over one label", "*.com", "at least two"},
		{"C2.41: star within a label (D2.4)", "*abc.example.com", "whole leftmost label"},
		{"C2.41: star in the middle (D2.4)", "a.*.example.com", "whole leftmost label"},
		{"C2.41: two stars", "*.*.example.com", "whole leftmost label"},
		{"C2.41: star at the end", "example.*", "whole leftmost label"},
		{"C2.344: dot at the end", "www.example.com.", "ends with a dot"},
		{"C2.344: hyphen first", "-a.example.com", "no hyphen"},
		{"C2.40: hyphen last", "a-.example.com", "no hyphen"},
		{"C2.344: underscore", "a_b.example.com", `'_'`},
		{"C2.344: IPv4", "192.0.2.1", "IP address"},
		{"C2.40: IPv6", "2001:db8::1", "IP address"},
		{"C2.40: IPv6 in brackets", "[2001:db8::1]", "IP address"},
		{"C2.40: IPv4 behind a star", "*.192.0.2.1", "IP address"},
		{"C2.40: short IPv4", "127.1", "IP address"},
		{"C2.344: one label", "localhost", "at least two"},
		{"C2.344: port", "www.example.com:8443", "colon"},
		{"C2.344: U-label", "bücher.example", "xn--"},
		{"C2.40: not UTF-8", "b\xff.example", "xn--"},
		{"C2.344: label of 64 bytes", strings.Repeat("a", 64) + ".com", "label of 64 bytes"},
		{"C2.344: 254 bytes", long(254), "254 bytes"},
		{"C2.40: 254 bytes with its star", "*." + long(252), "254 bytes"},
		{"C2.40: empty", "", "empty"},
		{"C2.40: empty label", "a..example.com", "empty label"},
		{"C2.40: dot first", ".example.com", "empty label"},
		{"C2.40: nothing behind the star", "*.", "empty label"},
		{"C2.40: space", "a b.example.com", "' '"},
		{"C2.44: below the base domain", "foo.cdn.test", "cdn.test"},
		{"C2.44: deep below the base domain", "a.b.cdn.test", "cdn.test"},
		{"C2.44: the base domain", "cdn.test", "cdn.test"},
		{"C2.44: wildcard over the base domain", "*.cdn.test", "cdn.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkError(t, hostname.CheckAlias(tt.alias, base), tt.want)
		})
	}
}

func TestCheckAliasBaseDomain(t *testing.T) {
	for _, tt := range []struct {
		name string
		base string
		want string
	}{
		{"C2.44: no base domain forbids nothing", "", ""},
		{"C2.44: the base domain is compared folded", "CDN.Test", "lies in cdn.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkError(t, hostname.CheckAlias("foo.cdn.test", tt.base), tt.want)
		})
	}
}

func TestCheckHost(t *testing.T) {
	for _, tt := range []struct {
		name string
		host string
		want string // part of the error, empty for a good host
	}{
		{"C2.350: DNS name", "origin.example.net", ""},
		{"C2.350: upper case", "ORIGIN.example.net", ""},
		{"C2.46: one label", "localhost", ""},
		{"C2.46: 253 bytes", long(253), ""},
		{"C2.46: hex digits are no number without 0x", "a.cafe", ""},
		{"C2.350: scheme", "https://origin.example.net", "scheme"},
		{"C2.350: path", "origin.example.net/x", "path"},
		{"C2.350: port", "origin.example.net:8080", "colon"},
		{"C2.350: IPv4", "192.0.2.1", "IP address"},
		{"C2.46: IPv6", "2001:db8::1", "IP address"},
		{"C2.46: IPv6 in brackets", "[::1]", "IP address"},
		{"C2.46: address as one number", "2130706433", "IP address"},
		{"C2.46: address in hex", "0X7F.1", "IP address"},
		{"C2.46: address in hex last", "127.0x1", "IP address"},
		{"C2.350: empty", "", "empty"},
		{"C2.46: 254 bytes", long(254), "254 bytes"},
		{"C2.46: label of 64 bytes", strings.Repeat("A", 64), "label of 64 bytes"},
		{"C2.46: space", "a b", "' '"},
		{"C2.46: wildcard", "*.example.net", "'*'"},
		{"C2.46: underscore", "a_b.example.net", `'_'`},
		{"C2.46: dot at the end", "origin.example.net.", "ends with a dot"},
		{"C2.46: dot alone", ".", "ends with a dot"},
		{"C2.46: user", "me@origin.example.net", "'@'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkError(t, hostname.CheckHost(tt.host), tt.want)
		})
	}
}

func checkError(t *testing.T, got error, want string) {
	t.Helper()
	if want == "" {
		if got != nil {
			t.Errorf("error %q, want none", got)
		}
		return
	}
	if got == nil || !strings.Contains(got.Error(), want) {
		t.Errorf("error %v, want one with %q", got, want)
	}
}

// What CheckAlias takes must be a host that a viewer can send, and be found.
func FuzzCheckAlias(f *testing.F) {
	for _, seed := range []string{"www.example.com", "*.example.com", "*", "-a.b", "a..b", "bücher.example", "127.1", "x.cdn.test", "a.b."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, alias string) {
		if hostname.CheckAlias(alias, base) != nil {
			return
		}
		host := strings.Replace(alias, "*", "x", 1)
		if got, ok := hostname.Fold(host); !ok || got != host {
			t.Errorf("alias %q is accepted, but Fold(%q) = %q, %v", alias, host, got, ok)
		}
		if err := hostname.CheckHost(host); err != nil {
			t.Errorf("alias %q is accepted, but CheckHost(%q): %v", alias, host, err)
		}
	})
}
