// SPDX-License-Identifier: Apache-2.0

package httpcache

// Reason says why an answer is not stored. The zero value is unknown.
type Reason uint8

// The reasons. Every one but ReasonStored means that nothing is kept.
const (
	_ Reason = iota
	// ReasonStored: the answer may be kept.
	ReasonStored
	// ReasonCachingOff: all three TTLs of the policy are 0 (D13.3, D18.7).
	ReasonCachingOff
	// ReasonMethod: neither GET nor HEAD (D13.13, D18.9).
	ReasonMethod
	// ReasonStatus: a status that is never kept (D13.12, D18.5, D18.6).
	ReasonStatus
	// ReasonPartial: 206, a part of a representation.
	ReasonPartial
	// ReasonNotSelfContained: 304, which only says something about an answer that
	// somebody else holds (D14.3).
	ReasonNotSelfContained
	// ReasonNoStore: the origin said so, and no MinTTL overrides it (D13.1).
	ReasonNoStore
	// ReasonPrivate: the origin said so, and no MinTTL overrides it (D13.1).
	ReasonPrivate
	// ReasonRedirectWithoutControl: 307 or 308 without Cache-Control (D13.12).
	ReasonRedirectWithoutControl
	// ReasonErrorWithoutMaxAge: an error that is kept only with max-age or s-maxage
	// (D18.2).
	ReasonErrorWithoutMaxAge
	// ReasonErrorForbidden: no-store, no-cache or private on an error that heeds them
	// (D18.4).
	ReasonErrorForbidden
	// ReasonErrorTTLZero: neither the error caching minimum nor the origin gives the
	// error any time (D18.4).
	ReasonErrorTTLZero
	// ReasonRequestNoStore: the viewer said so (RFC 9111 §5.2.1.5).
	ReasonRequestNoStore
	// ReasonAuthorization: the request had Authorization, and the origin does not say
	// that its answer is for others too (RFC 9111 §3.5).
	ReasonAuthorization
	// ReasonVary: "Vary: *", or more in Vary than the edge tells apart (RFC 9111 §4.1).
	ReasonVary
	// ReasonStale: it has no lifetime left, and nothing to validate it by.
	ReasonStale
	// ReasonTooLarge: longer than the store takes. Assess does not say so: it knows no
	// store.
	ReasonTooLarge
)

// OfRequest says whether the reason lies in the request, so that it tells nothing of the
// answers to others: neither does it end what is stored for them, nor is it remembered.
func (r Reason) OfRequest() bool {
	return r == ReasonMethod || r == ReasonRequestNoStore || r == ReasonAuthorization
}

// String returns the word for logs and metrics.
func (r Reason) String() string {
	switch r {
	case ReasonStored:
		return "stored"
	case ReasonCachingOff:
		return "caching-off"
	case ReasonMethod:
		return "method"
	case ReasonStatus:
		return "status"
	case ReasonPartial:
		return "partial"
	case ReasonNotSelfContained:
		return "not-self-contained"
	case ReasonNoStore:
		return "no-store"
	case ReasonPrivate:
		return "private"
	case ReasonRedirectWithoutControl:
		return "redirect-without-control"
	case ReasonErrorWithoutMaxAge:
		return "error-without-max-age"
	case ReasonErrorForbidden:
		return "error-forbidden"
	case ReasonErrorTTLZero:
		return "error-ttl-zero"
	case ReasonRequestNoStore:
		return "request-no-store"
	case ReasonAuthorization:
		return "authorization"
	case ReasonVary:
		return "vary"
	case ReasonStale:
		return "stale"
	case ReasonTooLarge:
		return "too-large"
	default:
		return "unknown"
	}
}
