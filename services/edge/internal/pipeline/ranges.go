// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// ranges reads what parts the viewer asks for (D19.1): of GET alone, and nothing where
// there is more than one field.
func (x *visit) ranges() {
	if x.req.Method != "GET" {
		return
	}
	value, n := "", 0
	for i := range x.header {
		if header.Equal(x.header[i].Name, "Range") {
			value, n = x.header[i].Value, n+1
		}
	}
	if n == 1 {
		x.parts, x.ranged = byterange.Parse(value)
	}
}

// rules says what is done about ranges that are not in order.
func (x *visit) rangeRules() byterange.Rules {
	if x.rules.Semantics == httpcache.HTTP {
		return byterange.AnyOrder
	}
	return byterange.InOrder
}

// cut makes of a reply of 200 what the viewer asks for (D19.1 to D19.8). A reply whose
// body is on its way from the origin is sent whole (D19.2).
func (p *Pipeline) cut(x *visit) {
	r := &x.reply
	if !x.ranged || r.status != 200 || r.made != "" || r.source == nil && r.body.Stream != nil {
		return
	}
	size := r.body.Size
	if r.source != nil {
		size = r.size
	}
	if size < 0 || !byterange.IfRange(x.header, x.replyHeader(), r.received) {
		return
	}
	switch s := x.parts.Select(size, x.rangeRules()); s.Outcome {
	case byterange.Single:
		r.status, r.part, r.size = 206, s.Range, size
		if r.source != nil {
			r.body = byterange.Section(r.source, s.Range)
		} else {
			r.body = byterange.Cut(r.body.Bytes, s.Range)
		}
	case byterange.Several:
		if _, once := r.source.(arriving); once {
			return // parts would each need what has passed by: the whole is right too (D19.2)
		}
		p.several(x, s.Ranges, size)
	case byterange.Unsatisfiable:
		x.refuse(416, "The range that was asked for is not there.")
		x.reply.unsatisfied, x.reply.size = true, size
	}
}

// several makes the reply a multipart one (D19.4).
func (p *Pipeline) several(x *visit, ranges []byterange.Range, size int64) {
	r := &x.reply
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	h := x.replyHeader()
	m := byterange.NewMultipart(ranges, size, h.Get("Content-Type"), byterange.Boundary(random))
	source := r.source
	if source == nil {
		source = byterange.Pieces{{Bytes: r.body.Bytes}}
	}
	r.several = ranges
	r.status, r.object, r.header, r.body = 206, nil, m.Header(h), m.Body(source)
}

// judge looks whether all slices that the answer is made of are stored. One that needs
// others from the origin is a miss, in all words for it, whatever else was found.
func (p *Pipeline) judge(x *visit) {
	r := &x.reply
	s, ok := r.source.(*sliced)
	if !ok || r.status != 200 && r.status != 206 || x.req.Method == "HEAD" || r.result == ResultMiss {
		return
	}
	switch {
	case r.several != nil:
		ok = !slices.ContainsFunc(r.several, func(part byterange.Range) bool { return !s.has(part) })
	case r.part.Length > 0:
		ok = s.has(r.part)
	default:
		ok = s.has(byterange.Range{Length: r.size})
	}
	if ok {
		return
	}
	r.result = ResultMiss // D22.5
	if x.outcome == Hit {
		x.outcome, x.why = Miss, httpcache.ForwardPartial
	}
}

// has says whether the slices that bytes of the body lie in are stored, or coming to
// this viewer.
func (s *sliced) has(part byterange.Range) bool {
	of := byterange.SlicesOf(part)
	if s.first == nil || s.number < of.First || s.number >= of.End {
		return s.p.Store.HasSlices(s.id, of)
	}
	return s.p.Store.HasSlices(s.id, byterange.Slices{First: of.First, End: s.number}) &&
		s.p.Store.HasSlices(s.id, byterange.Slices{First: s.number + 1, End: of.End})
}

// appendPart adds the fields of a reply with one range.
func (x *visit) appendPart(h *header.Fields) {
	r := &x.reply
	room := x.partRoom[:0]
	room = byterange.AppendContentRange(room, r.part, r.size)
	n := len(room)
	room = strconv.AppendInt(room, r.part.Length, 10)
	h.Add("Content-Range", view(room[:n]))
	h.Add("Content-Length", view(room[n:]))
}

// inSlices makes a stored object whose body lies in slices the reply.
func (p *Pipeline) inSlices(ctx context.Context, x *visit, o *store.Object) {
	s := &sliced{p: p, id: o.Slices, size: o.Size}
	if validator, ok := byterange.Strong(x.replyHeader(), o.ResponseTime); ok {
		s.validator = string([]byte(validator))
	}
	s.ask = func() (*question, bool) { return p.questionOf(ctx, x) }
	x.reply.source, x.reply.size = s, o.Size
	x.reply.body = exchange.Body{Stream: s.Section(byterange.Range{Length: o.Size}), Size: o.Size}
}

// questionOf makes the question by which the origin is asked for slices of the object
// that answers.
func (p *Pipeline) questionOf(ctx context.Context, x *visit) (*question, bool) {
	if x.slicing != nil {
		return x.slicing, true
	}
	o, ok := x.config.Origin(x.behavior.Origin)
	if !ok {
		return nil, false
	}
	object := x.reply.object
	if object != nil {
		object = object.Own()
	}
	x.object = object
	if p.keep(ctx, x) {
		return nil, false
	}
	x.rules.S3 = o.S3
	x.slicing = p.question(x, o)
	x.slicing.object, x.slicing.request.Interim = object, nil
	return x.slicing, true
}

// fewSlices is how many are looked for on each hit before it is asked whether they could
// be fetched: of an object of gigabytes it would be thousands.
const fewSlices = 16

// sendable says whether the body of an object can be sent to its end: the slices that it lies
// in are there, or can be fetched. It writes into room.
func (p *Pipeline) sendable(o *store.Object, room header.Fields) bool {
	return o.Slices == 0 || o.Size > fewSlices*byterange.SliceSize && fetchable(o, room) ||
		p.Store.HasSlices(o.Slices, byterange.SlicesOf(byterange.Range{Length: o.Size})) || fetchable(o, room)
}

// fetchable says whether slices of an object can be asked for by themselves.
func fetchable(o *store.Object, room header.Fields) bool {
	h := o.Fields(room[:0])
	_, strong := byterange.Strong(h, o.ResponseTime)
	return strong && header.Equal(h.Get("Accept-Ranges"), "bytes")
}
