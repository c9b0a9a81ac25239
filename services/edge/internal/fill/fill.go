// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// Fill is one origin response on its way to readers. Its methods are for the Run
// that feeds it.
type Fill[H any] struct {
	group    *Group[H]
	key      cachekey.Key // of a fill that can be joined
	began    invalidation.Moment
	cancel   context.CancelCauseFunc
	outdated atomic.Bool   // by Outdate
	headed   chan struct{} // closed when there is a head, or will be none
	drained  chan struct{} // holds one token: a reader has moved or left

	mu      sync.Mutex // guards the rest; taken after the lock of the Group
	readers map[*Reader[H]]struct{}
	changed chan struct{} // made by who waits for bytes, closed when some come

	head  H
	begun bool
	size  int64 // announced, or -1
	keep  int64 // bytes that may be kept
	// passing: the beginning of the body is dropped once every reader has it.
	passing bool
	spill   func([]byte) error // of Body; set before Copy
	passed  func()             // to be called when passing becomes true
	// wanted: the fill goes on without readers. background: it began without.
	wanted, background bool
	// behind is how many readers were cut from a body that is spilled: they read what was
	// spilled, and want the rest to be.
	behind int
	// left is when the last reader left; zero while there is one.
	left time.Time

	chunks  [][]byte // each as long as it may become; the last one holds tail bytes
	first   int      // how many chunks were dropped before them
	tail    int
	length  int64 // bytes that came
	held    int64 // sum of the chunks
	charged int64 // to the Group

	// whole: all of the body has come. ended: the Run has, too.
	whole, ended bool
	err          error
}

// Body says what becomes of the body behind a head.
type Body struct {
	// Size is the announced length, or -1.
	Size int64
	// Arrived is the beginning of the body, if that has come with the head: readers get
	// both together. It is the Fill's from then on.
	Arrived []byte
	// Whole says that Arrived is the whole body.
	Whole bool
	// Shared: readers who joined may have the answer too. Otherwise they get
	// ErrNotShared, and nobody joins any more.
	Shared bool
	// Keep is how long the body may be in order to be kept whole until its end, for
	// the store and for who joins later. A longer one passes through a window; 0
	// keeps nothing.
	Keep int64
	// Passed, if set, is called once when a body turns out not to be kept.
	Passed func()
	// Spill, if set, gets a body that is not kept in memory, from its first byte to its
	// last, for the store. It does not keep the slices. It is called by Copy alone; an
	// error is for Copy to return.
	Spill func(b []byte) error
}

// Outdated says whether what the fill brings is not to be stored: something has changed
// at the origin since it began.
func (f *Fill[H]) Outdated() bool { return f.outdated.Load() }

// Begin gives the head to everyone who waits. It is called once.
func (f *Fill[H]) Begin(h H, b Body) {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head, f.begun, f.size, f.keep, f.passed, f.spill = h, true, b.Size, b.Keep, b.Passed, b.Spill
	f.passing = b.Keep <= 0
	f.arrive(b)
	if !b.Shared {
		for r := range f.readers {
			if !r.leader {
				r.err = ErrNotShared
				delete(f.readers, r)
			}
		}
	}
	if !b.Shared || f.passing {
		f.group.unlist(f)
	}
	close(f.headed)
	f.wake() // a leader may be reading already
	f.abandon()
}

// arrive makes what has come with the head the first chunk. With the lock held.
func (f *Fill[H]) arrive(b Body) {
	n := len(b.Arrived)
	if f.whole = b.Whole; n == 0 {
		return
	}
	f.chunks, f.tail = append(f.chunks, b.Arrived), n
	f.length, f.held = int64(n), int64(n)
}

// Copy reads body to its end and gives its bytes to the readers as they come. It
// returns the whole body in pieces if that was kept. It fails as body does, and when
// nobody wants the fill any more.
func (f *Fill[H]) Copy(ctx context.Context, body io.Reader) (pieces [][]byte, whole bool, err error) {
	if f.whole { // with the head
		return f.pieces()
	}
	for {
		buf, err := f.room(ctx)
		if err != nil {
			return nil, false, err
		}
		n, err := body.Read(buf)
		if err := f.spillAt(buf[:n]); err != nil {
			return nil, false, err
		}
		if err := f.advance(n, err == io.EOF); err != nil { //nolint:errorlint // a wrapped EOF is not a clean end
			return nil, false, err
		}
		if err == nil {
			if err := f.expire(); err != nil {
				return nil, false, err
			}
			continue
		}
		if err != io.EOF { //nolint:errorlint // a wrapped EOF is not a clean end
			return nil, false, err
		}
		return f.pieces()
	}
}

// pieces is the end of the body: it returns the chunks if they were kept, the last
// one without what it does not use.
func (f *Fill[H]) pieces() (pieces [][]byte, whole bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.length < f.size {
		return nil, false, io.ErrUnexpectedEOF
	}
	if f.passing {
		return nil, false, nil
	}
	out := slices.Clone(f.chunks)
	n := len(out) - 1
	if n >= 0 && f.tail < len(out[n]) {
		out[n] = slices.Clone(out[n][:f.tail])
		if f.tail == 0 {
			out = out[:n]
		}
	}
	return out, true, nil
}

// room returns where the next bytes go. It waits for readers when there is none.
func (f *Fill[H]) room(ctx context.Context) ([]byte, error) {
	for {
		f.mu.Lock()
		buf, full := f.tryRoom()
		f.mu.Unlock()
		switch {
		case buf != nil:
			return buf, nil
		case full:
			if err := f.spillKept(); err != nil {
				return nil, err
			}
			f.pass()
			continue
		}
		select {
		case <-f.drained:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// tryRoom returns room, or whether the body cannot be kept any longer, or neither
// when readers have to move first. With the lock held.
func (f *Fill[H]) tryRoom() (buf []byte, full bool) {
	if n := len(f.chunks); n > 0 && f.tail < len(f.chunks[n-1]) {
		return f.chunks[n-1][f.tail:], false
	}
	if f.size >= 0 && f.length >= f.size {
		return make([]byte, 1), false // for the end, or for a byte too many
	}
	want := f.nextSize()
	if !f.passing {
		want = min(want, f.keep-f.length)
		if want <= 0 || f.size > f.keep || !f.charge(f.held+want) {
			return nil, true
		}
	} else if !f.inWindow(want) || !f.charge(f.held+want) {
		return nil, false
	}
	c := make([]byte, want)
	f.chunks, f.tail = append(f.chunks, c), 0
	f.held += want
	return c, false
}

// nextSize is the size of the next chunk: what is announced, or a guess that grows
// with what came.
func (f *Fill[H]) nextSize() int64 {
	if f.size >= 0 {
		return min(maxChunk, f.size-f.length)
	}
	return min(maxChunk, max(minChunk, f.length))
}

// inWindow makes sure that n more bytes leave every reader within the window. Who
// lags further behind is cut if another reader has everything and waits for more;
// otherwise the origin has to wait.
func (f *Fill[H]) inWindow(n int64) bool {
	fits, waiting := true, false
	for r := range f.readers {
		fits = fits && f.length+n-r.pos <= f.group.window
		waiting = waiting || r.pos == f.length
	}
	if fits || !waiting {
		return fits
	}
	for r := range f.readers {
		if f.length+n-r.pos > f.group.window {
			r.err = ErrCut
			delete(f.readers, r)
			if f.spill != nil {
				r.behind = true
				f.behind++
			}
		}
	}
	f.trim()
	f.wake()
	return true
}

// advance counts n bytes that were put into the room, and notes if they are the last.
func (f *Fill[H]) advance(n int, last bool) error {
	if n == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.size >= 0 && f.length+int64(n) > f.size {
		return errors.New("body is longer than announced")
	}
	f.tail += n
	f.length += int64(n)
	f.whole = last && (f.size < 0 || f.length == f.size)
	f.wake()
	return nil
}

// pass gives the keeping of the body up.
func (f *Fill[H]) pass() {
	f.group.mu.Lock()
	f.mu.Lock()
	f.group.unlist(f)
	f.passing, f.wanted = true, false
	f.trim()
	passed := f.passed
	f.passed = nil
	f.abandon()
	f.mu.Unlock()
	f.group.mu.Unlock()
	if passed != nil {
		passed()
	}
}

// trim drops what every reader has. With the lock held.
func (f *Fill[H]) trim() {
	if !f.passing {
		return
	}
	least := f.first + len(f.chunks)
	for r := range f.readers {
		least = min(least, r.seq)
	}
	n := least - f.first
	for i := range n {
		f.held -= int64(len(f.chunks[i]))
		f.chunks[i] = nil
	}
	f.chunks, f.first = f.chunks[n:], least
	f.charge(f.held)
}

// charge brings what the Group counts to n bytes, if it may, and to a first chunk
// at least while the fill runs: so no fill waits for the room of others.
func (f *Fill[H]) charge(n int64) bool {
	if !f.ended {
		n = max(n, maxChunk)
	}
	most := f.group.max / 4 * 3
	if f.passing {
		most = f.group.max / 2
	}
	more := n - f.charged
	if more > 0 && !f.group.take(more, most) {
		return false
	}
	if more < 0 {
		f.group.bytes.Add(more)
	}
	f.charged = n
	return true
}

// wake tells readers that something has changed. With the lock held.
func (f *Fill[H]) wake() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// moved tells the Run that a reader has moved or left.
func (f *Fill[H]) moved() {
	select {
	case f.drained <- struct{}{}:
	default:
	}
}

// end is the end of the Run.
func (f *Fill[H]) end(err error) {
	g := f.group
	g.mu.Lock()
	defer g.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	g.unlist(f)
	delete(g.all, f)
	f.ended, f.err = true, err
	if !f.begun {
		if err == nil {
			f.err = errNoHead
		}
		close(f.headed)
	}
	if f.passing {
		f.trim()
	} else {
		// What was kept is the store's from now on; who still reads it holds it
		// beyond the bound, but no more than one object each.
		f.charge(0)
	}
	f.wake()
}
