// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"strconv"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
)

// deliver asks: what does this viewer get? It applies the viewer's conditions, builds
// the head and sends the answer. It runs for every request, once.
func (p *Pipeline) deliver(ctx context.Context, x *visit, to exchange.Sender) {
	if x.span != nil {
		child, span := p.tracer.Start(ctx, "deliver")
		defer span.End()
		ctx = child
	}
	defer func() {
		if v := recover(); v != nil {
			p.panicked(ctx, x, v)
			if !x.sending {
				x.answer = exchange.Answer{Status: 500, Close: true}
				p.send(ctx, x, to)
			}
		}
	}()
	if x.passing != nil {
		x.passing.end()
	}
	if !x.condition() {
		p.cut(x)
	}
	p.judge(x)
	p.compose(x)
	p.send(ctx, x, to)
}

// send hands the answer to the adapter.
func (p *Pipeline) send(ctx context.Context, x *visit, to exchange.Sender) {
	x.sending = true
	x.ready = p.since(x.started)
	sent, err := to.Send(ctx, &x.answer)
	x.sent = sent
	if err != nil && x.err == nil {
		x.err = err
	}
}

// condition applies the viewer's conditions to an answer that could be anyone's
// (D14.2). With cookies forwarded there are none (D14.4); with caching off the origin
// has seen them. It says whether one has decided what the answer is.
func (x *visit) condition() (decided bool) {
	r := &x.reply
	if x.outcome == 0 || x.outcome == Bypass || !x.rules.AnswersConditions() || r.made != "" || !conditional(x.header) {
		return false
	}
	stored := httpcache.Response{Status: r.status, Header: x.replyHeader(), ResponseTime: r.received}
	switch httpcache.Evaluate(x.req.Method, x.header, stored) {
	case httpcache.NotModified:
		r.status, r.body = 304, exchange.Body{}
		if r.object == nil {
			r.header = httpcache.NotModifiedHeader(r.header)
		}
	case httpcache.PreconditionFailed:
		x.refuse(412, "A precondition of this request does not hold.")
	default:
		return false
	}
	if x.reader != nil {
		x.reader.Release() // the viewer has what it wants; the store has not
	}
	return true
}

// conditional says whether a viewer's header has a condition.
func conditional(h header.Fields) bool {
	for i := range h {
		if n := h[i].Name; len(n) > 3 && n[2] == '-' && header.Equal(n[:3], "If-") {
			return true
		}
	}
	return false
}

// replyHeader is the header of the reply as fields.
func (x *visit) replyHeader() header.Fields {
	if o := x.reply.object; o != nil {
		return o.Fields(x.stored[:0])
	}
	return x.reply.header
}

// compose makes the answer of the reply: the fields that came from the origin, then
// those of the edge (D22.1).
func (p *Pipeline) compose(x *visit) {
	r := &x.reply
	h, lines := header.Fields(x.own[:0]), []byte(nil)
	switch {
	case r.made != "":
		h = p.page(x, len(x.own))
	case r.location != "":
		h = p.redirect(x, len(x.own))
	case r.object != nil && (!r.object.SetsCookie || x.rules.PassesSetCookie()):
		lines = r.object.Lines(r.status)
		if r.part.Length > 0 {
			x.appendPart(&h)
		}
	default:
		h = x.replyHeader()
		if r.object != nil && r.status == 304 {
			h = httpcache.NotModifiedHeader(h)
		}
		if h = h.Clone(len(x.own)); r.part.Length > 0 {
			h = byterange.Header(h, r.part, r.size)
		}
		if !x.rules.PassesSetCookie() {
			h.Del("Set-Cookie") // D17.6, also if it was stored under another policy
		}
	}
	if r.unsatisfied {
		h.Add("Content-Range", string(byterange.AppendUnsatisfied(nil, r.size))) // D19.5
	}
	h.Add("Via", p.words.via)
	h.Add("X-Cache", p.words.xcache[r.result])
	if p.Pop != "" {
		h.Add(p.Brand.Pop, p.Pop)
	}
	h.Add(p.Brand.RequestID, x.id)
	if r.aged {
		h.Add("Age", view(strconv.AppendInt(x.ageRoom[:0], int64(r.age/time.Second), 10))) // D13.14
	}
	if x.policy != nil && x.policy.CacheStatus {
		h.Add("Cache-Status", p.cacheStatus(x))
	}
	if x.req.Method == "HEAD" {
		if r.body.Stream != nil {
			r.body.Stream.Close()
		}
		r.body = exchange.Body{} // D13.30: the header tells its length
	}
	x.answer = exchange.Answer{Status: r.status, Lines: lines, Header: h, Body: r.body, Tunnel: x.tunnel, Close: r.closing}
}

// page makes the error page the body and returns its head (D22.12).
func (p *Pipeline) page(x *visit, extra int) header.Fields {
	r := &x.reply
	return p.made(x, p.words.errorPage(r.status, r.made, x.id), extra)
}

// redirect makes a short page the body and returns its head (D6.3).
func (p *Pipeline) redirect(x *visit, extra int) header.Fields {
	h := p.made(x, p.words.redirectPage(x.reply.status), extra+1)
	h.Add("Location", x.reply.location)
	return h
}

// made is the head of a page that the edge wrote.
func (p *Pipeline) made(x *visit, page []byte, extra int) header.Fields {
	x.reply.body = exchange.Bytes(page)
	h := make(header.Fields, 0, 4+extra)
	h.Add("Server", p.Brand.Server)
	h.Add("Date", httpcache.FormatDate(p.Now()))
	h.Add("Content-Type", "text/html")
	h.Add("Content-Length", strconv.Itoa(len(page)))
	return h
}
