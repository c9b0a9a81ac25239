// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

var errQuiet = errors.New("origin sent nothing for too long")

// tunnel goes on in another protocol: it copies between viewer and origin until both
// halves have ended, one breaks, the origin is quiet for too long (D24.4), or ctx ends.
// It returns how many bytes the viewer got.
func (c *conn) tunnel(ctx context.Context, a *exchange.Answer) (sent int64, err error) {
	t := &tunnel{conn: c, origin: a.Tunnel}
	defer t.cut() // a second time is nothing
	c.answer.last = true
	if err := c.putHead(c.appendHead(c.work.out[:0], a)); err != nil {
		return 0, err
	}
	c.phase.Store(uint32(tunnelling))
	c.alarm = 0
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, t.cut)()
	limit := c.server.cfg.TunnelTimeout
	var late atomic.Bool
	quiet := time.AfterFunc(limit, func() {
		late.Store(true)
		t.cut()
	})
	defer quiet.Stop()
	var both sync.WaitGroup
	both.Go(t.toOrigin)
	sent, err = t.toViewer(func() { quiet.Reset(limit) })
	if err != nil {
		t.cut()
	}
	both.Wait()
	switch {
	case late.Load():
		c.server.metrics.timeout(tunnelling)
		return sent, errQuiet
	case ctx.Err() != nil:
		return sent, ctx.Err()
	}
	return sent, err
}

// tunnel is an upgraded connection.
type tunnel struct {
	conn   *conn
	origin io.ReadWriteCloser
	once   sync.Once
}

// cut ends both sides.
func (t *tunnel) cut() {
	t.once.Do(func() {
		_ = t.origin.Close() // nothing more is wanted of it
		_ = t.conn.bottom.Close()
	})
}

// toOrigin passes on what the viewer sends, first what has been read of it.
func (t *tunnel) toOrigin() {
	c := t.conn
	for {
		if _, err := t.write(c.work.buf[c.r:c.w]); err != nil {
			t.cut()
			return
		}
		c.reserve()
		n, err := c.nc.Read(c.work.buf[c.w:])
		c.w += n
		if err == nil || n > 0 {
			continue
		}
		if half, ok := t.origin.(interface{ CloseWrite() error }); !ok || !errors.Is(err, io.EOF) || half.CloseWrite() != nil {
			t.cut()
		}
		return
	}
}

// write writes to the origin, unless there is nothing to write.
func (t *tunnel) write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return t.origin.Write(b)
}

// toViewer passes on what the origin sends, and calls heard for each read.
func (t *tunnel) toViewer(heard func()) (sent int64, err error) {
	c := t.conn
	buf := c.work.out[:cap(c.work.out)]
	for {
		n, err := t.origin.Read(buf)
		if n > 0 {
			heard()
			m, err := c.write(buf[:n])
			if sent += m; err != nil {
				return sent, err
			}
			continue
		}
		if errors.Is(err, io.EOF) {
			if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
				return sent, half.CloseWrite()
			}
			return sent, io.EOF
		}
		if err != nil {
			return sent, err
		}
	}
}
