// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

const (
	smallBuffer = 4 << 10 // of a request; a large head has it doubled
	leastRoom   = 1 << 10 // for what comes after a head
	keptOut     = 32 << 10
	blockBytes  = 64 << 10 // of files that are read
	// lastCall is how long a connection that waits for a request is given when the
	// server closes: one may be on its way.
	lastCall = 100 * time.Millisecond
)

// work is what a request needs. Connections that wait for one have none.
type work struct {
	buf    []byte
	small  [smallBuffer]byte
	fields header.Fields
	out    []byte
	parts  [3][]byte
	bufs   net.Buffers
}

func newWork() *work {
	w := &work{fields: make(header.Fields, 0, 24), out: make([]byte, 0, smallBuffer)}
	w.buf = w.small[:]
	return w
}

// take gives the connection its work.
func (c *conn) take() {
	w, ok := c.server.works.Get().(*work)
	if !ok {
		w = newWork()
	}
	c.work = w
}

// release gives it back.
func (c *conn) release() {
	w := c.work
	if w == nil {
		return
	}
	c.work, c.r, c.w, c.base = nil, 0, 0, 0
	clear(w.fields[:cap(w.fields)]) // views of the buffer
	c.message = message{}
	w.buf = w.small[:]
	if cap(w.out) > keptOut {
		w.out = make([]byte, 0, smallBuffer)
	}
	c.server.works.Put(w)
}

// next reads the head of the next request. It returns false at the end of the
// connection.
func (c *conn) next() (ok bool, why exchange.Reason) {
	c.base = 0
	if c.r == c.w && !c.await() {
		return false, 0
	}
	c.phase.Store(uint32(inHead))
	seen, by := 0, time.Duration(0)
	for {
		skip, why := leading(c.work.buf[c.r:c.w])
		if why != 0 {
			return c.unread(why)
		}
		c.r, seen = c.r+skip, max(seen-skip, 0)
		if end := headEnd(c.work.buf[c.r:c.w], seen); end > 0 {
			return true, c.parse(end)
		}
		if why := flaw(c.work.buf[c.r:c.w], seen, c.server.limits); why != 0 {
			return c.unread(why)
		}
		seen = c.w - c.r
		if by == 0 {
			by = c.now() + c.server.cfg.HeaderTimeout
		}
		c.makeRoom(c.server.limits.head + leastRoom)
		switch err := c.fill(by); {
		case errors.Is(err, errSlow) && seen > 0:
			c.server.metrics.timeout(inHead)
			return c.unread(exchange.SlowHead)
		case err != nil:
			return false, 0
		}
	}
}

// unread refuses a head that was not parsed: nothing is known of the request.
func (c *conn) unread(why exchange.Reason) (ok bool, refused exchange.Reason) {
	c.message = message{}
	return false, why
}

// parse reads the head that ends at end.
func (c *conn) parse(end int) exchange.Reason {
	c.Header = c.work.fields
	lim := c.server.limits
	lim.scheme = c.scheme()
	why := parse(c.work.buf[c.r:c.r+end], lim, &c.message)
	c.work.fields = c.Header
	c.r += end
	c.base = c.r
	return why
}

// makeRoom sees to it that bytes can be read behind those that are there, in a buffer
// of at most most bytes.
func (c *conn) makeRoom(most int) {
	if c.r == c.w {
		c.r, c.w = c.base, c.base
	}
	buf := c.work.buf
	if c.w < len(buf) {
		return
	}
	if c.r > c.base {
		c.w = c.base + copy(buf[c.base:], buf[c.r:c.w])
		c.r = c.base
		return
	}
	larger := make([]byte, min(2*len(buf), max(most, len(buf)+leastRoom)))
	// The request goes on having its views of the old one.
	c.w = copy(larger, buf[c.r:c.w])
	c.r, c.base, c.work.buf = 0, 0, larger
}

// reserve sees to it that there is room to read behind the request, when all that was
// read is used.
func (c *conn) reserve() {
	if c.r, c.w = c.base, c.base; len(c.work.buf)-c.base < leastRoom {
		c.r, c.w, c.base, c.work.buf = 0, 0, 0, make([]byte, smallBuffer)
	}
}

var (
	errSlow = errors.New("viewer took too long")
	// errPast is what a deadline looks like that somebody else has set.
	errPast = os.ErrDeadlineExceeded
)

// fill reads once into the buffer, until by.
func (c *conn) fill(by time.Duration) error {
	n, err := c.read(c.work.buf[c.w:], by)
	c.w += n
	return err
}

// read reads once, until by. An error comes without bytes.
func (c *conn) read(p []byte, by time.Duration) (int, error) {
	if err := c.readErr; err != nil {
		return 0, err
	}
	for {
		c.arm(by)
		if c.halt.Load() { // after arming: who sets it sets a deadline as well
			return 0, errBodyOver
		}
		n, err := c.nc.Read(p)
		if n > 0 {
			c.readErr = err
			return n, nil
		}
		if err = c.struck(err, by); err != nil {
			return 0, err
		}
	}
}

// arm sees to it that the read deadline strikes at by or before. Deadlines cost a timer
// each, so one that is set is left alone while it is early enough: when it strikes too
// early, it is set anew. A connection that is busy pays for one in a long time.
func (c *conn) arm(by time.Duration) {
	if c.alarm == 0 || c.alarm > by {
		c.alarm = by
		_ = c.nc.SetReadDeadline(c.server.began.Add(by)) // it fails on what is closed; then reads fail too
	}
}

// struck looks at the error of a read that was to last until by. It is nil if the
// reader is to go on.
func (c *conn) struck(err error, by time.Duration) error {
	if !errors.Is(err, errPast) {
		return err
	}
	c.alarm = 0
	if c.now() >= by {
		return errSlow
	}
	return nil
}

// await waits for the first bytes of a request. It returns false when the connection is
// over.
func (c *conn) await() bool {
	c.release()
	c.phase.Store(uint32(idle))
	by, last := c.quiet+c.server.cfg.IdleTimeout, false
	for {
		c.arm(by)
		// Looked at after arming: who closes the server sets a deadline as well.
		if !last && c.server.closing.Load() {
			by, last, c.alarm = min(by, c.now()+lastCall), true, 0
			continue
		}
		err := c.readErr
		if err == nil {
			err = c.first()
		}
		if err == nil {
			return true
		}
		if err = c.struck(err, by); err != nil {
			if errors.Is(err, errSlow) && !last {
				c.server.metrics.timeout(idle)
			}
			return false
		}
	}
}

// first waits for bytes without holding a buffer, and reads them.
func (c *conn) first() error {
	if c.look != nil {
		if err := c.raw.Read(c.look); err != nil {
			return err
		}
		return c.readErr
	}
	n, err := c.nc.Read(c.tiny[:])
	if n > 0 {
		c.take()
		c.work.buf[0] = c.tiny[0]
		c.w, c.readErr = 1, err
		return nil
	}
	return err
}
