// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"context"
	"io"
	"time"
)

// Reader is one viewer's place at a fill. It is for one goroutine. It has the
// methods of a stream.
type Reader[H any] struct {
	fill   *Fill[H]
	leader bool

	// Guarded by the lock of the Fill.
	seq int   // the chunk to read from, counted from the beginning of the body
	off int   // how far in it
	out int   // bytes behind off that the viewer is busy with
	pos int64 // bytes that the viewer is done with
	err error // why there are no more
	// behind: cut, and busy with what was spilled.
	behind bool
}

// reader adds a reader, with the lock of the Group held.
func (f *Fill[H]) reader(leader bool) *Reader[H] {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &Reader[H]{fill: f, leader: leader}
	f.readers[r] = struct{}{}
	f.left = time.Time{}
	return r
}

// Leader says whether the reader's request began the fill.
func (r *Reader[H]) Leader() bool { return r.leader }

// Head waits for the head of the answer, at most for patience; 0 waits for as long
// as it takes. It fails with ErrNotShared, ErrLate, the error of the Run, or as ctx
// ends.
func (r *Reader[H]) Head(ctx context.Context, patience time.Duration) (H, error) {
	var late <-chan time.Time
	if patience > 0 {
		t := time.NewTimer(patience)
		defer t.Stop()
		late = t.C
	}
	var none H
	select {
	case <-r.fill.headed:
	case <-late:
		return none, ErrLate
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	f := r.fill
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.err != nil && !r.behind:
		return none, r.err
	case !f.begun:
		return none, f.err
	}
	return f.head, nil
}

// Next returns the bytes behind those that it returned before, as soon as there
// are any, and io.EOF when the body is whole. The bytes are shared: never written
// to. It fails with ErrCut, with the error of the Run, or as ctx ends.
func (r *Reader[H]) Next(ctx context.Context) ([]byte, error) {
	for {
		b, changed, err := r.take()
		if b != nil || err != nil {
			return b, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Ready says whether Next has something to return and need not wait.
func (r *Reader[H]) Ready() bool {
	f := r.fill
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.err != nil || f.ended || f.whole {
		return true
	}
	return r.pos+int64(r.out) < f.length
}

// take returns bytes, or what to wait for.
func (r *Reader[H]) take() ([]byte, <-chan struct{}, error) {
	f := r.fill
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.err != nil {
		return nil, nil, r.err
	}
	r.acknowledge()
	if i := r.seq - f.first; i < len(f.chunks) {
		c := f.chunks[i]
		if i == len(f.chunks)-1 {
			c = c[:f.tail]
		}
		if b := c[r.off:len(c):len(c)]; len(b) > 0 {
			r.out = len(b)
			return b, nil, nil
		}
	}
	switch {
	case f.ended && f.err != nil:
		return nil, nil, f.err
	case f.ended, f.whole: // who has all need not wait for the store
		return nil, nil, io.EOF
	}
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return nil, f.changed, nil
}

// acknowledge counts the bytes of the last call as done. Only now they are: so a
// viewer that takes nothing slows the origin down.
func (r *Reader[H]) acknowledge() {
	if r.out == 0 {
		return
	}
	f := r.fill
	r.off += r.out
	r.pos += int64(r.out)
	r.out = 0
	if r.off == len(f.chunks[r.seq-f.first]) {
		r.seq, r.off = r.seq+1, 0
	}
	if f.passing {
		f.trim()
		f.moved()
	}
}

// Close ends the interest in the fill. It may be called more than once, also while
// Next waits in another goroutine.
func (r *Reader[H]) Close() { r.leave(false) }

// Release is Close for a viewer that needs no more bytes but did not turn away,
// such as one that was answered 304: if the body is being kept, the fill goes on.
func (r *Reader[H]) Release() { r.leave(true) }

func (r *Reader[H]) leave(wanted bool) {
	f := r.fill
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.readers[r]; !ok {
		r.err = ErrClosed
		if r.behind {
			r.behind = false
			f.behind--
			f.abandon()
		}
		return
	}
	delete(f.readers, r)
	r.err = ErrClosed
	f.wanted = f.wanted || wanted && !f.passing
	f.trim()
	f.moved()
	f.wake()
	f.abandon()
}
