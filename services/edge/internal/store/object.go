// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// Object is one stored response. It is immutable once it is in the store;
// whoever refreshes it puts a changed copy that shares the body.
type Object struct {
	Key    cachekey.Key
	Status int
	// Header is what viewers get, without Age and without what the edge adds to
	// each answer.
	Header header.Fields
	// Body is the content in pieces; empty for answers to HEAD and for markers.
	Body [][]byte
	// Size is the number of body bytes. For the answer to a HEAD request it is 0;
	// its Content-Length stands in Header.
	Size int64

	// RequestTime and ResponseTime frame the origin's answer that made or last
	// confirmed this object.
	RequestTime  time.Time
	ResponseTime time.Time
	// InitialAge is the age that the answer had when it arrived (RFC 9111 §4.2.3).
	InitialAge time.Duration
	// Lifetime is the freshness lifetime; the object is fresh while its age is
	// below it.
	Lifetime time.Duration
	// Retain says how long after ResponseTime the object may be used at all, stale
	// included (D13.26).
	Retain time.Duration

	// Windows are for how long after its lifetime the object may be used stale.
	Windows httpcache.Windows
	// NoCondition: refetch without conditional headers (D13.18).
	NoCondition bool
	// Unshared: the next answer must not be given to requests that waited for it
	// (D14.10), so those that find this object stale do not wait for each other.
	Unshared bool
	// Head says that the object is the answer to a HEAD request, under a key of its own.
	Head bool
	// Vary is set in a mark that says by which request fields the objects of its key are
	// told apart: they lie under keys that follow from it (RFC 9111 §4.1).
	Vary httpcache.Vary
	// HitForMiss marks a key whose answers cannot be shared: requests for it go to
	// the origin without waiting for each other until Lifetime is over.
	HitForMiss bool
	// Made is the reason line of an answer that the edge made itself because the
	// origin gave none (D18.8). Its page names the request, so it is built for each
	// viewer and Body is empty.
	Made string
	// RetryAfter: a failed refresh is not tried again before (D13.21).
	RetryAfter time.Time

	// Tags are the cache tags of the answer, in lower case (D17.16).
	Tags []string
	// Stamp is how far the edge had come when the origin request began that brought
	// the body, or last confirmed it (design 3.5).
	Stamp *invalidation.Stamp

	head // made by Prepare
}

// Span is what decides whether the object may be used.
func (o *Object) Span() httpcache.Span {
	return httpcache.Span{
		ResponseTime: o.ResponseTime, InitialAge: o.InitialAge, Lifetime: o.Lifetime, Retain: o.Retain,
		Windows: o.Windows, RetryAfter: o.RetryAfter,
	}
}

// Live takes the life of an answer over into the object.
func (o *Object) Live(a httpcache.Assessment) {
	o.InitialAge, o.Lifetime, o.Retain, o.Windows = a.InitialAge, a.Lifetime, a.Retain, a.Windows
	o.NoCondition, o.Unshared = a.NoCondition, !a.Shareable
}

// Cost is the number of bytes that the object counts for: its body, its header
// and a share for bookkeeping.
func (o *Object) Cost() int64 {
	n := int64(len(o.Key)+len(o.lines)) + objectOverhead + o.Size
	for _, tag := range o.Tags {
		n += int64(len(tag)) + fieldOverhead/2
	}
	for i := range o.Header {
		n += int64(len(o.Header[i].Name)+len(o.Header[i].Value)) + fieldOverhead
	}
	return n
}

const (
	objectOverhead = 560 // Object, stamp, map entry and slice headers, measured roughly
	fieldOverhead  = 32  // two string headers
)
