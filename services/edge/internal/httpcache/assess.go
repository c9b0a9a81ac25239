// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Statuses that are neither whole answers nor errors.
const (
	statusPartial     = 206
	statusNotModified = 304
	firstError        = 400
)

// Response is the head of an origin's answer, or of a stored one.
type Response struct {
	Status int
	Header header.Fields
	// RequestTime is when the request was sent, ResponseTime when the head of
	// the answer had come (RFC 9111 §4.2.3).
	RequestTime, ResponseTime time.Time
}

// Assessment is what may be done with an answer. Every field but Reason and
// Shareable has its zero value when the answer is not Storable.
type Assessment struct {
	// Storable says that the answer may be kept. With a Lifetime of 0 it is kept
	// in order to be validated for each request (D13.6).
	Storable bool
	// Reason is ReasonStored, or why not.
	Reason Reason
	// InitialAge is the age at ResponseTime (D13.14).
	InitialAge time.Duration
	// Lifetime is the freshness lifetime, between 0 and MaxLifetime. The answer
	// is fresh while its age is below it.
	Lifetime time.Duration
	// Retain says how long after ResponseTime the answer may be used at all,
	// stale included (D13.26).
	Retain time.Duration
	// Shareable says that requests which waited for this answer may get it, be
	// it Storable or not (D14.8–D14.11). They get StoredHeader's copy of the
	// header.
	Shareable bool
	// NoStaleOnError says that the answer must not be used stale when the origin
	// fails (D13.8, D13.23). It is set for errors too: none is served beyond its
	// time (D18.10).
	NoStaleOnError bool
	// NoCondition says that the answer is fetched anew without conditional
	// headers (D13.18, D14.4).
	NoCondition bool
}

// Assess decides whether the answer r to a request with that method may be
// stored, for how long, and who may have it (D13.1, D18.1). The answer to HEAD is
// storable as an object of its own (D13.31), and an error that the edge made is
// judged as one from the origin (D18.8). r.Header is the origin's own, or
// ViewerHeader's cleaned copy of it: both give the same result unless Connection
// names a caching header.
func Assess(method string, r Response, p Policy) Assessment {
	if p.Disabled() {
		return Assessment{Reason: ReasonCachingOff} // D13.3, D18.7
	}
	if method != "GET" && method != "HEAD" {
		return Assessment{Reason: ReasonMethod} // D13.13, D18.9
	}
	s := newSubject(r, p)
	a := s.assess()
	a.Storable = a.Reason == ReasonStored
	a.Shareable = s.shareable(a)
	return a
}

// subject is an answer with what its header says, read once.
type subject struct {
	Response
	policy  Policy
	control Control
	// origin is the lifetime that the origin gives: v of D13.1.
	origin  Delta
	varyAny bool
}

func newSubject(r Response, p Policy) subject {
	c := ParseControl(r.Header.Values("Cache-Control"))
	return subject{
		Response: r,
		policy:   p,
		control:  c,
		origin:   originLifetime(c, r),
		varyAny:  varyAny(r.Header),
	}
}

func (s *subject) assess() Assessment {
	if s.Status >= firstError {
		return s.assessError()
	}
	return s.assessSuccess()
}

func (s *subject) assessSuccess() Assessment {
	if reason := s.successReason(); reason != ReasonStored {
		return Assessment{Reason: reason}
	}
	return Assessment{
		Reason:         ReasonStored,
		InitialAge:     initialAge(s.Response),
		Lifetime:       s.successLifetime(),
		Retain:         bound(s.policy.Max), // D13.26
		NoStaleOnError: s.control.ForbidsStale(),
		NoCondition:    s.alwaysRefetched() || s.policy.CookiesForwarded, // D13.18, D14.4
	}
}

func (s *subject) successReason() Reason {
	switch {
	case s.Status == statusPartial:
		return ReasonPartial
	case s.Status == statusNotModified:
		return ReasonNotSelfContained
	case !successCached(s.Status):
		return ReasonStatus
	case (s.Status == 307 || s.Status == 308) && !s.Header.Has("Cache-Control"):
		return ReasonRedirectWithoutControl // D13.12
	case s.policy.Min > 0:
		return ReasonStored // D13.1, D13.2: MinTTL beats no-store and private
	case s.control.NoStore:
		return ReasonNoStore
	case s.control.Private:
		return ReasonPrivate
	default:
		// no-cache too: it may be kept as long as the origin is asked each time
		// (RFC 9111 §5.2.2.4).
		return ReasonStored
	}
}

// successCached lists the statuses below 400 that follow the table of D13.1
// (D13.12).
func successCached(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	default:
		return status >= 200 && status < 300 && status != statusPartial
	}
}

// alwaysRefetched: with "Vary: *" every request goes to the origin, unless MinTTL
// overrides it (D13.18).
func (s *subject) alwaysRefetched() bool {
	return s.varyAny && s.policy.Min == 0
}

// shareable applies D14.8–D14.11 to requests that waited for this answer.
func (s *subject) shareable(a Assessment) bool {
	switch {
	case s.policy.CookiesForwarded:
		return false // D14.9
	case s.Status < 200 || s.Status == statusPartial || s.Status == statusNotModified:
		return false // answers this request only
	case a.Lifetime > 0:
		return true // the store would give it to them anyway; errors too (D14.12, D18.4)
	case s.policy.Min > 0:
		return true // D14.11
	case s.control.Forbids():
		return false // D14.10
	case s.origin.Present && s.origin.Value == 0:
		return false // D14.10; a past Expires is the same as max-age=0 (D13.6)
	default:
		return !s.varyAny // D13.18
	}
}
