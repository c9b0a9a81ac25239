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

// errUnasked is an answer to a question that was not asked: 304 without a condition.
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
	if res.Status == 206 && q.slice >= 0 {
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

// accept refuses answers to what was not asked, unless they make sense by themselves: a part
// where the whole was asked for says that it is one (RFC 9110 §15.3.7), and is passed on to
// who asked, never kept.
func (q *question) accept(res *origin.Response, validating bool) error {
	if res.Status == 304 && !validating {
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
