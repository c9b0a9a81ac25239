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
	firstFinal        = 200
	firstError        = 400
	firstServerError  = 500
)

// Response is the head of an origin's answer, or of a stored one.
type Response struct {
	Status int
	Header header.Fields
	// RequestTime is when the request was sent, ResponseTime when the head of
	// the answer had come (RFC 9111 §4.2.3).
	RequestTime, ResponseTime time.Time
}

// Assessment is what may be done with an answer. Every field but Reason, Shareable and
// Vary has its zero value when the answer is not Storable.
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
	// Windows are for how long after its Lifetime the answer may be used stale.
	Windows Windows
	// Vary names the request fields by which the answer is one variant of several below its
	// cache key. It is told of answers that are not Storable too.
	Vary Vary
	// Shareable says that requests which waited for this answer may get it, be
	// it Storable or not (D14.8–D14.11), if they select the same variant. They get
	// StoredHeader's copy of the header.
	Shareable bool
	// NoStaleOnError says that the answer must not be used stale when the origin
	// fails (D13.8, D13.23). It is set for errors too: none is served beyond its
	// time (D18.10).
	NoStaleOnError bool
	// NoCondition says that the answer is fetched anew without conditional
	// headers (D13.18, D14.4).
	NoCondition bool
}

// Span is the life of the answer r that was assessed.
func (a Assessment) Span(r Response) Span {
	return Span{
		ResponseTime: r.ResponseTime, InitialAge: a.InitialAge, Lifetime: a.Lifetime, Retain: a.Retain, Windows: a.Windows,
	}
}

// Assess decides whether the answer r to the request req may be stored, for how long,
// and who may have it (D13.1, D18.1, RFC 9111 §3). The answer to HEAD is
// storable as an object of its own (D13.31), and an error that the edge made is
// judged as one from the origin (D18.8). A part of a representation is judged under the
// status 200. r.Header is the origin's own, or ViewerHeader's cleaned copy of
// it: both give the same result unless Connection names a caching header.
func Assess(req Request, r Response, p Policy) Assessment {
	if p.Disabled() {
		return Assessment{Reason: ReasonCachingOff} // D13.3, D18.7
	}
	if !req.Uses(p) {
		return Assessment{Reason: ReasonMethod} // D13.13, D18.9
	}
	s := newSubject(r, p)
	var a Assessment
	if p.Semantics == HTTP {
		a = s.assessHTTP(req)
	} else {
		a = s.assessCloudFront()
	}
	a.NoStaleOnError = a.Storable && a.Windows.Unreachable == 0
	return a
}

// subject is an answer with what its header says, read once.
type subject struct {
	Response
	policy  Policy
	control Control
	// origin is the lifetime that the origin gives: v of D13.1.
	origin Delta
	// varyAny says that "*" is in Vary.
	varyAny bool
}

func newSubject(r Response, p Policy) subject {
	c, targeted := controlOf(r.Header, p)
	return subject{
		Response: r,
		policy:   p,
		control:  c,
		origin:   originLifetime(c, r, targeted),
		varyAny:  varyAny(r.Header),
	}
}
