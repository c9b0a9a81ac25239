// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seconds is a directive that says n seconds.
func seconds(n int) Delta {
	return Delta{Value: time.Duration(n) * time.Second, Present: true}
}

func TestParseControl(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  Control
	}{
		{"nothing", nil, Control{}},
		{"empty members", []string{"", " , ,\t"}, Control{}},
		{
			"every directive", []string{
				"no-store, no-cache, private, must-revalidate, proxy-revalidate, public",
				"must-understand, max-age=1, s-maxage=2, stale-if-error=3, stale-while-revalidate=4",
			},
			Control{
				NoStore: true, NoCache: true, Private: true, MustRevalidate: true, ProxyRevalidate: true,
				MustUnderstand: true, Public: true, MaxAge: seconds(1), SMaxAge: seconds(2),
				StaleIfError: seconds(3), StaleWhileRevalidate: seconds(4),
			},
		},
		{"names in any case", []string{"Max-Age=5,NO-STORE"}, Control{NoStore: true, MaxAge: seconds(5)}},
		{"unknown directives", []string{`immutable, foo="a, no-store, b", bar=1, max-age=5`}, Control{MaxAge: seconds(5)}},
		{"escaped quote", []string{`foo="\", no-store", max-age=5`}, Control{MaxAge: seconds(5)}},
		{"open quote hides nothing", []string{`foo="bar, no-store`}, Control{NoStore: true}},
		{"quote inside a token opens nothing", []string{`foo=a"b, no-store, c"`}, Control{NoStore: true}},
		{"text after a quote", []string{`no-cache="Set-Cookie"x, max-age=5`}, Control{NoCache: true, MaxAge: seconds(5)}},
		{"argument where none belongs", []string{"no-store=1"}, Control{NoStore: true}},
		{
			"D13.8: field lists", []string{`no-cache="Set-Cookie", private="X-User, x-group"`},
			Control{NoCacheFields: []string{"Set-Cookie"}, PrivateFields: []string{"X-User", "x-group"}},
		},
		{
			"D13.8: a field without quotes", []string{"no-cache=Set-Cookie"},
			Control{NoCacheFields: []string{"Set-Cookie"}},
		},
		{
			"D13.8: list and plain", []string{`no-cache="A", no-cache`},
			Control{NoCache: true, NoCacheFields: []string{"A"}},
		},
		{"D13.8: lists add up", []string{`no-cache="A"`, `no-cache="B"`}, Control{NoCacheFields: []string{"A", "B"}}},
		{"D13.8: empty list is no list", []string{`no-cache=""`}, Control{NoCache: true}},
		{"D13.8: list of commas is no list", []string{`private=" , "`}, Control{Private: true}},
		{"D13.8: not field names", []string{`private="a b"`}, Control{Private: true}},
		{"D13.8: missing argument", []string{`private=`}, Control{Private: true}},
		{"D13.8: torn list", []string{`no-cache="Set-Cookie, max-age=5`}, Control{NoCache: true, MaxAge: seconds(5)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ParseControl(tt.lines)); diff != "" {
				t.Errorf("ParseControl(%q) (-want +got):\n%s", tt.lines, diff)
			}
		})
	}
}

func TestMaxAgeArgument(t *testing.T) {
	century := Delta{Value: MaxLifetime, Present: true}
	for _, tt := range []struct {
		name string
		line string
		want Delta
	}{
		{"D13.7: seconds", "max-age=3600", seconds(3600)},
		{"D13.7: leading zeros", "max-age=0060", seconds(60)},
		{"D13.7: quoted digits", `max-age="60"`, seconds(60)},
		{"D13.7: quoted digits with an escape", `max-age="6\0"`, seconds(60)},
		{"D13.7: exactly 100 years", "max-age=3153600000", century},
		{"D13.7: more than 100 years", "max-age=3153600001", century},
		{"D13.7: more than 64 bits", "max-age=" + strings.Repeat("9", 400), century},
		{"D13.7: negative", "max-age=-1", seconds(0)},
		{"D13.7: signed", "max-age=+1", seconds(0)},
		{"D13.7: fraction", "max-age=1.5", seconds(0)},
		{"D13.7: hexadecimal", "max-age=0x10", seconds(0)},
		{"D13.7: letters after digits", "max-age=60s", seconds(0)},
		{"D13.7: letters after too many digits", "max-age=99999999999999999999x", seconds(0)},
		{"D13.7: wrong separator", "max-age=60; public", seconds(0)},
		{"D13.7: no argument", "max-age", seconds(0)},
		{"D13.7: empty argument", "max-age=", seconds(0)},
		{"D13.7: empty quotes", `max-age=""`, seconds(0)},
		{"D13.7: open quote", `max-age="60`, seconds(0)},
		{"D13.7: space inside quotes", `max-age=" 60"`, seconds(0)},
		{"D13.7: space before =", "max-age =60", seconds(0)},
		{"D13.7: space after =", "max-age= 60", seconds(0)},
		{"D13.7: twice the same", "max-age=60, max-age=60", seconds(60)},
		{"D13.7: twice the same, once quoted", `max-age=60, max-age="060"`, seconds(60)},
		{"D13.7: twice, different", "max-age=60, max-age=61", seconds(0)},
		{"D13.7: three, the last as the first", "max-age=60, max-age=61, max-age=60", seconds(0)},
		{"D13.7: twice, once malformed", "max-age=x, max-age=60", seconds(0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ParseControl([]string{tt.line}).MaxAge); diff != "" {
				t.Errorf("ParseControl(%q).MaxAge (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

func FuzzParseControl(f *testing.F) {
	for _, seed := range []string{
		"", "no-store", "max-age=60, public", `no-cache="Set-Cookie, X-A", max-age="5"`,
		`a="\", no-store`, `private="`, "s-maxage=99999999999999999999", "max-age=1,max-age=2",
		` ,,=,"=", = `, "stale-if-error=0,\tmust-revalidate", "max-age =1", `x="\\", no-cache`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c := ParseControl([]string{line})
		for _, d := range []Delta{c.MaxAge, c.SMaxAge, c.StaleIfError, c.StaleWhileRevalidate} {
			if d.Value < 0 || d.Value > MaxLifetime || (!d.Present && d.Value != 0) {
				t.Errorf("ParseControl(%q) has the lifetime %v, outside 0 to 100 years", line, d)
			}
		}
		for _, name := range append(c.NoCacheFields, c.PrivateFields...) {
			if !isToken(name) {
				t.Errorf("ParseControl(%q) names the field %q", line, name)
			}
		}
		// Whatever stands before it on the line or above it, a line of its own
		// keeps its meaning.
		if !ParseControl([]string{line, "no-store"}).NoStore {
			t.Errorf("%q hides the no-store of the next line", line)
		}
		once, twice := c, ParseControl([]string{line, line})
		once.NoCacheFields, once.PrivateFields = nil, nil
		twice.NoCacheFields, twice.PrivateFields = nil, nil
		if diff := cmp.Diff(once, twice); diff != "" {
			t.Errorf("%q said twice is something else (-once +twice):\n%s", line, diff)
		}
	})
}
