// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

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
	validator := ""
	if v, strong := byterange.Strong(res.Header, res.ResponseTime); strong && res.Status == 200 {
		validator = v
	}
	body, w := p.keeping(q, res, &a, validator)
	begun := &served{
		vary: a.Vary, selecting: q.selecting, parts: q.partial,
		status: res.Status, header: viewer, shared: object.Header, size: body.Size, result: ResultMiss,
		received: res.ResponseTime, initialAge: a.InitialAge,
		attempts: res.Attempts, reason: a.Reason, span: from,
	}
	if w == nil {
		p.forget(q, res.Status, a.Reason, body.Shared)
	} else {
		defer w.free()
	}
	body.Arrived, body.Whole = res.Arrived()
	if body.Spill != nil && body.Size != 0 && !body.Whole {
		defer w.progress.stop()
		begun.spilled = &sliced{p: p, id: w.id, size: body.Size, validator: validator, coming: &w.progress}
		w.partial = validator != "" && body.Size > body.Keep && p.announce(f, q, res, object, w.id, a.Vary)
	}
	f.Begin(begun, body)
	pieces, whole, err := f.Copy(ctx, res.Body)
	_ = res.Body.Close() // the connection is free for others while this is stored
	if err == nil && !whole && w != nil {
		_ = w.end() // who reads behind the fill waits for the last slice
	}
	if err != nil || w == nil || f.Outdated() {
		return err
	}
	p.keepAll(f, q, object, a, w, pieces, whole)
	return nil
}

// keeping decides how much of a body is kept while it comes, and what puts it into slices
// if it is stored; nil if it is not.
func (p *Pipeline) keeping(q *question, res *origin.Response, a *httpcache.Assessment, validator string) (body fill.Body, w *sliceWriter) {
	body = fill.Body{Size: res.ContentLength, Shared: a.Shareable}
	if res.Framing == origin.None {
		body.Size = 0
	}
	if a.Storable || a.Shareable {
		body.Keep = max(p.Store.MaxInline(), p.fills.Window())
	}
	storable := a.Storable
	if w = p.slicer(q, validator); body.Size > w.most {
		// Too large to be stored: one viewer each, with back-pressure (design 3.9).
		if body.Keep, body.Shared = 0, false; storable {
			storable, a.Reason = false, httpcache.ReasonTooLarge
		}
	}
	if storable && q.request.Method != "HEAD" && p.Store.KeepsSlices() {
		body.Spill = w.write
	}
	spills, reason := body.Spill != nil, a.Reason
	body.Passed = func() {
		if !spills {
			p.forget(q, res.Status, reason, false)
		}
	}
	if !storable {
		w = nil
	}
	return body, w
}

// keepAll stores what has come to its end: what is not in memory, or is too long for one
// record, in slices.
func (p *Pipeline) keepAll(
	f *fill.Fill[*served], q *question, o *store.Object, a httpcache.Assessment, w *sliceWriter, pieces [][]byte, whole bool,
) {
	if whole && lengthOf(pieces) > p.Store.MaxInline() {
		for _, b := range pieces {
			_ = w.write(b) // it does not fail
		}
		whole, pieces = false, nil
	}
	switch {
	case whole:
	case w.end():
		o.Slices, o.Size = w.id, w.size
	case w.partial: // its head is stored, and what is missing can be fetched
		return
	default: // too long, or the disk is too slow just now
		p.forget(q, o.Status, a.Reason, w.size <= w.most)
		return
	}
	p.save(q, o, pieces, a.Vary)
	p.undo(f, o)
}

// undo removes what a fill has stored if it was outdated just then.
func (p *Pipeline) undo(f *fill.Fill[*served], o *store.Object) {
	if f.Outdated() {
		p.Store.Delete(o.Key)
	}
}
