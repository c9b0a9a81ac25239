// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/forward"
)

// MaxLifetime is the longest freshness lifetime and the greatest age that are
// told apart: 100 years (D13.7).
const MaxLifetime = 100 * 365 * 24 * time.Hour

// DefaultErrorTTL is the error caching minimum of a status that the distribution
// does not configure (D18.3).
const DefaultErrorTTL = 10 * time.Second

// minS3ErrorTTL is what an error caching minimum of 0 means for an S3 origin
// (D18.3).
const minS3ErrorTTL = time.Second

// Policy is what a behavior says about caching. The zero value has caching off.
type Policy struct {
	// Semantics decides which rules hold. What the other fields mean depends on it.
	Semantics Semantics
	// Min, Default and Max are MinTTL ≤ DefaultTTL ≤ MaxTTL (D13.1). All 0 turns
	// caching off (D13.3). With HTTP, Min means nothing, because no cache may use an
	// answer for longer than its origin says; Default is the lifetime of answers that
	// RFC 9111 §4.2.2 leaves to the cache, 0 for none; Max bounds every lifetime.
	Min, Default, Max time.Duration
	// ErrorTTL is the error caching minimum by status; a status without an entry
	// has DefaultErrorTTL (D18.3). With HTTP it is the lifetime of errors that give
	// none themselves, and a status without an entry has none.
	ErrorTTL map[int]time.Duration
	// Heuristic, with HTTP and a Default of 0, gives answers without a lifetime a
	// tenth of the time since they were modified (RFC 9111 §4.2.2).
	Heuristic bool
	// Targeted, with HTTP, lets CDN-Cache-Control take the place of Cache-Control and
	// Expires (RFC 9213 §2.2).
	Targeted bool
	// Key, with HTTP, knows the request fields whose whole value is in the cache key as the
	// origin gets it: Vary need not tell requests apart by these again. Nil: none is.
	Key interface{ Tells(field string) bool }
	// CookiesForwarded says that the cache policy or the origin request policy
	// sends cookies to the origin (D14.4, D14.9, D17.6).
	CookiesForwarded bool
	// KeyedHeaders names the headers that the behavior keys or forwards, in any
	// case. They may stay in Vary (D13.19).
	KeyedHeaders []string
	// Forwarded is the origin request policy of the behavior; nil: there is none. What it
	// sends may stay in Vary, too.
	Forwarded *forward.Policy
	// S3 says that the answer comes from an S3 origin (D17.2, D18.3).
	S3 bool
}

// Disabled says whether caching is off: nothing is stored, no request waits for
// another's answer (D13.3).
func (p Policy) Disabled() bool {
	return p.Min == 0 && p.Default == 0 && p.Max == 0
}

// ErrorTTL returns for how long an error of that status is kept at least, and for
// how long a stale object is served after such an error before the origin is
// tried again (D13.21, D18.3). It is 0 when caching is off (D18.7), and with HTTP
// unless the status has an entry.
func ErrorTTL(status int, p Policy) time.Duration {
	if p.Disabled() {
		return 0
	}
	ttl, ok := p.ErrorTTL[status]
	switch {
	case p.Semantics == HTTP:
		return bound(ttl)
	case !ok:
		return DefaultErrorTTL
	}
	ttl = bound(ttl)
	if p.S3 && ttl == 0 {
		return minS3ErrorTTL
	}
	return ttl
}

// bound brings d into the range of lifetimes (D13.7).
func bound(d time.Duration) time.Duration {
	return min(max(d, 0), MaxLifetime)
}
