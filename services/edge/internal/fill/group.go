// SPDX-License-Identifier: Apache-2.0

// Package fill lets one origin response feed every viewer that waits for it while
// it is being stored (design 3.9).
//
// It promises: one fill per key at a time; bytes reach every reader as they come,
// whatever the others do; a fill ends early only when nobody is left and it is not
// worth finishing, or takes too long for that (D14.14); the bytes held by all fills together stay below a
// bound. It knows no HTTP: what a head is, H, is the caller's, and so is the
// decision what may be shared or stored.
package fill

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// Defaults of Config.
const (
	DefaultMaxBytes = 256 << 20
	DefaultWindow   = 4 << 20
)

const (
	// maxChunk is the size of the pieces in which a body is held, minChunk that of
	// the first when its length is unknown; later ones double.
	maxChunk = 64 << 10
	minChunk = 4 << 10
	// almost is the remainder for which a fill is finished although nobody is left
	// (D14.14).
	almost = 1 << 20
	// unreadTime is how long a fill may go on without readers: an origin that sends
	// little by little must not be held by viewers that have left.
	unreadTime = time.Minute
)

// The ways in which a reader gets no answer, or no whole one.
var (
	// ErrFull: the bytes of all fills have reached Config.MaxBytes.
	ErrFull = errors.New("fills hold as many bytes as they may")
	// ErrClosed: the Group or the Reader is closed.
	ErrClosed = errors.New("closed")
	// ErrNotShared: the answer is for the request that began the fill alone.
	ErrNotShared = errors.New("answer is not shared")
	// ErrLate: the head did not come within the reader's patience.
	ErrLate = errors.New("no head in time")
	// ErrCut: the reader fell out of the window.
	ErrCut = errors.New("too far behind the other readers")

	errAbandoned = errors.New("nobody waits for the fill")
	errNoHead    = errors.New("fill ended without a head")
)

// Config holds the limits of a Group. Zero fields have the defaults named.
type Config struct {
	// MaxBytes bounds the body bytes that all fills hold. Each begins with a share
	// of 64 KiB; a further fill for which there is none fails with ErrFull. More than
	// that a fill gets only while less than three quarters are used, and to pass a
	// body on without keeping it, half: so viewers that take nothing leave room for
	// others. One that needs more than there is goes on without keeping its body.
	// Default 256 MiB.
	MaxBytes int64
	// Window bounds what a fill that does not keep its body holds: a lone reader
	// slows the origin down, one that lags behind others by more is cut. At least
	// 64 KiB; default 4 MiB.
	Window int64
}

// Run asks the origin and feeds f: Begin once, then Copy if there is a body. The
// fill ends when it returns; an error ends the stream of every reader. It must not
// panic. Its context carries the values of the request that began the fill, and
// ends when nobody wants the fill any more.
type Run[H any] func(ctx context.Context, f *Fill[H]) error

// Group holds the fills under way. It is safe for concurrent use.
type Group[H any] struct {
	max, window int64
	bytes       atomic.Int64 // charged by all fills
	workers     workers

	mu     sync.Mutex // guards the rest; taken before the lock of a Fill
	open   map[cachekey.Key]*Fill[H]
	all    map[*Fill[H]]struct{}
	closed bool
}

// NewGroup returns a Group without fills.
func NewGroup[H any](cfg Config) *Group[H] {
	return &Group[H]{
		max:    cmp.Or(cfg.MaxBytes, DefaultMaxBytes),
		window: max(cmp.Or(cfg.Window, DefaultWindow), maxChunk), // who waits must never be cut
		open:   make(map[cachekey.Key]*Fill[H]),
		all:    make(map[*Fill[H]]struct{}),

		workers: workers{tasks: make(chan func())},
	}
}

// Window is how much of a body that is not kept a fill holds.
func (g *Group[H]) Window() int64 { return g.window }

// Place says which fills a request may join.
type Place struct {
	Key cachekey.Key
	// Began is the moment of the fill, if the request begins one; Fence is the one that
	// a fill must have begun at, or later, for the request to join it (D25.15).
	Began, Fence invalidation.Moment
}

// Join returns a reader of the fill at that place; the first one starts it with run and
// is its leader. A fill that began below the fence goes on for those who wait for it,
// and a new one takes its place. It fails with ErrFull or ErrClosed. The reader has to
// be closed.
func (g *Group[H]) Join(ctx context.Context, at Place, run Run[H]) (*Reader[H], error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f, ok := g.open[at.Key]; ok && f.began.Reaches(at.Fence) {
		return f.reader(false), nil
	}
	f, err := g.start(ctx, run)
	if err != nil {
		return nil, err
	}
	f.key, f.began = at.Key, at.Began
	g.open[at.Key] = f
	return f.reader(true), nil
}

// Start starts a fill that nobody reads yet, unless there is one at that place, and says
// whether it did. It goes on without readers to its end, for the store.
func (g *Group[H]) Start(ctx context.Context, at Place, run Run[H]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f, ok := g.open[at.Key]; ok && f.began.Reaches(at.Fence) {
		return false
	}
	f, err := g.start(ctx, run)
	if err != nil {
		return false
	}
	f.mu.Lock()
	f.background, f.left = true, time.Now()
	f.mu.Unlock()
	f.key, f.began = at.Key, at.Began
	g.open[at.Key] = f
	return true
}

// Move lets the fill be joined at another key from now on, unless there is one.
func (f *Fill[H]) Move(key cachekey.Key) {
	g := f.group
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unlist(f)
	f.key = key
	if _, taken := g.open[key]; !taken {
		g.open[key] = f
	}
}

// Outdate ends the usefulness of the fill at a key, if there is one, to all but those
// who read it: nobody joins it any more, and what it brings is not to be stored, as its
// Outdated says.
func (g *Group[H]) Outdate(key cachekey.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f, ok := g.open[key]; ok {
		f.outdated.Store(true)
		g.unlist(f)
	}
}

// Alone starts a fill that nobody joins and returns the reader of it, as Join does.
func (g *Group[H]) Alone(ctx context.Context, run Run[H]) (*Reader[H], error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, err := g.start(ctx, run)
	if err != nil {
		return nil, err
	}
	return f.reader(true), nil
}

// start begins a fill with the lock held.
func (g *Group[H]) start(ctx context.Context, run Run[H]) (*Fill[H], error) {
	if g.closed {
		return nil, ErrClosed
	}
	if !g.take(maxChunk, g.max) {
		return nil, ErrFull
	}
	// Detached: others may wait for what this viewer's request brings (D14.12).
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f := &Fill[H]{
		group: g, cancel: cancel, size: -1, charged: maxChunk,
		headed: make(chan struct{}), drained: make(chan struct{}, 1),
		readers: make(map[*Reader[H]]struct{}),
	}
	g.all[f] = struct{}{}
	g.workers.do(func() {
		f.end(run(ctx, f))
		cancel(nil)
	})
	return f, nil
}

// take charges n bytes unless all together would be more than most.
func (g *Group[H]) take(n, most int64) bool {
	if g.bytes.Add(n) <= most {
		return true
	}
	g.bytes.Add(-n)
	return false
}

// unlist lets nobody join f any more; with the lock held.
func (g *Group[H]) unlist(f *Fill[H]) {
	if g.open[f.key] == f {
		delete(g.open, f.key)
	}
}

// Close refuses new fills, ends those that nobody reads, and returns when none is
// left: the others end with their readers.
func (g *Group[H]) Close() {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	for f := range g.all {
		if f.unread() {
			f.cancel(ErrClosed)
		}
	}
	g.mu.Unlock()
	if first {
		g.workers.stop()
	}
	g.workers.wait()
}

// Stats is what a Group does at one moment.
type Stats struct {
	// Fills are the origin responses under way, Bytes what is charged for them.
	Fills, Bytes int64
}

// Stats returns the present numbers, for gauges.
func (g *Group[H]) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Fills: int64(len(g.all)), Bytes: g.bytes.Load()}
}

// Reserve charges n bytes for something that is no fill but holds bytes of an answer
// as well, until release is called. It fails with ErrFull or ErrClosed.
func (g *Group[H]) Reserve(n int64) (release func(), err error) {
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	switch {
	case closed:
		return nil, ErrClosed
	case !g.take(n, g.max):
		return nil, ErrFull
	}
	return g.released(n), nil
}

// Spare charges n bytes, as Reserve does, for what can be done without: it leaves half of
// all to fills and answers.
func (g *Group[H]) Spare(n int64) (release func(), ok bool) {
	if !g.take(n, g.max/2) {
		return nil, false
	}
	return g.released(n), true
}

func (g *Group[H]) released(n int64) func() { return sync.OnceFunc(func() { g.bytes.Add(-n) }) }
