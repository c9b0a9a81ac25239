// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// firstSlice is the slice that a request for parts begins with, where nothing is stored
// or what is stored lies in slices; -1 where the origin is asked for the whole. Where
// only the length tells, it is the first: its answer tells the length.
func (x *visit) firstSlice() int64 {
	if !x.ranged || x.object != nil && x.object.Slices == 0 {
		return -1
	}
	n, ok := x.parts.At(0).FirstSlice()
	if !ok {
		return 0
	}
	return n
}

// sliceRange is the Range field that asks for one slice of a representation of unknown
// length.
func sliceRange(number int64) string {
	return string(byterange.AppendRange(nil, byterange.Range{Start: number * byterange.SliceSize, Length: byterange.SliceSize}))
}

// pourSlice handles an answer with the slice that was asked for. If that is all there
// is, it is like an answer of 200; if the representation has a strong validator, its
// slices are stored one by one (design 3.8, D19.9); else it cannot be used for others.
func (p *Pipeline) pourSlice(ctx context.Context, f *fill.Fill[*served], q *question, res *origin.Response, from trace.SpanContext) error {
	part, ok := byterange.ParseContentRange(res.Header.Get("Content-Range"))
	want := byterange.Slice(q.slice, part.Size)
	if !ok || part.Size < 0 || part.Range != want || res.ContentLength >= 0 && res.ContentLength != want.Length {
		return p.unusable(f, q, res)
	}
	res.Header.Del("Content-Range")
	res.Header.Set("Content-Length", fmt.Sprint(part.Size))
	if want.Length == part.Size && part.Size <= p.Store.MaxInline() {
		res.Status, res.ContentLength, q.partial = 200, part.Size, true
		return p.pour(ctx, f, q, res, from)
	}
	res.Status = 200
	validator, strong := byterange.Strong(res.Header, res.ResponseTime)
	p.complete(q, res)
	a := httpcache.Assess(q.wants, httpcache.Response{
		Status: 200, Header: res.Header, RequestTime: res.RequestTime, ResponseTime: res.ResponseTime,
	}, q.rules)
	if !strong || !a.Storable || f.Outdated() || !p.Store.KeepsSlices() {
		return p.unusable(f, q, res)
	}
	viewer := httpcache.ViewerHeader(res.Header, q.rules)
	object := q.objectOf(res, a, httpcache.StoredHeader(viewer, q.rules))
	object.Size, object.Slices = part.Size, p.slicesOf(ctx, q, validator, part.Size)
	if !object.Header.Has("Accept-Ranges") { // it has shown that it gives them
		object.Header = object.Header.Clone(1)
		object.Header.Set("Accept-Ranges", "bytes")
	}
	object.Prepare(httpcache.NotModifiedHeader)
	p.vary(q, object, a.Vary)
	p.offer(object)
	p.undo(f, object)
	s := &sliced{p: p, id: object.Slices, size: part.Size, validator: validator, number: q.slice}
	f.Move(sliceFill(s.id, s.number))
	f.Begin(&served{
		vary: a.Vary, selecting: q.selecting, part: s,
		status: 200, header: viewer, shared: object.Header, size: part.Size, result: ResultMiss,
		received: res.ResponseTime, initialAge: a.InitialAge, attempts: res.Attempts, reason: a.Reason, span: from,
	}, fill.Body{Size: want.Length, Shared: a.Shareable, Keep: byterange.SliceSize})
	pieces, whole, err := f.Copy(ctx, res.Body)
	if err == nil && whole {
		p.Store.PutSlice(object.Slices, q.slice, q.began, join(pieces))
	}
	return err
}

// unusable is an answer with a part that is no use for slices: the viewer asks for the
// range itself.
func (p *Pipeline) unusable(f *fill.Fill[*served], q *question, res *origin.Response) error {
	p.forget(q, res.Status, httpcache.ReasonPartial, false)
	f.Begin(&served{unusable: true}, fill.Body{})
	return nil
}

// slicesOf names the slices of a representation: those that are stored of it already, or
// new ones.
func (p *Pipeline) slicesOf(ctx context.Context, q *question, validator string, size int64) uint64 {
	s := q.search(ctx, p)
	if o := s.object; o != nil && o.Slices != 0 && o.Size == size {
		if have, ok := byterange.Strong(o.Header, o.ResponseTime); ok && have == validator {
			return o.Slices
		}
	}
	return p.Store.NewSlices()
}

// takePart makes a representation of which a slice is coming the answer.
func (p *Pipeline) takePart(ctx context.Context, x *visit, a *served) {
	s := *a.part
	s.first = x.reader
	s.ask = func() (*question, bool) { return p.questionOf(ctx, x) }
	x.reply = reply{
		status: 200, header: a.header, result: a.result, received: a.received, source: &s, size: a.size,
		body: exchange.Body{Stream: s.Section(byterange.Range{Length: a.size}), Size: a.size},
	}
	if x.collapsed {
		x.reply.header, x.reply.result = a.shared, ResultHit
		x.reply.aged, x.reply.age = true, httpcache.Age(a.initialAge, a.received, p.Now())
	}
}
