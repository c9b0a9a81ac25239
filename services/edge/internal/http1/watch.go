// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

var errLeft = errors.New("viewer left")

// lookOutAfter is how long a request waits before its viewer is watched: most are answered
// sooner, and need not pay for it.
const lookOutAfter = 10 * time.Millisecond

// watch notices that a viewer leaves while its request waits. A goroutine of its own
// reads ahead, into the buffer behind the request, once the body has been read; before
// that, whoever reads the body notices. It begins with a timer.
type watch struct {
	mu      sync.Mutex // guards the rest
	wanted  bool
	armed   bool          // the timer runs, or has struck
	stop    chan struct{} // of the goroutine; nil before it looks
	timer   *time.Timer
	cancels []context.CancelCauseFunc
	wg      sync.WaitGroup // has the timer and the goroutine
}

// Watch returns a context that ends when the viewer leaves. It stays alive when the
// watching is stopped, until the exchange is over.
func (c *conn) Watch(ctx context.Context) (watched context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &c.watch
	w.mu.Lock()
	w.cancels = append(w.cancels, cancel)
	w.wanted = true
	w.mu.Unlock()
	if c.body.over.Load() {
		w.begin(c)
	}
	return ctx, func() { w.halt(c) }
}

// begin starts the timer if somebody wants to watch.
func (w *watch) begin(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.wanted || w.armed {
		return
	}
	w.armed = true
	c.makeRoom(len(c.work.buf) + leastRoom)
	w.wg.Add(1)
	if w.timer != nil {
		w.timer.Reset(lookOutAfter)
		return
	}
	w.timer = time.AfterFunc(lookOutAfter, func() {
		defer w.wg.Done()
		if stop := w.start(c); stop != nil {
			w.lookOut(c, stop)
		}
	})
}

// start begins the reading; it returns nil if that is not wanted any more.
func (w *watch) start(c *conn) (stop <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.armed {
		return nil
	}
	w.stop = make(chan struct{})
	_ = c.nc.SetReadDeadline(time.Time{}) // it fails on what is closed; then reads fail too
	return w.stop
}

// lookOut reads until the viewer leaves, stop is closed, or there is no more room for
// what it sends.
func (w *watch) lookOut(c *conn, stop <-chan struct{}) {
	for c.w < len(c.work.buf) {
		n, err := c.nc.Read(c.work.buf[c.w:])
		c.w += n
		switch {
		case err == nil:
			continue
		case errors.Is(err, errPast):
			return // stopped
		case errors.Is(err, io.EOF):
			// The viewer has ended its half. It may be waiting all the same.
			c.readErr = err
			timer := time.NewTimer(c.server.cfg.LeaveGrace)
			defer timer.Stop()
			select {
			case <-stop:
				return
			case <-timer.C:
			}
		}
		c.readErr = err
		w.left(errLeft)
		return
	}
}

// left ends the contexts.
func (w *watch) left(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cancel := range w.cancels {
		cancel(why)
	}
}

// halt ends the watching, and waits for its goroutine.
func (w *watch) halt(c *conn) {
	w.mu.Lock()
	looks := w.stop != nil
	if w.wanted = false; w.armed && w.timer.Stop() {
		w.wg.Done()
	}
	w.armed = false
	if looks {
		close(w.stop)
		w.stop = nil
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a closed connection ends the read, too
	}
	w.mu.Unlock()
	w.wg.Wait()
	if looks {
		c.alarm = 0
	}
}

// end ends the watching and the contexts with the exchange.
func (w *watch) end(c *conn) {
	if len(w.cancels) == 0 {
		return
	}
	w.halt(c)
	w.left(context.Canceled)
	clear(w.cancels)
	w.cancels = w.cancels[:0]
}
