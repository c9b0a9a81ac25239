// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// lookup asks: do we have it, and may we use it? What was invalidated is not there: the
// store has held its stamp against the newest invalidation (D25.14).
func (p *Pipeline) lookup(_ context.Context, x *visit) bool {
	if x.rules.Disabled() {
		x.outcome, x.apart = Bypass, true // D13.3, D14.9
		return false
	}
	now := p.Now()
	f := p.find(x.keyRoom, x.forward.Encoding, x.req.Method, now)
	x.apart = f.apart || x.rules.CookiesForwarded // D14.9
	switch {
	case f.usable:
		x.outcome = Hit // D14.1
		return x.stored(f.object, now, ResultHit)
	case f.object != nil:
		x.outcome, x.object = Stale, f.object
		return false
	default:
		x.outcome = Miss
		return false
	}
}

// found is what the store has for a request.
type found struct {
	// object answers if usable, or else is stale; nil if there is none.
	object *store.Object
	usable bool
	// apart: a marker or the object says that answers cannot be shared (D14.10).
	apart bool
}

// find looks a key up in the classes of Accept-Encoding that may serve (D11.18). A
// HEAD request is served by the object of a GET, or else by one of its own (D13.30,
// D13.31). The bytes of the key are those of cachekey.Append; they come back as they
// were.
func (p *Pipeline) find(key []byte, class cachekey.Class, method string, now time.Time) found {
	var best found
	for _, c := range class.Candidates() {
		cachekey.SetEncoding(key, c)
		if p.consider(cachekey.View(key), now, &best) {
			break
		}
		if method == "HEAD" && p.consider(cachekey.View(append(key, headSuffix...)), now, &best) {
			break
		}
	}
	cachekey.SetEncoding(key, class)
	return best
}

// consider looks one key up and says whether its object can be used as it is.
func (p *Pipeline) consider(key cachekey.Key, now time.Time, best *found) bool {
	o, ok := p.Store.Get(key)
	if !ok {
		return false
	}
	state := httpcache.State(spanOf(o), now)
	switch {
	case o.HitForMiss:
		best.apart = best.apart || state == httpcache.Fresh
	case state == httpcache.Fresh, state == httpcache.Stale && now.Before(o.RetryAfter): // D13.21
		*best = found{object: o, usable: true}
		return true
	case state == httpcache.Stale && best.object == nil:
		best.object = o
		best.apart = best.apart || o.Unshared
	}
	return false
}

func spanOf(o *store.Object) httpcache.Span {
	return httpcache.Span{
		ResponseTime: o.ResponseTime, InitialAge: o.InitialAge, Lifetime: o.Lifetime, Retain: o.Retain,
	}
}

// headKey is the key of the answer to a HEAD request. No key of package cachekey is
// the beginning of another, so it is no other request's.
func headKey(k cachekey.Key) cachekey.Key { return k + headSuffix }

// headSuffix is not the byte of any class of Accept-Encoding, in which keys end.
const headSuffix = "h"

func isHeadKey(k cachekey.Key) bool { return strings.HasSuffix(string(k), headSuffix) }
