// SPDX-License-Identifier: Apache-2.0

package httpcache

import "time"

// Freshness says what a stored answer is good for at some moment. The zero value
// is unknown.
type Freshness uint8

// The states, in the order in which an answer goes through them.
const (
	_ Freshness = iota
	// Fresh: used without asking the origin (D14.1).
	Fresh
	// Stale: used after validation, or as its Windows allow (D13.21, D14.5).
	Stale
	// Dead: not used in any way; the request is a miss (D13.26).
	Dead
)

// String returns the word for logs and metrics.
func (f Freshness) String() string {
	switch f {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	case Dead:
		return "dead"
	default:
		return "unknown"
	}
}

// Span is the life of a stored answer, as Assess gave it: all that has to be kept
// beside an answer to know later what it is good for.
type Span struct {
	// ResponseTime is when the answer was received or last validated.
	ResponseTime time.Time
	// InitialAge, Lifetime and Retain are those of the Assessment.
	InitialAge, Lifetime, Retain time.Duration
	// Windows are those of the Assessment.
	Windows Windows
	// RetryAfter is when the origin may be asked again, after it has failed to refresh
	// the answer; zero if it has not (D13.21).
	RetryAfter time.Time
}

// Windows are for how long after its lifetime an answer may be used stale, by
// occasion. The zero value is an answer that is never used stale. All lie between 0
// and MaxLifetime, and Retain of the Span ends them all (D13.26).
type Windows struct {
	// Refreshing: while it is refreshed in the background (D13.24, RFC 5861 §3).
	Refreshing time.Duration
	// Unreachable: when the origin gives no answer (D13.21, D13.25, RFC 9111 §4.2.4).
	Unreachable time.Duration
	// Failing: when the origin's answer is a failure by Policy.Failed (D13.21, D13.25,
	// RFC 5861 §4).
	Failing time.Duration
	// Asked: when the viewer takes stale answers (RFC 9111 §5.2.1.2).
	Asked time.Duration
}

// State tells how usable a stored answer is at now: dead from Retain after its
// receipt on (D13.26), else fresh while its age is below its lifetime (D13.15).
func State(s Span, now time.Time) Freshness {
	if now.Sub(s.ResponseTime) >= s.Retain {
		return Dead
	}
	if s.overdue(now) >= 0 {
		return Stale
	}
	return Fresh
}

// overdue is for how long the answer has been stale; negative while it is fresh.
func (s *Span) overdue(now time.Time) time.Duration {
	return Age(s.InitialAge, s.ResponseTime, now) - s.Lifetime
}

// Age returns the age at now of an answer that had the age initial when it came at
// responseTime (D13.14). It lies between 0 and MaxLifetime; the Age header has its
// whole seconds, rounded down. A clock that went back counts as no time passed.
func Age(initial time.Duration, responseTime, now time.Time) time.Duration {
	return bound(bound(initial) + bound(now.Sub(responseTime)))
}
