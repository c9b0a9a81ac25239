// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"time"
)

// originLifetime returns v of D13.1: s-maxage, else max-age, else Expires less
// Date, where the time of receipt stands in for a Date that is absent or no date.
// CDN-Cache-Control, Surrogate-Control and Pragma have no say (D13.9, D13.10).
func originLifetime(c Control, r Response) Delta {
	if c.SMaxAge.Present {
		return c.SMaxAge
	}
	if c.MaxAge.Present {
		return c.MaxAge
	}
	lines := r.Header.Values("Expires")
	if len(lines) == 0 {
		return Delta{}
	}
	date, ok := ParseDate(r.Header.Get("Date"), r.ResponseTime)
	if !ok {
		date = r.ResponseTime
	}
	var d Delta
	for _, line := range lines {
		// What is no date, such as "0", lies in the past (D13.7).
		expires, ok := ParseDate(line, r.ResponseTime)
		d.add(bound(expires.Sub(date)), ok)
	}
	return d
}

// successLifetime is the table of D13.1.
func (s *subject) successLifetime() time.Duration {
	least, most := bound(s.policy.Min), bound(s.policy.Max)
	switch {
	case s.alwaysRefetched():
		return 0
	case s.control.Forbids():
		return least
	case s.origin.Present:
		return max(min(s.origin.Value, most), least)
	default:
		// MaxTTL does not apply to DefaultTTL, and Last-Modified gives no
		// lifetime (D13.4).
		return max(bound(s.policy.Default), least)
	}
}

// initialAge is the age of an answer when it came (RFC 9111 §4.2.3). Without an
// Age the answer counts from its receipt (D13.14): a slow origin must not use up
// the few seconds that MinTTL or an error gets. An Age was true when the cache
// that sent it began to answer, so the time under way is added. What Date says is
// left out, which §4.2.3 allows: an origin's wrong clock would make everything
// stale.
func initialAge(r Response) time.Duration {
	line, ok := r.Header.Lookup("Age")
	if !ok {
		return 0
	}
	// The first member counts; what is no number is ignored (RFC 9111 §5.1).
	first, _, _ := strings.Cut(line, ",")
	age, ok := parseSeconds(strings.Trim(first, whitespace))
	if !ok {
		return 0
	}
	return bound(age + bound(r.ResponseTime.Sub(r.RequestTime)))
}
