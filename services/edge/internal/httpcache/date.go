// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// The three forms of HTTP-date (RFC 9110 §5.6.7).
const (
	imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"
	asctime    = "Mon Jan _2 15:04:05 2006"

	// rfc850Tail is the length of an rfc850-date from its comma on.
	rfc850Tail = len(", 02-Jan-06 15:04:05 GMT")
)

// halfCentury bounds how far a two-digit year may lie from the present.
const halfCentury = 50

// ParseDate reads an HTTP-date in any of its three forms (RFC 9110 §5.6.7) and
// says whether it is one: to the letter, since a date that is nearly one may mean
// anything, but for the case of its names (RFC 9111 §4.2). A two-digit year means the one within 50 years of near;
// with a zero near it means 1969 to 2068. That the name of the weekday fits the
// date is not checked. It allocates nothing.
func ParseDate(s string, near time.Time) (time.Time, bool) {
	comma := strings.IndexByte(s, ',')
	switch {
	case comma < 0 && len(s) == len(asctime):
		return parseAsctime(s)
	case len(s) == len(imfFixdate) && comma == len("Mon"):
		return parseFixdate(s)
	case comma > 0 && len(s)-comma == rfc850Tail:
		t, ok := parseRFC850(s[:comma], s[comma:])
		if ok && !near.IsZero() {
			t = moveCentury(t, near)
		}
		return t, ok
	default:
		return time.Time{}, false
	}
}

// FormatDate writes t as an HTTP-date in the preferred form, in whole seconds.
func FormatDate(t time.Time) string {
	return t.UTC().Format(imfFixdate)
}

func parseFixdate(s string) (time.Time, bool) {
	if !isDay(s[:3]) || s[3:5] != ", " || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' || !isGMT(s[25:]) {
		return time.Time{}, false
	}
	year, ok := digits(s[12:16])
	return assemble(year, s[8:11], s[5:7], s[17:25], ok)
}

func parseRFC850(day, s string) (time.Time, bool) {
	if !isLongDay(day) || s[:2] != ", " || s[4] != '-' || s[8] != '-' || s[11] != ' ' || !isGMT(s[20:]) {
		return time.Time{}, false
	}
	year, ok := digits(s[9:11])
	if year += 1900; year < 1969 {
		year += 100
	}
	return assemble(year, s[5:8], s[2:4], s[12:20], ok)
}

func parseAsctime(s string) (time.Time, bool) {
	if !isDay(s[:3]) || s[3] != ' ' || s[7] != ' ' || s[10] != ' ' || s[19] != ' ' {
		return time.Time{}, false
	}
	day := s[8:10]
	if day[0] == ' ' {
		day = day[1:]
	}
	year, ok := digits(s[20:])
	return assemble(year, s[4:7], day, s[11:19], ok)
}

// assemble makes a time of its parts; clock is hh:mm:ss.
func assemble(year int, month, day, clock string, ok bool) (time.Time, bool) {
	m := place(month, "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
	if !ok || m < 0 {
		return time.Time{}, false
	}
	d, ok1 := digits(day)
	hour, ok2 := digits(clock[:2])
	minute, ok3 := digits(clock[3:5])
	second, ok4 := digits(clock[6:])
	if !ok1 || !ok2 || !ok3 || !ok4 || clock[2] != ':' || clock[5] != ':' {
		return time.Time{}, false
	}
	// A leap second is the first of the next minute.
	if hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(m+1), d, hour, minute, 0, 0, time.UTC)
	if d == 0 || t.Day() != d {
		return time.Time{}, false // no such day in that month
	}
	return t.Add(time.Duration(second) * time.Second), true
}

// digits reads a number that is nothing but digits.
func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, s != ""
}

func isDay(s string) bool {
	return place(s, "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun") >= 0
}

func isLongDay(s string) bool {
	return place(s, "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday") >= 0
}

func isGMT(s string) bool { return place(s, " GMT") == 0 }

// place is where s stands among names, in any case; -1 if it does not.
func place(s string, names ...string) int {
	for i, name := range names {
		if header.Equal(s, name) {
			return i
		}
	}
	return -1
}

// moveCentury gives t the century that brings it within 50 years of near.
func moveCentury(t, near time.Time) time.Time {
	const century = 2 * halfCentury
	t = t.AddDate(near.Year()/century*century-t.Year()/century*century, 0, 0)
	if t.After(near.AddDate(halfCentury, 0, 0)) {
		return t.AddDate(-century, 0, 0)
	}
	if !t.After(near.AddDate(-halfCentury, 0, 0)) {
		return t.AddDate(century, 0, 0)
	}
	return t
}
