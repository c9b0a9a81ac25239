// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	near := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	day := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	year := func(y int) time.Time { return time.Date(y, 1, 2, 3, 4, 5, 0, time.UTC) }
	for _, tt := range []struct {
		name string
		s    string
		near time.Time
		want time.Time // zero: no date
	}{
		{"RFC 9110 5.6.7: IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", near, day},
		{"RFC 9110 5.6.7: rfc850-date", "Sunday, 06-Nov-94 08:49:37 GMT", near, day},
		{"RFC 9110 5.6.7: asctime-date", "Sun Nov  6 08:49:37 1994", near, day},
		{"RFC 9110 5.6.7: asctime-date, day of two digits", "Wed Nov 16 08:49:37 1994", near, day.AddDate(0, 0, 10)},
		{"RFC 9110 5.6.7: year 50 years ahead stays ahead", "Thursday, 02-Jan-76 03:04:05 GMT", near, year(2076)},
		{"RFC 9110 5.6.7: year more than 50 years ahead is past", "Sunday, 02-Jan-77 03:04:05 GMT", near, year(1977)},
		{"RFC 9110 5.6.7: two digits late in a century", "Monday, 02-Jan-05 03:04:05 GMT", year(2090), year(2105)},
		{"RFC 9110 5.6.7: two digits in an early century", "Monday, 02-Jan-05 03:04:05 GMT", year(1890), year(1905)},
		{"two digits without a present", "Monday, 02-Jan-69 03:04:05 GMT", time.Time{}, year(1969)},
		{"two digits without a present", "Monday, 02-Jan-68 03:04:05 GMT", time.Time{}, year(2068)},
		{"RFC 9111 4.2: weekday in another case", "SUN, 06 Nov 1994 08:49:37 GMT", near, day},
		{"RFC 9111 4.2: month in another case", "Sun, 06 nOV 1994 08:49:37 GMT", near, day},
		{"RFC 9111 4.2: zone in another case", "Sun, 06 Nov 1994 08:49:37 gMT", near, day},
		{"RFC 9111 4.2: rfc850-date in another case", "SUNDAY, 06-NOV-94 08:49:37 Gmt", near, day},
		{"RFC 9111 4.2: asctime-date in another case", "sun nov  6 08:49:37 1994", near, day},
		{"a month of other letters", "Sun, 06 anF 1994 08:49:37 GMT", near, time.Time{}},
		{"D13.7: 0 is no date", "0", near, time.Time{}},
		{"D13.7: -1 is no date", "-1", near, time.Time{}},
		{"empty", "", near, time.Time{}},
		{"other zone", "Sun, 06 Nov 1994 08:49:37 UTC", near, time.Time{}},
		{"offset", "Sun, 06 Nov 1994 08:49:37 +0000", near, time.Time{}},
		{"fraction of a second", "Sun, 06 Nov 1994 08:49:37.5 GMT", near, time.Time{}},
		{"fraction of a second, rfc850", "Sunday, 06-Nov-94 08:49:37.5 GMT", near, time.Time{}},
		{"fraction of a second, asctime", "Sun Nov  6 08:49:37.5 1994", near, time.Time{}},
		{"hour of one digit", "Sun, 06 Nov 1994 8:49:37 GMT", near, time.Time{}},
		{"year of two digits", "Sun, 06 Nov 94 08:49:37 GMT", near, time.Time{}},
		{"no such day", "Sun, 31 Feb 1994 08:49:37 GMT", near, time.Time{}},
		{"no such hour", "Sun, 06 Nov 1994 24:49:37 GMT", near, time.Time{}},
		{"text behind", "Sun, 06 Nov 1994 08:49:37 GMT ", near, time.Time{}},
		{"RFC 3339", "1994-11-06T08:49:37Z", near, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ParseDate(tt.s, tt.near)
			if !got.Equal(tt.want) || ok == tt.want.IsZero() {
				t.Errorf("ParseDate(%q) = %v, %v, want %v", tt.s, got, ok, tt.want)
			}
		})
	}
}

// TestFormatDate: the form of the Date that the edge adds (D13.16).
func TestFormatDate(t *testing.T) {
	at := time.Date(1994, 11, 6, 9, 49, 37, 999, time.FixedZone("CET", 3600))
	const want = "Sun, 06 Nov 1994 08:49:37 GMT"
	if got := FormatDate(at); got != want {
		t.Errorf("FormatDate(%v) = %q, want %q", at, got, want)
	}
}

func FuzzParseDate(f *testing.F) {
	for _, seed := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"", "0", "Thu, 29 Feb 2024 00:00:00 GMT", "Thursday, 29-Feb-00 00:00:00 GMT", ",", "Sun Nov 06 08:49:37 0000",
	} {
		f.Add(seed)
		f.Add(strings.ToUpper(seed))
	}
	near := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := ParseDate(s, near)
		if !ok {
			return
		}
		again, ok := ParseDate(FormatDate(at), near)
		if !ok || !again.Equal(at) {
			t.Errorf("ParseDate(%q) = %v, which is written and read as %v, %v", s, at, again, ok)
		}
	})
}
