// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// lookup asks: do we have it, and may we use it? What was invalidated is not there: the
// store has held its stamp against the newest invalidation (D25.14).
func (p *Pipeline) lookup(ctx context.Context, x *visit) bool {
	if x.relayed() {
		x.outcome, x.apart = Bypass, true // D13.3, D14.9
		x.why = httpcache.ForwardBypass
		if !x.wants.Uses(x.rules) && !x.rules.Disabled() {
			x.why = httpcache.ForwardMethod
		}
		return false
	}
	now := x.started // nothing has been waited for since
	s := &x.search
	*s = search{now: now, wants: &x.wants, header: x.header, encoding: &x.forward, fields: x.stored[:0]}
	p.find(ctx, x.keyRoom, x.forward.Encoding, s)
	x.apart = s.apart || !x.wants.Joins(x.rules) // D14.9
	x.vary = s.vary
	switch {
	case s.usable:
		x.outcome, x.object, x.refresh = Hit, s.object, s.refresh // D14.1
		return p.stored(ctx, x, s.object, now, ResultHit)
	case s.unavailable || s.object == nil && httpcache.Absent(x.wants) == httpcache.Unavailable:
		x.outcome = Miss
		return x.refuse(504, "What is stored does not satisfy this request, which asks for nothing else.")
	case s.object != nil:
		x.outcome, x.object, x.why = Stale, s.object, s.why()
		return false
	default:
		x.outcome, x.why = Miss, httpcache.ForwardURIMiss
		if s.vary != "" {
			x.why = httpcache.ForwardVaryMiss
		}
		return false
	}
}

// search is a look into the store for a request, and what it has found.
type search struct {
	now   time.Time
	wants *httpcache.Request
	// header is the viewer's; encoding, if set, has the Accept-Encoding that the origin
	// gets in the place of that one.
	header   header.Fields
	encoding *cachekey.Forward
	fields   header.Fields // room for both together

	// again: it is not the viewer's look, which has been counted.
	again bool

	// object answers if usable, and is a view then, or else is stale; nil if there is none.
	// refresh says that it has to be refreshed meanwhile.
	object          *store.Object
	room            store.View
	usable, refresh bool
	// unavailable: the viewer wants nothing from the origin.
	unavailable bool
	// apart: a marker or the object says that answers cannot be shared (D14.10).
	apart bool
	// vary is what the answers for the key vary by, where there is a mark. It lies in
	// varyRoom, if it is not too long.
	vary     httpcache.Vary
	varyRoom [96]byte
}

// note remembers what a mark says, which is about to be released.
func (s *search) note(v httpcache.Vary) {
	if len(v) > len(s.varyRoom) {
		s.vary = httpcache.Vary([]byte(v))
		return
	}
	s.vary = httpcache.Vary(view(s.varyRoom[:copy(s.varyRoom[:], v)]))
}

// why is the reason for which the origin is asked about the object.
func (s *search) why() httpcache.Forward {
	if httpcache.State(s.object.Span(), s.now) == httpcache.Fresh {
		return httpcache.ForwardRequest
	}
	return httpcache.ForwardStale
}

// find looks a key up in the classes of Accept-Encoding that may serve (D11.18). A
// HEAD request is served by the object of a GET, or else by one of its own (D13.30,
// D13.31). The bytes of the key are those of cachekey.Append; they come back as they
// were.
func (p *Pipeline) find(ctx context.Context, key []byte, class cachekey.Class, s *search) {
	for _, c := range class.Candidates() {
		cachekey.SetEncoding(key, c)
		if p.consider(ctx, key, s) {
			break
		}
		if s.wants.Method == "HEAD" && p.consider(ctx, append(key, headSuffix), s) {
			break
		}
	}
	cachekey.SetEncoding(key, class)
}

// consider looks one key up, and the variant below it that the request selects, and says
// whether the search is over.
func (p *Pipeline) consider(ctx context.Context, key []byte, s *search) bool {
	v := &s.room
	ok := p.look(ctx, s, cachekey.View(key), v)
	if ok && v.Vary != "" {
		s.note(v.Vary)
		v.Release()
		ok = p.look(ctx, s, cachekey.View(s.vary.AppendKey(key, s.selecting())), v)
	}
	if !ok {
		return false
	}
	if s.wants.Method != "HEAD" && !p.sendable(&v.Object, s.fields) {
		v.Release() // it cannot be sent to its end
		return false
	}
	over := s.weigh(&v.Object)
	if s.object != &v.Object {
		v.Release()
	}
	return over
}

func (p *Pipeline) look(ctx context.Context, s *search, key cachekey.Key, v *store.View) bool {
	if s.again {
		return p.Store.Recall(key, v)
	}
	return p.Store.Get(ctx, key, v)
}

// selecting is the header by which the request selects a variant.
func (s *search) selecting() header.Fields {
	if s.encoding == nil || !s.encoding.HasAcceptEncoding {
		return s.header
	}
	s.fields = append(s.fields[:0], s.header...)
	s.fields.Set("Accept-Encoding", s.encoding.AcceptEncoding)
	return s.fields
}

// weigh says whether an object ends the search, and remembers the best so far.
func (s *search) weigh(o *store.Object) bool {
	if o.HitForMiss {
		s.apart = s.apart || httpcache.State(o.Span(), s.now) == httpcache.Fresh
		return false
	}
	switch httpcache.Decide(o.Span(), *s.wants, s.now) {
	case httpcache.Serve:
		s.object, s.usable = o, true
		return true
	case httpcache.ServeAndRefresh:
		s.object, s.usable, s.refresh = o, true, true
		return true
	case httpcache.Unavailable:
		s.unavailable = true
		return true
	case httpcache.Validate:
		if s.object == nil {
			s.object = o.Own()
			s.apart = s.apart || o.Unshared
		}
	}
	return false
}

// headKey is the key of the answer to a HEAD request. No key of package cachekey is
// the beginning of another, so it is no other request's.
func headKey(k cachekey.Key) cachekey.Key { return k + headKeySuffix }

// headSuffix is not the byte of any class of Accept-Encoding, in which keys end, nor one
// with which the key of a variant goes on.
const (
	headSuffix    = 0
	headKeySuffix = "\x00"
)
