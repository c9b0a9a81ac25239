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
	// Stale: used after validation, or when the origin fails (D13.21, D14.5).
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

// Span is the life of a stored answer, as Assess gave it.
type Span struct {
	// ResponseTime is when the answer was received or last validated.
	ResponseTime time.Time
	// InitialAge, Lifetime and Retain are those of the Assessment.
	InitialAge, Lifetime, Retain time.Duration
}

// State tells how usable a stored answer is at now: dead from Retain after its
// receipt on (D13.26), else fresh while its age is below its lifetime (D13.15).
func State(s Span, now time.Time) Freshness {
	if now.Sub(s.ResponseTime) >= s.Retain {
		return Dead
	}
	if Age(s.InitialAge, s.ResponseTime, now) >= s.Lifetime {
		return Stale
	}
	return Fresh
}

// Age returns the age at now of an answer that had the age initial when it came at
// responseTime (D13.14). It lies between 0 and MaxLifetime; the Age header has its
// whole seconds, rounded down. A clock that went back counts as no time passed.
func Age(initial time.Duration, responseTime, now time.Time) time.Duration {
	return bound(bound(initial) + bound(now.Sub(responseTime)))
}
