// SPDX-License-Identifier: Apache-2.0

package httpcache

import "time"

// Use is what may be done with a stored answer for one request. The zero value is
// unknown.
type Use uint8

// The uses.
const (
	_ Use = iota
	// Serve: it answers, and the origin is not asked (D14.1).
	Serve
	// ServeAndRefresh: it answers at once though it is stale, and one request asks the
	// origin about it meanwhile (D13.24, RFC 5861 §3).
	ServeAndRefresh
	// Validate: the origin is asked about it first (D14.5, RFC 9111 §4.3).
	Validate
	// Ignore: as if it were not there (D13.26).
	Ignore
	// Unavailable: the origin would have to be asked, and the viewer does not want that:
	// 504 (RFC 9111 §5.2.1.7).
	Unavailable
)

// String returns the word for logs and metrics.
func (u Use) String() string {
	switch u {
	case Serve:
		return "serve"
	case ServeAndRefresh:
		return "serve-and-refresh"
	case Validate:
		return "validate"
	case Ignore:
		return "ignore"
	case Unavailable:
		return "unavailable"
	default:
		return "unknown"
	}
}

// Decide says how a stored answer with the span s may be used at now for the request r,
// which it is the right variant for. It allocates nothing. An answer that Validate is
// said of may still be served when the origin fails: StaleOnError tells.
func Decide(s Span, r Request, now time.Time) Use {
	use := s.use(&r, now)
	if r.OnlyIfCached && (use == Validate || use == Ignore) {
		return Unavailable
	}
	return use
}

// Absent is Decide where nothing is stored: Ignore or Unavailable.
func Absent(r Request) Use {
	if r.OnlyIfCached {
		return Unavailable
	}
	return Ignore
}

func (s *Span) use(r *Request, now time.Time) Use {
	if now.Sub(s.ResponseTime) >= s.Retain {
		return Ignore
	}
	overdue := s.overdue(now)
	switch {
	case r.NoCache, r.MaxAge.Present && overdue+s.Lifetime > r.MaxAge.Value:
		return Validate
	case r.MinFresh.Present && -overdue < r.MinFresh.Value:
		return Validate // RFC 9111 §5.2.1.3; what is stale is never fresh enough
	case overdue < 0:
		return Serve
	case overdue < s.Windows.Refreshing:
		if now.Before(s.RetryAfter) {
			return Serve // the last attempt has failed a moment ago
		}
		return ServeAndRefresh
	case r.MaxStale.Present && overdue <= r.MaxStale.Value && overdue < s.Windows.Asked:
		return Serve
	case now.Before(s.RetryAfter) && overdue < max(s.Windows.Unreachable, s.Windows.Failing):
		return Serve // D13.21
	default:
		return Validate
	}
}

// Failure is how an origin failed to say something new about a stored answer.
type Failure uint8

// The failures.
const (
	_ Failure = iota
	// Unreachable: it gave no answer, or none that can be passed on.
	Unreachable
	// Failing: its answer is a failure by Policy.Failed.
	Failing
)

// StaleOnError says whether a stored answer may be served at now because the origin
// failed (D13.21, D13.23, D13.25, RFC 9111 §4.2.4, RFC 5861 §4). An answer that is
// fresh meanwhile may. The request does not matter: what it says of freshness is a
// wish, which can no longer be met.
func StaleOnError(s Span, f Failure, now time.Time) bool {
	if now.Sub(s.ResponseTime) >= s.Retain {
		return false
	}
	window := s.Windows.Unreachable
	if f == Failing {
		window = s.Windows.Failing
	}
	return s.overdue(now) < window
}
