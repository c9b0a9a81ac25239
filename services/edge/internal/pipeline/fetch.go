// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// served is what a fill has for its readers: the head of an answer, with its body
// behind it or in an object.
type served struct {
	// vary and selecting say to which other requests the answer is one: those that select
	// the same variant.
	vary      httpcache.Vary
	selecting header.Fields

	// parts: the answer is one to a request for parts, so viewers may get parts of it
	// while it comes.
	parts bool
	// unusable: the answer is no use to a request that wanted a slice of it.
	unusable bool
	// part, if set, is a representation of which one slice comes now.
	part *sliced
	// spilled, if set, is where the body lies as far as the fill does not keep it.
	spilled *sliced

	status int
	// header is for the viewer whose request brought the answer, shared for those who
	// waited (D17.7).
	header, shared header.Fields
	size           int64 // of the body behind the head; -1 if unknown
	// object is the whole answer, if set.
	object *store.Object
	// result is that of the viewer whose request brought the answer.
	result Result
	// made is the reason line of an answer that the edge made.
	made string
	// received and initialAge make the Age of those who waited (D13.14).
	received   time.Time
	initialAge time.Duration

	// For the event: how often the origin was tried, how that failed, why the answer
	// is not stored, and the span of the origin fetch.
	attempts int
	failure  string
	reason   httpcache.Reason
	span     trace.SpanContext
}

// fetch asks: what does the origin say? Requests for one key that may share an answer
// wait for the same fill (D14.8), unless that began before an invalidation of what they
// ask for (D25.15); the others have one each.
func (p *Pipeline) fetch(ctx context.Context, x *visit) bool {
	if p.keep(ctx, x) {
		return true
	}
	o, ok := x.config.Origin(x.behavior.Origin)
	if !ok {
		return x.refuse(503, "The origin of this distribution is not available.")
	}
	if o.PathPrefix+x.behavior.Origin.Path != "" && climbs(x.path) {
		// What lies beside the distribution's path or bucket is somebody else's.
		return x.refuse(400, badRequest)
	}
	x.origin, x.rules.S3 = o.Name, o.S3
	x.alone = x.outcome == Bypass || x.ranged && x.apart
	q := p.question(x, o)
	if x.alone {
		return p.relay(ctx, x, q)
	}
	q.slice = x.firstSlice()
	watched, stop := x.to.Watch(ctx)
	a, err := p.await(watched, x, q)
	left := watched.Err() != nil
	stop()
	if err != nil {
		return p.unanswered(ctx, x, err, left)
	}
	if a.unusable {
		x.reader.Close()
		x.reader, x.collapsed = nil, false
		x.alone = true
		return p.relay(ctx, x, p.question(x, o))
	}
	x.asked, x.originStatus = a, a.status
	linkOrigin(ctx, x, a)
	p.answered(ctx, x, a, p.Now())
	return true
}

// await returns the answer of a fill at which the request has a place. One that
// waited in vain, because the answer is not to be shared, does not come, or has passed
// by already, goes to the origin itself (D14.10, D14.13).
func (p *Pipeline) await(ctx context.Context, x *visit, q *question) (*served, error) {
	if !x.apart {
		a, err := p.waitFor(ctx, x, patience(q.request.Origin), func() (*fill.Reader[*served], error) {
			key := q.fillKey()
			return p.fills.Join(ctx, fill.Place{Key: key, Began: q.began, Fence: p.Invalidations.Fence(key)}, q.run(p))
		})
		if err == nil && x.collapsed && !a.vary.Matches(a.selecting, q.selecting) {
			x.reader.Close()
			x.reader, x.collapsed, err = nil, false, fill.ErrNotShared
		}
		if !inVain(err) {
			return a, err
		}
	}
	alone := *q
	alone.apart = true
	return p.waitFor(ctx, x, 0, func() (*fill.Reader[*served], error) {
		return p.fills.Alone(ctx, alone.run(p))
	})
}

// inVain says whether a request that waited has to go to the origin itself.
func inVain(err error) bool {
	return errors.Is(err, fill.ErrNotShared) || errors.Is(err, fill.ErrLate) || errors.Is(err, fill.ErrCut)
}

// waitFor takes a place at a fill and waits for its head.
func (p *Pipeline) waitFor(
	ctx context.Context, x *visit, patience time.Duration, place func() (*fill.Reader[*served], error),
) (*served, error) {
	r, err := place()
	if err != nil {
		return nil, err
	}
	if r.Leader() {
		patience = 0 // the origin's own time-outs hold
	}
	a, err := r.Head(ctx, patience)
	if err != nil {
		r.Close()
		return nil, err
	}
	x.reader, x.collapsed = r, !r.Leader()
	return a, nil
}

// patience is the time-out budget of an origin (D14.13).
func patience(o *snapshot.Origin) time.Duration {
	if o.CompletionTimeout > 0 {
		return o.CompletionTimeout
	}
	return time.Duration(max(o.Attempts, 1)) * (o.ConnectTimeout + o.ReadTimeout)
}

// answered makes what a fill has the answer of this viewer.
func (p *Pipeline) answered(ctx context.Context, x *visit, a *served, now time.Time) {
	result := a.result
	if x.collapsed {
		result = ResultHit // D22.5
	}
	if a.part != nil {
		p.takePart(ctx, x, a)
		return
	}
	if a.object != nil {
		p.stored(ctx, x, a.object, now, result)
		return
	}
	spilled := p.spilledFor(ctx, x, a)
	x.reply = reply{
		status: a.status, header: a.header, made: a.made, result: result, received: a.received,
		body: exchange.Body{Stream: &pouring{Reader: x.reader, size: a.size, stored: spilled}, Size: a.size},
	}
	if x.collapsed && a.made == "" {
		x.reply.header = a.shared
		x.reply.aged, x.reply.age = true, httpcache.Age(a.initialAge, a.received, now)
	}
	if (a.parts || x.collapsed) && a.size > 0 {
		x.reply.source, x.reply.size = arriving{x.reader, spilled}, a.size
	}
	if a.size == 0 || a.made != "" {
		x.reply.body = exchange.Body{}
	}
	if a.status >= 400 {
		x.reply.result = ResultError
	}
	if a.result == ResultCapacity {
		x.reply.result = ResultCapacity
	}
}

// unanswered is a request for which there was no fill, or none that came to a head.
func (p *Pipeline) unanswered(ctx context.Context, x *visit, err error, left bool) bool {
	x.err = err
	now := p.Now()
	switch {
	case left:
		x.left = true
		return x.refuse(503, "The request was cancelled.")
	case p.mayServeStale(x.object, httpcache.Unreachable, now):
		return p.stored(ctx, x, x.object, now, ResultHit)
	case errors.Is(err, fill.ErrFull):
		x.refuse(503, "The edge has too many requests under way.")
		x.reply.result = ResultCapacity
		return true
	case errors.Is(err, fill.ErrClosed):
		return x.refuse(503, "The edge is shutting down.")
	default:
		return x.refuse(500, "The edge failed to handle this request.")
	}
}

// mayServeStale says whether an object may be used because the origin has failed (D13.8,
// D13.21, D13.23): not if it has been invalidated meanwhile (D25.14).
func (p *Pipeline) mayServeStale(o *store.Object, f httpcache.Failure, now time.Time) bool {
	return o != nil && httpcache.StaleOnError(o.Span(), f, now) && p.Store.Alive(o)
}
