// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"io"
	"strings"
	"sync"
)

// tunnel is a connection after 101 (D24.3). Read and Write fail with an *Error, or
// io.EOF when the origin has closed its side.
type tunnel struct {
	fetch *fetch
	conn  *conn
	stop  func() bool // ends the watch of the caller's context
	close sync.Once
}

// Tunnel is what a connection becomes after 101 Switching Protocols (D24.3).
type Tunnel interface {
	io.ReadWriteCloser
	// CloseWrite tells the origin that nothing more comes, and goes on to read.
	CloseWrite() error
}

var _ Tunnel = (*tunnel)(nil)

// Read waits at most Config.TunnelTimeout (D24.4). What came together with the head
// of the answer comes first.
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.conn.in.Read(p)
	if err == nil || err == io.EOF { // a wrapped EOF is not a clean end
		return n, err
	}
	return n, t.fetch.explain(readFault(err, Lost))
}

// Write waits at most Config.TunnelTimeout for the origin to take the next bytes.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.conn.Write(p)
	if err != nil {
		return n, t.fetch.explain(writeFault(err))
	}
	return n, nil
}

// CloseWrite half-closes the connection.
func (t *tunnel) CloseWrite() error {
	if c, ok := t.conn.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return t.Close()
}

// Close ends the tunnel, a Read and a Write that wait included. It never fails and
// may be called again.
func (t *tunnel) Close() error {
	t.close.Do(func() {
		t.stop()
		t.conn.abort()
		t.fetch.client.tunnels.release(t.fetch.origin.Name, t.fetch.viewer)
	})
	return nil
}

// switched makes a tunnel of a connection on which the origin has answered 101. The
// slot of a request is free from here on, and CompletionTimeout, which is for
// answers, holds no longer; the caller's context does.
func (f *fetch) switched(c *conn, h head) error {
	protocol := h.fields.Get("Upgrade")
	if protocol == "" || !names(f.req.Upgrade, protocol) || strings.Contains(protocol, ",") {
		return fault(Invalid, "the origin switches to %q, which nobody asked for", protocol)
	}
	if !f.unwatch() {
		return fault(Canceled, "%w", context.Cause(f.ctx))
	}
	f.ctx = f.caller
	f.end()
	c.line.arm(f.client.tunnelTimeout)
	t := &tunnel{fetch: f, conn: c}
	t.stop = context.AfterFunc(f.caller, c.abort)
	endToEnd(&h.fields)
	h.fields.Add("Upgrade", protocol) // D17.2
	f.res.Status, f.res.Minor, f.res.Header = h.status, h.minor, h.fields
	f.res.Framing, f.res.Body, f.res.Tunnel = None, io.NopCloser(emptyReader{}), t
	return nil
}
