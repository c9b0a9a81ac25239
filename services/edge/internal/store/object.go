// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/memory"
)

// Object is one stored response. Those that are made to be stored, and those of Own, are
// values of their own. That of a View is part of a record: nothing in it is written to,
// and it is valid until the View is released.
type Object struct {
	Key    cachekey.Key
	Status int
	// Header is what viewers get, without Age and without what the edge adds to each
	// answer. A view has none: Lines and Fields have it.
	Header header.Fields
	// Body is the content in pieces; empty for answers to HEAD, for markers, for views, and
	// for what lies in slices.
	Body [][]byte
	// Size is the number of body bytes. For the answer to a HEAD request it is 0;
	// its Content-Length stands in Header.
	Size int64
	// Slices, unless 0, names the slices in which the body lies (design 3.8).
	Slices uint64

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
	// RetryAfter: a failed refresh is not tried again before (D13.21).
	RetryAfter time.Time

	// NoCondition: refetch without conditional headers (D13.18).
	NoCondition bool
	// Unshared: the next answer must not be given to requests that waited for it
	// (D14.10), so those that find this object stale do not wait for each other.
	Unshared bool
	// Head says that the object is the answer to a HEAD request, under a key of its own.
	Head bool
	// HitForMiss marks a key whose answers cannot be shared: requests for it go to
	// the origin without waiting for each other until Lifetime is over.
	HitForMiss bool
	// Vary is set in a mark that says by which request fields the objects of its key are
	// told apart: they lie under keys that follow from it (RFC 9111 §4.1).
	Vary httpcache.Vary
	// Made is the reason line of an answer that the edge made itself because the
	// origin gave none (D18.8). Its page names the request, so it is built for each
	// viewer and Body is empty.
	Made string

	// Tags are the cache tags of the answer, in lower case (D17.16). A view has none.
	Tags []string
	// Stamp is how far the edge had come when the origin request began that brought
	// the body, or last confirmed it (design 3.5).
	Stamp *invalidation.Stamp

	head           // made by Prepare
	version uint64 // of the record; 0 before it is stored

	// Of the object of a View.
	viewed bool
	tags   []byte // each ends with a zero byte
	bytes  []byte // body
}

// View is an object as it lies in the store. It is used by one goroutine.
type View struct {
	Object
	record memory.Ref
	stamp  invalidation.Stamp
}

// Release ends the use of the view and of all that it gave. It may be called again.
func (v *View) Release() { v.record.Release() }

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

// Content is the body, unless that lies in slices.
func (o *Object) Content() exchange.Body {
	if len(o.bytes) > 0 {
		return exchange.Body{Bytes: o.bytes, Size: o.Size}
	}
	return exchange.Chunks(o.Body, o.Size)
}

// Fields appends the header to room. Of a view, its strings are valid as long as that.
func (o *Object) Fields(room header.Fields) header.Fields {
	if o.Header != nil {
		return append(room, o.Header...)
	}
	exchange.Split(o.lines, func(name, value string) bool {
		room = append(room, header.Field{Name: name, Value: value})
		return true
	})
	return room
}

// Own returns the object as a value of its own, with header, tags and body: o itself if
// it is that of no View.
func (o *Object) Own() *Object {
	if !o.viewed {
		return o
	}
	out := *o
	out.Key, out.Made, out.Vary = o.Key.Own(), string([]byte(o.Made)), httpcache.Vary([]byte(o.Vary))
	out.lines = append([]byte(nil), o.lines...)
	out.Header = header.Fields{}
	exchange.Split(out.lines, func(name, value string) bool {
		out.Header.Add(name, value)
		return true
	})
	out.Tags = o.tagList()
	if len(o.bytes) > 0 {
		out.Body = [][]byte{append([]byte(nil), o.bytes...)}
	}
	out.Stamp = o.Stamp.Moment().Stamp()
	out.viewed, out.tags, out.bytes = false, nil, nil
	return &out
}

// tagList returns the cache tags.
func (o *Object) tagList() []string {
	if o.Tags != nil {
		return o.Tags
	}
	var out []string
	for rest := o.tags; len(rest) > 0; {
		i := 0
		for i < len(rest) && rest[i] != 0 {
			i++
		}
		out = append(out, string(rest[:i]))
		rest = rest[min(i+1, len(rest)):]
	}
	return out
}
