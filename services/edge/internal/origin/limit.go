// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// limits bounds the requests to each origin (design 3.9): so many at a time, then
// a queue, then an error. Of both one viewer gets no more than a share, so that it
// cannot keep the others from an origin by asking for what takes long.
type limits struct {
	max, queue int
	// perViewer is how many slots one viewer may hold; of the queue it has as large a
	// part.
	perViewer int
	timeout   time.Duration

	mu     sync.Mutex // guards the rest and all gates; no waiting while held
	gates  map[string]*gate
	spare  *gate // an empty one to use again
	closed bool
}

// gate is the count of one origin. It exists while it counts something.
type gate struct {
	active int
	// queue has those who wait, first come first. While slots are free it holds only
	// such as have their share already.
	queue []waiter
	// shares is what viewers have; those who have nothing are not in it, nor are
	// requests without a viewer.
	shares map[netip.Addr]share
}

type share struct{ active, queued int }

// waiter is a place in the queue. Closing turn passes a slot on.
type waiter struct {
	turn   chan struct{}
	viewer netip.Addr
}

// newLimits returns limits; perViewer 0 is half of most.
func newLimits(most, queue, perViewer int, timeout time.Duration) *limits {
	if perViewer <= 0 {
		perViewer = (most + 1) / 2
	}
	return &limits{max: most, queue: queue, perViewer: perViewer, timeout: timeout, gates: make(map[string]*gate)}
}

var errClosed = errors.New("client is closed")

// sharer returns what counts as one viewer: an IPv4 address, or the IPv6 network
// that one subscriber gets. The zero Addr is nobody, who has no share and no bound.
func sharer(viewer netip.Addr) netip.Addr {
	viewer = viewer.Unmap().WithZone("")
	if !viewer.Is6() {
		return viewer
	}
	network, err := viewer.Prefix(64)
	if err != nil {
		return viewer
	}
	return network.Addr()
}

// acquire waits for a slot of the named origin, which release gives back. Viewer is
// what sharer returns.
func (l *limits) acquire(ctx context.Context, name string, viewer netip.Addr) error {
	turn, err := l.enter(name, viewer)
	if err != nil || turn == nil {
		return err
	}
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
		if l.leave(name, turn) {
			return fault(Overloaded, "waited %v for other requests", l.timeout)
		}
		return nil // the slot came at the same moment
	case <-ctx.Done():
		if !l.leave(name, turn) {
			l.release(name, viewer)
		}
		return fault(Canceled, "while waiting for other requests: %w", context.Cause(ctx))
	}
}

// enter takes a slot, or returns the place in the queue.
func (l *limits) enter(name string, viewer netip.Addr) (turn chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fault(Overloaded, "%w", errClosed)
	}
	g := l.gates[name]
	if g == nil {
		if g, l.spare = l.spare, nil; g == nil {
			g = &gate{shares: make(map[netip.Addr]share)}
		}
		l.gates[name] = g
	}
	has := g.shares[viewer]
	if g.active < l.max && has.active < l.perViewer {
		g.active++
		g.add(viewer, share{active: 1})
		return nil, nil
	}
	if len(g.queue) >= l.queue {
		return nil, fault(Overloaded, "%d requests under way, %d waiting", g.active, len(g.queue))
	}
	if has.queued >= l.queueShare() {
		return nil, fault(Overloaded, "this viewer has %d requests under way, %d waiting", has.active, has.queued)
	}
	turn = make(chan struct{})
	g.queue = append(g.queue, waiter{turn, viewer})
	g.add(viewer, share{queued: 1})
	return turn, nil
}

// queueShare is how many places in the queue one viewer may have.
func (l *limits) queueShare() int {
	if l.perViewer >= l.max {
		return l.queue
	}
	return max(1, int(int64(l.queue)*int64(l.perViewer)/int64(l.max)))
}

// add changes what a viewer has.
func (g *gate) add(viewer netip.Addr, change share) {
	if !viewer.IsValid() {
		return
	}
	has := g.shares[viewer]
	has.active += change.active
	has.queued += change.queued
	if has == (share{}) {
		delete(g.shares, viewer)
		return
	}
	g.shares[viewer] = has
}

// leave gives up a place in the queue. It returns false if the slot has come.
func (l *limits) leave(name string, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gates[name]
	if g == nil {
		return false
	}
	i := slices.IndexFunc(g.queue, func(w waiter) bool { return w.turn == turn })
	if i < 0 {
		return false
	}
	g.add(g.queue[i].viewer, share{queued: -1})
	g.queue = slices.Delete(g.queue, i, i+1)
	return true
}

// release passes a slot to who waits longest of those that may have one, or frees it.
func (l *limits) release(name string, viewer netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gates[name]
	g.active--
	g.add(viewer, share{active: -1})
	for i, w := range g.queue {
		if g.shares[w.viewer].active < l.perViewer {
			close(w.turn)
			g.active++
			g.add(w.viewer, share{active: 1, queued: -1})
			g.queue = slices.Delete(g.queue, i, i+1)
			return
		}
	}
	if g.active == 0 {
		delete(l.gates, name)
		l.spare = g
	}
}

// close refuses whoever comes from now on; who waits still gets a turn.
func (l *limits) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

func (l *limits) count() (active, queued int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.gates {
		active += g.active
		queued += len(g.queue)
	}
	return active, queued
}
