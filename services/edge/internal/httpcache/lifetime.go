// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"time"
)

// originLifetime returns v of D13.1: s-maxage, else max-age, else Expires less
// Date (RFC 9111 §4.2.1). Surrogate-Control and Pragma have no say (D13.9, D13.10), and
// Expires has none where a targeted field speaks (RFC 9213 §2.2).
func originLifetime(c Control, r Response, targeted bool) Delta {
	if c.SMaxAge.Present {
		return c.SMaxAge
	}
	if c.MaxAge.Present {
		return c.MaxAge
	}
	lines := r.Header.Values("Expires")
	if len(lines) == 0 || targeted {
		return Delta{}
	}
	date := dateOf(r)
	var d Delta
	for _, line := range lines {
		// What is no date, such as "0", lies in the past (D13.7).
		expires, ok := ParseDate(line, r.ResponseTime)
		d.add(bound(expires.Sub(date)), ok)
	}
	return d
}

// dateOf is when the answer was made: its Date, or the time of receipt where that is
// absent or no date (RFC 9110 §6.6.1).
func dateOf(r Response) time.Time {
	date, ok := ParseDate(r.Header.Get("Date"), r.ResponseTime)
	if !ok {
		return r.ResponseTime
	}
	return date
}

// originAge is the age of an answer when it came, to CloudFront semantics. Without an
// Age the answer counts from its receipt (D13.14): a slow origin must not use up
// the few seconds that MinTTL or an error gets. An Age was true when the cache
// that sent it began to answer, so the time under way is added. What Date says is
// left out, which RFC 9111 §4.2.3 allows: an origin's wrong clock would make everything
// stale.
func originAge(r Response) time.Duration {
	age, ok := ageValue(r)
	if !ok {
		return 0
	}
	return bound(age + delay(r))
}

// correctedAge is the corrected initial age of RFC 9111 §4.2.3. Times are compared in
// the whole seconds that Date has.
func correctedAge(r Response) time.Duration {
	age, _ := ageValue(r)
	apparent := r.ResponseTime.Truncate(time.Second).Sub(dateOf(r))
	return bound(max(apparent, age+delay(r)))
}

// delay is how long the origin took to begin its answer.
func delay(r Response) time.Duration {
	return bound(r.ResponseTime.Sub(r.RequestTime))
}

// ageValue reads Age. The first member counts; what is no number is ignored (RFC 9111
// §5.1).
func ageValue(r Response) (time.Duration, bool) {
	line, ok := r.Header.Lookup("Age")
	if !ok {
		return 0, false
	}
	first, _, _ := strings.Cut(line, ",")
	return parseSeconds(strings.Trim(first, whitespace))
}
