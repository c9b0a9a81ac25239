// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"strconv"

	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// errUnasked is an answer to a question that was not asked: 304 without a
// condition, or a part of what was asked for as a whole.
var errUnasked = errors.New("answer to another kind of request")

// ask is the life of a fill: it asks the origin, decides with httpcache what may be
// done with the answer, and feeds it to the readers while it is being stored.
func (p *Pipeline) ask(ctx context.Context, f *fill.Fill[*served], q question) error {
	if !q.apart && p.meanwhile(ctx, f, &q) {
		return nil
	}
	if q.object != nil && !p.Store.Alive(q.object) {
		q.object = nil // D25.14: no condition by it, and no falling back on it
	}
	req, validating := q.withValidators()
	if q.slice >= 0 {
		req.Header = append(req.Header.Clone(1), header.Field{Name: "Range", Value: sliceRange(q.slice)})
	}
	ctx, span := p.startOrigin(ctx, &q, &req, validating)
	defer span.End()
	res, err := p.Origins.Fetch(ctx, &req)
	if err == nil && validating && res.Status == 304 && !httpcache.Confirms(q.object.Header, res.Header) {
		_ = res.Body.Close() // it has none
		validating = false
		req.Header = unconditional(req.Header)
		res, err = p.Origins.Fetch(ctx, &req)
	}
	if err == nil {
		defer func() { _ = res.Body.Close() }()
		err = q.accept(res, validating)
	}
	p.endedOrigin(ctx, span, validating, res, err)
	from := trace.SpanContextFromContext(ctx)
	switch {
	case err != nil:
		return p.failed(ctx, f, &q, err, from)
	case res.Status == 304 && validating:
		p.refreshed(f, &q, res, from)
		return nil
	case q.rules.Failed(res.Status) && p.mayFallBack(ctx, &q):
		p.fallBack(f, &q, &served{
			attempts: res.Attempts, failure: "status " + strconv.Itoa(res.Status), span: from,
		}, res.Status)
		return nil
	}
	if res.Status == 206 {
		err = p.pourSlice(ctx, f, &q, res, from)
	} else {
		err = p.pour(ctx, f, &q, res, from)
	}
	if err != nil {
		span.RecordError(errors.New(clip(err.Error())))
	}
	return err
}

// meanwhile answers with an object that was stored between lookup and the beginning
// of this fill: without it the end of one fill would be the beginning of another.
func (p *Pipeline) meanwhile(ctx context.Context, f *fill.Fill[*served], q *question) bool {
	now := q.search(ctx, p)
	if now.usable && !now.refresh {
		f.Begin(&served{object: now.object, result: ResultHit}, fill.Body{Shared: true})
		return true
	}
	q.object = now.object
	return false
}

// accept refuses answers to what was not asked.
func (q *question) accept(res *origin.Response, validating bool) error {
	if res.Status == 206 && q.slice < 0 || res.Status == 304 && !validating {
		return &origin.Error{
			Kind: origin.Invalid, Origin: q.request.Origin.Name, Attempts: res.Attempts,
			Reused: res.Reused, RemoteAddr: res.RemoteAddr, Err: errUnasked,
		}
	}
	return nil
}

// mayFallBack says whether there is an object to serve when the origin fails.
func (p *Pipeline) mayFallBack(ctx context.Context, q *question) bool {
	p.recall(ctx, q)
	return p.mayServeStale(q.object, httpcache.Failing, p.Now())
}

// pour gives an answer to the readers as it comes and stores it when it is whole
// (D17.1). An answer that breaks off is aborted for all and not stored (D17.12).
func (p *Pipeline) pour(
	ctx context.Context, f *fill.Fill[*served], q *question, res *origin.Response, from trace.SpanContext,
) error {
	p.complete(q, res)
	p.freshen(ctx, q, res)
	a := httpcache.Assess(q.wants, httpcache.Response{
		Status: res.Status, Header: res.Header, RequestTime: res.RequestTime, ResponseTime: res.ResponseTime,
	}, q.rules)
	viewer := httpcache.ViewerHeader(res.Header, q.rules)
	object := q.objectOf(res, a, httpcache.StoredHeader(viewer, q.rules))
	size := res.ContentLength
	if res.Framing == origin.None {
		size = 0
	}
	body := fill.Body{Size: size, Shared: a.Shareable}
	if a.Storable || a.Shareable {
		body.Keep = max(p.Store.MaxInline(), p.fills.Window())
	}
	storable := a.Storable
	if size > p.Store.MaxSliced() {
		// Too large to be stored: one viewer each, with back-pressure (design 3.9).
		if body.Keep, body.Shared = 0, false; storable {
			storable, a.Reason = false, httpcache.ReasonTooLarge
		}
	}
	w := &sliceWriter{p: p, q: q, id: p.Store.NewSlices()}
	if storable && q.request.Method != "HEAD" {
		body.Spill = w.write
	}
	if size > body.Keep && body.Spill != nil {
		p.announce(q, res, object, w.id, a.Vary)
	}
	if !storable {
		p.forget(q, res.Status, a.Reason, body.Shared)
	}
	body.Passed = func() {
		if body.Spill == nil {
			p.forget(q, res.Status, a.Reason, false)
		}
	}
	f.Begin(&served{
		vary: a.Vary, selecting: q.selecting, parts: q.partial,
		status: res.Status, header: viewer, shared: object.Header, size: size, result: ResultMiss,
		received: res.ResponseTime, initialAge: a.InitialAge,
		attempts: res.Attempts, reason: a.Reason, span: from,
	}, body)
	pieces, whole, err := f.Copy(ctx, res.Body)
	if err != nil || !storable || f.Outdated() {
		return err
	}
	if whole && lengthOf(pieces) > p.Store.MaxInline() {
		for _, b := range pieces {
			_ = w.write(b) // it does not fail
		}
		whole, pieces = false, nil
	}
	if !whole {
		if !w.end() {
			p.forget(q, res.Status, a.Reason, false)
			return nil
		}
		object.Slices, object.Size = w.id, w.size
	}
	p.save(q, object, pieces, a.Vary)
	return nil
}

// complete makes the origin's header what viewers may see of it: with a Date
// (D13.16) and a Server (D17.9), with one Content-Length where the length is known,
// and without the fields that the edge writes itself (D22.1).
func (p *Pipeline) complete(q *question, res *origin.Response) {
	h := &res.Header
	h.Filter(func(f header.Field) bool {
		return !header.Equal(f.Name, "X-Cache") && !header.Equal(f.Name, p.Brand.Pop) &&
			!header.Equal(f.Name, p.Brand.RequestID)
	})
	if !h.Has("Date") {
		h.Add("Date", httpcache.FormatDate(res.ResponseTime))
	}
	if !h.Has("Server") && res.Status != 304 { // a 304 without one leaves the stored one
		h.Add("Server", p.Brand.Server)
	}
	switch {
	case res.Status == 304:
	case res.Status == 204 || res.ContentLength < 0:
		h.Del("Content-Length") // D22.10
	case q.request.Method == "HEAD" || res.Framing == origin.ContentLength:
		h.Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	}
}
