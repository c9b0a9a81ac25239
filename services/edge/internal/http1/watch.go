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

// watch notices that a viewer leaves while its request waits. A goroutine of its own
// reads ahead, into the buffer behind the request, once the body has been read; before
// that, whoever reads the body notices.
type watch struct {
	mu      sync.Mutex // guards the rest
	wanted  bool
	running bool
	stop    chan struct{}
	cancels []context.CancelCauseFunc
	wg      sync.WaitGroup
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

// begin starts the goroutine if somebody wants it.
func (w *watch) begin(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.wanted || w.running {
		return
	}
	w.running, w.stop = true, make(chan struct{})
	c.makeRoom(len(c.work.buf) + leastRoom)
	c.alarm = 0
	_ = c.nc.SetReadDeadline(time.Time{}) // it fails on what is closed; then reads fail too
	stop := w.stop
	w.wg.Go(func() { w.lookOut(c, stop) })
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
	w.wanted = false
	running := w.running
	if running {
		w.running = false
		close(w.stop)
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a closed connection ends the read, too
	}
	w.mu.Unlock()
	if running {
		w.wg.Wait()
		c.alarm = 0
	}
}

// end ends the watching and the contexts with the exchange.
func (w *watch) end(c *conn) {
	if w.cancels == nil {
		return
	}
	w.halt(c)
	w.left(context.Canceled)
	w.cancels = nil
}
