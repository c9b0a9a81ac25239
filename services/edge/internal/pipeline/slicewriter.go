// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// sliceWriter puts a body into slices while it passes.
type sliceWriter struct {
	p      *Pipeline
	q      *question
	id     uint64
	most   int64 // beyond which nothing is stored
	size   int64 // what has come
	buf    []byte
	room   func() // gives back what is charged for buf
	failed bool   // something is not stored
	full   bool   // there is no room for buf
	// partial: what is stored is of use even if something is not.
	partial  bool
	progress progress
}

// write takes the next bytes. That they cannot be stored is no reason to end the fill.
func (w *sliceWriter) write(b []byte) error {
	w.size += int64(len(b))
	if w.size > w.most {
		w.failed, w.partial = true, false
		w.progress.end()
	}
	for len(b) > 0 && w.hasRoom() {
		n := copy(w.buf[len(w.buf):cap(w.buf)], b)
		w.buf, b = w.buf[:len(w.buf)+n], b[n:]
		if len(w.buf) == cap(w.buf) {
			w.flush((w.size-int64(len(b)))/byterange.SliceSize - 1)
		}
	}
	return nil
}

// hasRoom says whether there is room for more bytes, and makes it. Where origin responses
// hold as much as they may, the body passes by without being stored.
func (w *sliceWriter) hasRoom() bool {
	if w.done() {
		w.free()
		return false
	}
	if w.buf != nil {
		return true
	}
	var ok bool
	if w.room, ok = w.p.fills.Spare(int64(store.SliceBytes)); !ok {
		w.failed, w.full = true, true
		w.progress.end()
		return false
	}
	w.buf = make([]byte, 0, store.SliceBytes)
	return true
}

// free ends the use of the buffer.
func (w *sliceWriter) free() {
	if w.buf != nil {
		w.buf = nil
		w.room()
	}
}

// done says that nothing more is stored.
func (w *sliceWriter) done() bool { return w.full || w.failed && !w.partial }

func (w *sliceWriter) flush(number int64) {
	if !w.p.Store.PutSlice(w.id, number, w.q.began, w.buf) {
		w.failed = true
		w.progress.end()
	}
	w.buf = w.buf[:0]
	w.progress.reach(number + 1)
}

// end stores the rest of a body that has come to its end, and says whether the whole is
// stored.
func (w *sliceWriter) end() bool {
	if !w.done() && len(w.buf) > 0 {
		w.flush(w.size / byterange.SliceSize)
	}
	w.progress.whole(w.size)
	return !w.failed && w.size > 0
}

// mostUnchecked is of how many slices a body may be that is stored whole or not at all,
// because the origin cannot be asked for slices of it: they are looked for at each hit.
const mostUnchecked = 1024

// slicer is what puts a body into slices. One that the origin cannot be asked for slices
// of is of use only as long as all are there.
func (p *Pipeline) slicer(q *question, validator string) *sliceWriter {
	most := p.Store.MaxSliced()
	if validator == "" {
		most = min(most, mostUnchecked*byterange.SliceSize)
	}
	return &sliceWriter{p: p, q: q, id: p.Store.NewSlices(), most: most}
}
