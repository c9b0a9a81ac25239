// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// relayBytes is what is held of an answer that is passed on: one buffer, so that the
// viewer's pace is the origin's.
const relayBytes = 32 << 10

// relayed says whether the answer to a request is nobody else's: it is neither stored
// nor waited for, and the request goes to the origin with its body as it comes (D13.3,
// D24.1, D24.8, D24.9).
func (x *visit) relayed() bool {
	return x.rules.Disabled() || !x.behavior.Methods.Caches(x.req.Method) || x.req.HasBody || x.webSocket()
}

// webSocket says whether the viewer wants to go on by the WebSocket protocol, which is
// possible over HTTP/1.1 only (D24.1).
func (x *visit) webSocket() bool {
	return x.req.Upgrade != "" && strings.EqualFold(x.req.Upgrade, "websocket") && x.req.Method == "GET" && !x.req.HasBody
}

// relay passes a request on and its answer back. It runs in the viewer's goroutine:
// neither is held, each waits for the other side.
func (p *Pipeline) relay(ctx context.Context, x *visit, q *question) bool {
	room, err := p.fills.Reserve(relayBytes)
	if err != nil {
		return p.unanswered(ctx, x, err, ctx.Err() != nil)
	}
	x.closers = append(x.closers, room)
	p.passOn(x, q)
	ctx, cancel := context.WithCancel(ctx)
	x.closers = append(x.closers, cancel)
	unwatch := p.watch(ctx, x, cancel)
	ctx, span := p.startOrigin(ctx, q, &q.request, false)
	x.closers = append(x.closers, func() { span.End() })
	res, err := p.Origins.Fetch(ctx, &q.request)
	unwatch()
	p.endedOrigin(ctx, span, false, res, err)
	if err != nil {
		return p.unrelayed(ctx, x, err)
	}
	x.closers = append(x.closers, func() { _ = res.Body.Close() })
	x.asked = &served{attempts: res.Attempts, reason: httpcache.ReasonMethod, span: trace.SpanContextFromContext(ctx)}
	if x.rules.Disabled() {
		x.asked.reason = httpcache.ReasonCachingOff
	}
	p.complete(q, res)
	p.changed(x, res)
	x.reply = reply{status: res.Status, header: httpcache.ViewerHeader(res.Header, x.rules), result: ResultMiss}
	switch {
	case res.Tunnel != nil:
		x.tunnel = res.Tunnel
		x.reply.header = res.Header
	case res.Framing != origin.None:
		x.reply.body = exchange.Body{Stream: &relayBody{body: res.Body}, Size: res.ContentLength}
	}
	if res.Status >= 400 {
		x.reply.result = ResultError
	}
	return true
}

// watch ends ctx when the viewer leaves, until it is told to stop. What sends a body is
// seen to leave by the reading of that.
func (p *Pipeline) watch(ctx context.Context, x *visit, cancel func()) (unwatch func()) {
	if x.req.HasBody {
		return func() {}
	}
	gone := new(atomic.Bool)
	x.gone = gone
	watched, stop := x.to.Watch(ctx)
	forget := context.AfterFunc(watched, func() {
		gone.Store(true)
		cancel()
	})
	return func() {
		forget()
		stop()
	}
}

// passOn completes a question that is this viewer's alone, with its body and what it
// would like to go on with.
func (p *Pipeline) passOn(x *visit, q *question) {
	if x.req.HasBody {
		q.request.Body, q.request.Length = x.req.Body, x.req.Length
	}
	if x.webSocket() {
		q.request.Upgrade = x.req.Upgrade
	}
}

// unrelayed is a request that the origin did not answer.
func (p *Pipeline) unrelayed(ctx context.Context, x *visit, err error) bool {
	x.err = err
	var e *origin.Error
	switch {
	case x.gone != nil && x.gone.Load():
		x.left = true
		return x.refuse(503, "The request was cancelled.")
	case !errors.As(err, &e):
		return p.unanswered(ctx, x, err, ctx.Err() != nil)
	}
	x.asked = &served{attempts: e.Attempts, failure: e.Kind.String()}
	if errors.Is(err, exchange.ErrBodyTooLarge) {
		x.refuseAs(exchange.BodyTooLarge) // D4.8
		x.reply.closing = true
		return true
	}
	x.refuse(e.Status(), madeReason(e))
	if e.Kind == origin.Overloaded {
		x.reply.result = ResultCapacity
	}
	return true
}

// relayBuffers are those that no relay uses.
var relayBuffers = sync.Pool{New: func() any { return new([relayBytes]byte) }} //nolint:gochecknoglobals // has no state

// relayBody is the body of an answer that is passed on.
type relayBody struct {
	body io.ReadCloser
	room *[relayBytes]byte
	end  error // what came with the last bytes
}

var _ exchange.Stream = (*relayBody)(nil)

// Next reads what the origin has sent.
func (b *relayBody) Next(context.Context) (exchange.Piece, error) {
	if b.room == nil {
		b.room = relayBuffers.Get().(*[relayBytes]byte) //nolint:errcheck // holds nothing else
	}
	for b.end == nil {
		var n int
		if n, b.end = b.body.Read(b.room[:]); n > 0 {
			return exchange.Piece{Bytes: b.room[:n]}, nil
		}
	}
	return exchange.Piece{}, b.end
}

// Close closes the origin's body.
func (b *relayBody) Close() {
	if b.end == nil {
		b.end = fill.ErrClosed
	}
	_ = b.body.Close() // it does not fail
	if b.room != nil {
		relayBuffers.Put(b.room)
		b.room = nil
	}
}
