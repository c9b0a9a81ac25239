// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDictionary(t *testing.T) {
	truth := sfValue{kind: sfBoolean, truth: true}
	number := func(n int64) sfValue { return sfValue{kind: sfInteger, number: n} }
	one := func(key string, v sfValue) []sfMember { return []sfMember{{key, v}} }
	other := sfValue{} // of a type that no directive has
	for _, tt := range []struct {
		name string
		s    string
		want []sfMember
		ok   bool
	}{
		{"empty", "", nil, true},
		{"spaces", "  ", nil, true},
		{"RFC 9651 3.2: bare key", "a", one("a", truth), true},
		{"RFC 9651 3.2: two", "a, b=1", []sfMember{{"a", truth}, {"b", number(1)}}, true},
		{"RFC 9651 4.2.2: the last counts, in the first place", "a=1, b, a=2", []sfMember{{"a", number(2)}, {"b", truth}}, true},
		{"RFC 9651 4.2.2: tabs and spaces around commas", "a \t,\t b", []sfMember{{"a", truth}, {"b", truth}}, true},
		{"RFC 9651 4.2.2: comma at the end", "a,", nil, false},
		{"RFC 9651 4.2.2: comma and space at the end", "a, ", nil, false},
		{"comma at the beginning", ", a", nil, false},
		{"two commas", "a,,b", nil, false},
		{"no comma", "a b", nil, false},
		{"RFC 9651 4.2.3.3: keys", "*a_-.*0=?1", one("*a_-.*0", truth), true},
		{"RFC 9651 4.2.3.3: upper case", "A=1", nil, false},
		{"RFC 9651 4.2.3.3: upper case within", "aB=1", nil, false},
		{"RFC 9651 4.2.3.3: digit first", "0a=1", nil, false},
		{"no value", "a=", nil, false},
		{"space before =", "a =1", nil, false},
		{"space after =", "a= 1", nil, false},
		{"RFC 9651 3.3.1: integers", "a=-42", one("a", number(-42)), true},
		{"RFC 9651 3.3.1: leading zeros", "a=007", one("a", number(7)), true},
		{"RFC 9651 3.3.1: 15 digits", "a=999999999999999", one("a", number(999999999999999)), true},
		{"RFC 9651 3.3.1: 16 digits", "a=1000000000000000", nil, false},
		{"sign alone", "a=-", nil, false},
		{"plus", "a=+1", nil, false},
		{"RFC 9651 3.3.2: decimals", "a=1.5", one("a", other), true},
		{"RFC 9651 3.3.2: decimal without a fraction", "a=1.", nil, false},
		{"RFC 9651 3.3.2: too fine", "a=1.1234", nil, false},
		{"RFC 9651 3.3.2: too great", "a=1234567890123.1", nil, false},
		{"RFC 9651 3.3.3: strings", `a="b \"c\\"`, one("a", sfValue{kind: sfString, text: `b "c\`}), true},
		{"RFC 9651 3.3.3: other escapes", `a="\n"`, nil, false},
		{"RFC 9651 3.3.3: open", `a="b`, nil, false},
		{"RFC 9651 3.3.3: open escape", `a="b\`, nil, false},
		{"RFC 9651 3.3.3: beyond ASCII", "a=\"\xfc\"", nil, false},
		{"RFC 9651 3.3.4: tokens", "a=*b/c:d", one("a", other), true},
		{"RFC 9651 3.3.5: byte sequences", "a=:cHJl:", one("a", other), true},
		{"RFC 9651 3.3.5: open", "a=:cHJl", nil, false},
		{"RFC 9651 3.3.6: false", "a=?0", one("a", sfValue{kind: sfBoolean}), true},
		{"RFC 9651 3.3.6: neither", "a=?2", nil, false},
		{"RFC 9651 3.3.7: dates", "a=@1659578233", one("a", other), true},
		{"RFC 9651 3.3.7: a date with a fraction", "a=@1.5", nil, false},
		{"RFC 9651 3.3.8: display strings", `a=%"f%c3%bc"`, one("a", other), true},
		{"RFC 9651 3.3.8: upper case", `a=%"%C3"`, nil, false},
		{"RFC 9651 3.3.8: torn", `a=%"%c"`, nil, false},
		{"RFC 9651 3.3.8: open", `a=%"b`, nil, false},
		{"RFC 9651 3.3.8: no quote", `a=%b`, nil, false},
		{"RFC 9651 3.1.1: inner lists", `a=( "x" 1;p  ?0 );q=1`, one("a", other), true},
		{"RFC 9651 3.1.1: empty", `a=()`, one("a", other), true},
		{"RFC 9651 3.1.1: open", `a=(1`, nil, false},
		{"RFC 9651 3.1.1: commas", `a=(1,2)`, nil, false},
		{"RFC 9651 3.1.1: not apart", `a=("x""y")`, nil, false},
		{"RFC 9651 3.1.2: parameters", `a;p; q="x";r=1`, one("a", truth), true},
		{"RFC 9651 3.1.2: parameters of a value", `a=1;p=2`, one("a", number(1)), true},
		{"RFC 9651 3.1.2: without a key", `a=1;`, nil, false},
		{"RFC 9651 3.1.2: without a value", `a=1;p=`, nil, false},
		{"RFC 9651 3.1.2: space before ;", `a=1 ;p`, nil, false},
		{"unknown", "a=&", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseDictionary(tt.s)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(sfMember{}, sfValue{})); ok != tt.ok || diff != "" {
				t.Errorf("parseDictionary(%q) = %v (-want +got):\n%s", tt.s, ok, diff)
			}
		})
	}
}

func TestParseTargeted(t *testing.T) {
	for _, tt := range []struct {
		name string
		line string
		want Control
		ok   bool
	}{
		{"RFC 9213 2.2: empty counts as absent", "", Control{}, false},
		{"RFC 9213 2.2: malformed counts as absent", "no-store, =", Control{}, false},
		{"unknown directives", "foo=1, bar", Control{}, true},
		{
			"every directive",
			"no-store, no-cache, private, must-revalidate, proxy-revalidate, must-understand, public, max-age=1, s-maxage=2, stale-if-error=3, stale-while-revalidate=4",
			Control{
				NoStore: true, NoCache: true, Private: true, MustRevalidate: true, ProxyRevalidate: true, MustUnderstand: true,
				Public: true, MaxAge: seconds(1), SMaxAge: seconds(2), StaleIfError: seconds(3), StaleWhileRevalidate: seconds(4),
			}, true,
		},
		{"parameters mean nothing", "max-age=1;x=2", Control{MaxAge: seconds(1)}, true},
		{"field lists", `no-cache="a, b", private="c"`, Control{NoCacheFields: []string{"a", "b"}, PrivateFields: []string{"c"}}, true},
		{"a list of another type is none", `no-cache=("a" "b"), private=1`, Control{NoCache: true, Private: true}, true},
		{"directives with a value of some type", `no-store=1, must-revalidate="x"`, Control{NoStore: true, MustRevalidate: true}, true},
		{"directives said not to hold", "no-store=?0, max-age=1", Control{MaxAge: seconds(1)}, true},
		{"a lifetime without a value", "max-age", Control{MaxAge: seconds(0)}, true},
		{"a lifetime of another type", `max-age="60"`, Control{MaxAge: seconds(0)}, true},
		{"a negative lifetime", "max-age=-1", Control{MaxAge: seconds(0)}, true},
		{"a lifetime beyond all", "max-age=999999999999999", Control{MaxAge: Delta{MaxLifetime, true}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseTargeted(tt.line)
			if diff := cmp.Diff(tt.want, got); ok != tt.ok || diff != "" {
				t.Errorf("parseTargeted(%q) = %v (-want +got):\n%s", tt.line, ok, diff)
			}
		})
	}
}

func FuzzParseTargeted(f *testing.F) {
	for _, seed := range []string{
		"max-age=60", "no-cache=\"a, b\";x=1, private", "a=(1 2;b)", `a=%"%c3"`, "a=:x:", "a=@1", "max-age=-1.5", "a, a=?0", "=", ",",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, ok := parseTargeted(line)
		if !ok {
			if diff := cmp.Diff(Control{}, c); diff != "" {
				t.Errorf("parseTargeted(%q) fails with %v", line, c)
			}
			return
		}
		for _, d := range []Delta{c.MaxAge, c.SMaxAge, c.StaleIfError, c.StaleWhileRevalidate} {
			if d.Value < 0 || d.Value > MaxLifetime || (!d.Present && d.Value != 0) {
				t.Errorf("parseTargeted(%q) has the lifetime %v", line, d)
			}
		}
		// A well-formed field stays one with a member behind it.
		if c, ok := parseTargeted(line + ", no-store"); !ok || !c.NoStore {
			t.Errorf("%q and no-store: %v, %v", line, c, ok)
		}
	})
}
