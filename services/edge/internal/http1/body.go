// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

var errBodyOver = errors.New("body is read after its request was answered")

// body is the content of the present request. It may be read by another goroutine than
// the one that sends the answer.
type body struct {
	conn *conn
	over atomic.Bool // all of it was read

	mu      sync.Mutex // held while it is read; guards the rest
	err     error
	left    int64 // of an announced length
	chunked bool
	chunks  chunked
	taken   int64
	expects bool // the viewer waits for 100 Continue
	waited  time.Duration
	until   time.Duration // bounds reading what nobody wants; 0 is no bound
}

// begin makes the body that m announces.
func (b *body) begin(m *message) {
	if !m.HasBody {
		b.over.Store(true)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over.Store(false)
	b.err, b.left, b.taken, b.waited, b.until = nil, m.length, 0, 0, 0
	b.chunked, b.chunks, b.expects = m.length == chunkedLength, chunked{}, m.expects
	m.Body = b
}

// Read reads content. Its first call answers an expectation (D4.10).
func (b *body) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read(p)
}

func (b *body) read(p []byte) (n int, err error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.expects {
		b.expects = false
		if err := b.conn.goOn(); err != nil {
			return 0, b.fail(err)
		}
	}
	if b.chunked {
		n, err = b.readChunks(p)
	} else {
		n, err = b.readLength(p)
	}
	if b.taken += int64(n); err == nil && b.taken > b.conn.server.limits.body {
		err = exchange.ErrBodyTooLarge // D4.8
	}
	if err != nil {
		return n, b.fail(err)
	}
	if b.chunked && b.chunks.done() || !b.chunked && b.left == 0 {
		b.err = io.EOF
		b.over.Store(true)
		b.conn.watch.begin(b.conn)
		if n == 0 {
			return 0, io.EOF
		}
	}
	return n, nil
}

// fail remembers why there is no more.
func (b *body) fail(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, errSlow) {
		b.conn.server.metrics.timeout(inBody)
	}
	b.err = err
	b.conn.watch.left(err)
	return err
}

// readLength reads what has an announced length: from the buffer while it has some,
// then past it.
func (b *body) readLength(p []byte) (n int, err error) {
	c := b.conn
	p = p[:min(int64(len(p)), b.left)]
	if c.r < c.w {
		n = copy(p, c.work.buf[c.r:c.w])
		c.r += n
	} else {
		n, err = b.wait(func(by time.Duration) (int, error) { return c.read(p, by) })
	}
	b.left -= int64(n)
	return n, err
}

// readChunks decodes chunks in the buffer until there is content, or the body is over.
func (b *body) readChunks(p []byte) (int, error) {
	c := b.conn
	for {
		n, used, err := b.chunks.decode(p, c.work.buf[c.r:c.w])
		c.r += used
		if n > 0 || err != nil || b.chunks.done() {
			return n, err
		}
		c.reserve()
		if _, err := b.wait(func(by time.Duration) (int, error) { return 0, c.fill(by) }); err != nil {
			return 0, err
		}
	}
}

// wait reads from the connection, within what the viewer may keep us waiting.
func (b *body) wait(read func(by time.Duration) (int, error)) (int, error) {
	cfg := &b.conn.server.cfg
	from := b.conn.now()
	earned := time.Duration(float64(b.taken) / float64(cfg.MinBodyRate) * float64(time.Second))
	by := from + min(cfg.BodyTimeout, cfg.BodyTimeout+earned-b.waited)
	if b.until > 0 {
		by = min(by, b.until)
	}
	n, err := read(by)
	b.waited += b.conn.now() - from
	return n, err
}

// keeps says whether the connection may go on after the answer, as far as the body
// tells before the answer is sent: nothing of it is left, or so little that it is read
// after the answer. A body that another goroutine is reading is not waited for.
func (b *body) keeps() bool {
	if b.over.Load() {
		return true
	}
	if !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	return b.drains()
}

// drains says whether the rest of the body may be read just to be rid of it. A viewer
// that waits for 100 Continue may send it or not (RFC 9110 §10.1.1), so that nobody
// could say where the next request begins.
func (b *body) drains() bool {
	return b.err == nil && !b.expects && (b.chunked || b.left <= maxDrain)
}

// finish takes the body from whoever reads it still. If the connection is to go on, it
// reads the rest, and says whether the next request can follow.
func (b *body) finish(goOn bool) bool {
	c := b.conn
	if !c.HasBody {
		return true
	}
	c.halt.Store(true)
	if !b.mu.TryLock() {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a closed connection ends the read, too
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	c.halt.Store(false)
	if b.over.Load() {
		return true
	}
	c.alarm = 0
	ok := goOn && b.drains() && b.drain()
	b.err = errBodyOver
	return ok
}

// drain reads what nobody has read.
func (b *body) drain() bool {
	block, ok := b.conn.server.blocks.Get().(*[blockBytes]byte)
	if !ok {
		return false
	}
	defer b.conn.server.blocks.Put(block)
	b.until = b.conn.now() + drainTime
	for n := 0; n <= maxDrain; {
		got, err := b.read(block[:])
		if n += got; err != nil {
			return errors.Is(err, io.EOF)
		}
	}
	return false
}
