// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// limits bounds the requests to each origin (design 3.9): so many at a time, then
// a queue, then an error.
type limits struct {
	max, queue int
	timeout    time.Duration

	mu     sync.Mutex // guards the rest and all gates; no waiting while held
	gates  map[string]*gate
	closed bool
}

// gate is the count of one origin. It exists while it counts something.
type gate struct {
	active int
	queue  []chan struct{} // first come first; closing one passes a slot on
}

var errClosed = errors.New("client is closed")

// acquire waits for a slot of the named origin, which release gives back.
func (l *limits) acquire(ctx context.Context, name string) error {
	turn, err := l.enter(name)
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
			l.release(name)
		}
		return fault(Canceled, "while waiting for other requests: %w", context.Cause(ctx))
	}
}

// enter takes a slot, or returns the place in the queue.
func (l *limits) enter(name string) (turn chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fault(Overloaded, "%w", errClosed)
	}
	g := l.gates[name]
	if g == nil {
		g = &gate{}
		l.gates[name] = g
	}
	if g.active < l.max {
		g.active++
		return nil, nil
	}
	if len(g.queue) >= l.queue {
		return nil, fault(Overloaded, "%d requests under way, %d waiting", g.active, len(g.queue))
	}
	turn = make(chan struct{})
	g.queue = append(g.queue, turn)
	return turn, nil
}

// leave gives up a place in the queue. It returns false if the slot has come.
func (l *limits) leave(name string, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gates[name]
	if g == nil {
		return false
	}
	i := slices.Index(g.queue, turn)
	if i < 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	return true
}

// release passes a slot to who waits longest, or frees it.
func (l *limits) release(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gates[name]
	if len(g.queue) > 0 {
		close(g.queue[0])
		g.queue = slices.Delete(g.queue, 0, 1)
		return
	}
	if g.active--; g.active == 0 {
		delete(l.gates, name)
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
