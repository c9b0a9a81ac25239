// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"time"
)

// The three forms of HTTP-date (RFC 9110 §5.6.7).
const (
	imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"
	rfc850Date = "Monday, 02-Jan-06 15:04:05 GMT"
	asctime    = "Mon Jan _2 15:04:05 2006"

	// rfc850Tail is the length of an rfc850-date from its comma on.
	rfc850Tail = len(", 02-Jan-06 15:04:05 GMT")
)

// halfCentury bounds how far a two-digit year may lie from the present.
const halfCentury = 50

// ParseDate reads an HTTP-date in any of its three forms (RFC 9110 §5.6.7) and
// says whether it is one. A two-digit year means the one within 50 years of near;
// with a zero near it means 1969 to 2068. That the name of the weekday fits the
// date is not checked.
func ParseDate(s string, near time.Time) (time.Time, bool) {
	layout := dateLayout(s)
	if layout == "" {
		return time.Time{}, false
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return time.Time{}, false
	}
	if layout == rfc850Date && !near.IsZero() {
		t = moveCentury(t, near)
	}
	return t, true
}

// FormatDate writes t as an HTTP-date in the preferred form, in whole seconds.
func FormatDate(t time.Time) string {
	return t.UTC().Format(imfFixdate)
}

// dateLayout picks the layout by length, because time.Parse alone would accept
// fractions of seconds too.
func dateLayout(s string) string {
	comma := strings.IndexByte(s, ',')
	switch {
	case comma < 0 && len(s) == len(asctime):
		return asctime
	case len(s) == len(imfFixdate) && comma == len("Mon"):
		return imfFixdate
	case comma > 0 && len(s)-comma == rfc850Tail:
		return rfc850Date
	default:
		return ""
	}
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
