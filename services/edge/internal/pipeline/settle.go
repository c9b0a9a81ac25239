// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// How long it is remembered that the answers for a key cannot be shared, so that
// requests for it do not line up to find out one by one (design 3.9). An error may
// soon be over.
const (
	hitForMiss      = 2 * time.Minute
	hitForMissError = httpcache.DefaultErrorTTL
)

// objectOf is the object that an answer becomes, still without its body.
func (q *question) objectOf(res *origin.Response, a httpcache.Assessment, h header.Fields) *store.Object {
	o := &store.Object{
		Key: q.storeKey(h), Status: res.Status, Header: h,
		RequestTime: res.RequestTime, ResponseTime: res.ResponseTime,
		Head:  q.request.Method == "HEAD",
		Stamp: q.began.Stamp(), Tags: q.tagsIn(res.Header),
	}
	o.Live(a)
	return o
}

// tagsIn returns the cache tags that an origin gave an answer (D17.16).
func (q *question) tagsIn(h header.Fields) []string {
	if q.tags == "" {
		return nil
	}
	return invalidation.ParseTags(h.Values(q.tags)...)
}

// save stores a whole answer; what it was asked about is replaced (D14.7, D13.22).
func (p *Pipeline) save(q *question, o *store.Object, pieces [][]byte, vary httpcache.Vary) {
	o.Body = pieces
	for _, piece := range pieces {
		o.Size += int64(len(piece))
	}
	if length := strconv.FormatInt(o.Size, 10); q.request.Method != "HEAD" && o.Status != 204 && o.Header.Get("Content-Length") != length {
		o.Header = o.Header.Clone(1) // readers have the other one
		o.Header.Set("Content-Length", length)
	}
	o.Prepare(httpcache.NotModifiedHeader)
	p.vary(q, o, vary)
	p.offer(o)
	if q.replaces() && q.object.Key != o.Key {
		p.Store.Replace(q.object, nil) // another class of Accept-Encoding
	}
}

// vary moves an object to the place of its variant, and leaves a mark at the key that
// leads there (RFC 9111 §4.1).
func (p *Pipeline) vary(q *question, o *store.Object, v httpcache.Vary) {
	if v == "" {
		return
	}
	if now, ok := p.Store.Peek(o.Key); !ok || now.Vary != v || !p.Store.Alive(now) {
		p.Store.Put(&store.Object{
			Key: o.Key, Vary: v, ResponseTime: o.ResponseTime,
			Lifetime: httpcache.MaxLifetime, Retain: httpcache.MaxLifetime, Stamp: q.began.Stamp(),
		})
	}
	o.Key = q.variant(o.Key, v)
}

// offer stores o unless what is there has the better right to its place.
func (p *Pipeline) offer(o *store.Object) {
	at := p.Now()
	p.Store.Offer(o, func(now *store.Object) bool { return stays(now, o, at) })
}

// stays says whether an answer that was stored while another request was under way
// keeps its place against what that one brings: against an error while it may be used
// (D13.21), against a marker while it is fresh, and against an answer that is older.
func stays(now, next *store.Object, at time.Time) bool {
	if now.HitForMiss || now.Vary != "" || now.Status >= 500 {
		return false
	}
	fresh := httpcache.State(now.Span(), at) == httpcache.Fresh
	switch {
	case next.HitForMiss:
		return fresh
	case next.Status >= 500:
		return fresh || httpcache.StaleOnError(now.Span(), httpcache.Unreachable, at)
	default:
		return fresh && now.ResponseTime.After(next.ResponseTime)
	}
}

// replaces says whether the answer takes the place of the object asked about: that to
// a HEAD request leaves the object of a GET as it is (D13.31).
func (q *question) replaces() bool {
	return q.object != nil && q.object.Head == (q.request.Method == "HEAD")
}

// forget handles an answer that is not stored: what the origin has replaced is gone,
// and if the answer could not be shared that is remembered. An error of the origin's
// preserves what is there (D13.21), and so does what only concerns this request.
func (p *Pipeline) forget(q *question, status int, reason httpcache.Reason, shared bool) {
	switch {
	case q.rules.Disabled(), reason.OfRequest(), status >= 500 && q.object != nil:
		return
	case shared, !q.rules.Collapses():
		if q.replaces() {
			p.Store.Replace(q.object, nil)
		}
		return
	}
	lifetime := hitForMiss
	if status >= 400 {
		lifetime = hitForMissError
	}
	if q.replaces() && q.object.Key != q.fillKey() {
		p.Store.Replace(q.object, nil)
	}
	p.offer(&store.Object{
		Key: q.fillKey(), HitForMiss: true, ResponseTime: p.Now(), Lifetime: lifetime, Retain: lifetime,
		Stamp: q.began.Stamp(),
	})
}

// refreshed is a 304 to our own condition: the stored object with the header of the
// answer and a new lifetime (D14.6). Its stamp is that of the request: the origin has
// said then that this is what it has, and an invalidation since ends the object as
// it would have ended a new one.
func (p *Pipeline) refreshed(f *fill.Fill[*served], q *question, res *origin.Response, from trace.SpanContext) {
	p.complete(q, res)
	old := q.object
	next, a := q.renewed(old, httpcache.Response{
		Status: res.Status, Header: httpcache.ViewerHeader(res.Header, q.rules),
		RequestTime: res.RequestTime, ResponseTime: res.ResponseTime,
	})
	if q.tags != "" && res.Header.Has(q.tags) {
		next.Tags = q.tagsIn(res.Header)
	}
	switch {
	case a.Storable && !f.Outdated():
		p.Store.Replace(old, next)
	case !a.Reason.OfRequest():
		p.Store.Replace(old, nil)
	}
	f.Begin(&served{
		object: next, result: ResultRefreshHit, attempts: res.Attempts, reason: a.Reason, span: from,
	}, fill.Body{Shared: a.Shareable})
}

// recall looks for an object to fall back on that has come since the lookup.
func (p *Pipeline) recall(ctx context.Context, q *question) {
	if q.object == nil && !q.rules.Disabled() {
		q.object = q.search(ctx, p).object
	}
}

// fallBack answers with the stale object because asking about it failed, and lets the
// origin rest for the error caching minimum of that status (D13.21).
func (p *Pipeline) fallBack(f *fill.Fill[*served], q *question, a *served, status int) {
	next := *q.object
	next.RetryAfter = p.Now().Add(httpcache.ErrorTTL(status, q.rules))
	p.Store.Replace(q.object, &next)
	a.object, a.result = &next, ResultRefreshHit // D13.29
	f.Begin(a, fill.Body{Shared: true})
}

// failed is an origin that gave no answer: a stale object, or an error of our own,
// which is cached as if the origin had sent it (D18.8).
func (p *Pipeline) failed(
	ctx context.Context, f *fill.Fill[*served], q *question, err error, from trace.SpanContext,
) error {
	var e *origin.Error
	if ctx.Err() != nil || !errors.As(err, &e) {
		return err // nobody waits, or this is no failure of the origin's
	}
	p.recall(ctx, q)
	now := p.Now()
	status := e.Status()
	a := &served{attempts: e.Attempts, failure: e.Kind.String(), span: from}
	if status >= 502 && p.mayServeStale(q.object, httpcache.Unreachable, now) {
		p.fallBack(f, q, a, status)
		return nil
	}
	a.status, a.result, a.made, a.received = status, ResultError, madeReason(e), now
	if e.Kind == origin.Overloaded {
		a.result = ResultCapacity
	}
	judged := httpcache.Assess(q.wants, httpcache.Response{
		Status: status, RequestTime: now, ResponseTime: now,
	}, q.rules)
	a.reason = judged.Reason
	// Too many requests at one moment say nothing about the next.
	if judged.Storable && status >= 502 && e.Kind != origin.Overloaded {
		p.offer(&store.Object{
			Key: q.fillKey(), Status: status, Made: a.made, RequestTime: now, ResponseTime: now,
			Lifetime: judged.Lifetime, Retain: judged.Retain, Head: q.request.Method == "HEAD", Stamp: q.began.Stamp(),
		})
	}
	f.Begin(a, fill.Body{Shared: true}) // D14.12
	return nil
}

// madeReason is the reason line of an error page for a failure to get an answer.
func madeReason(e *origin.Error) string {
	switch e.Status() {
	case 502:
		return "The edge could not get a valid answer from the origin."
	case 503:
		return "Too many requests to the origin are under way."
	case 504:
		return "The origin did not answer in time."
	default:
		return "The edge failed to handle this request."
	}
}
