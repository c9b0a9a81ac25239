// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// farewell is how long a connection that is ended has for its GOAWAY.
const farewell = 900 * time.Millisecond

// conn is a connection whose frames are counted. One goroutine reads from it and one
// at a time writes to it. It ends itself for a reason: then Read returns an error that
// makes x/net send GOAWAY with ENHANCE_YOUR_CALM, and if the viewer does not take
// that, the connection is closed all the same.
type conn struct {
	net.Conn
	counter       *counter
	out           answered
	headerTimeout time.Duration
	ended         func(Reason) // is told why, once

	headers time.Time // since when a header block is under way; zero: none is
	reason  Reason    // none while it goes on

	mu       sync.Mutex // guards the rest
	closed   bool
	farewell *time.Timer
}

func newConn(inner net.Conn, limits *Limits, headerTimeout time.Duration, ended func(Reason)) *conn {
	c := &conn{Conn: inner, headerTimeout: headerTimeout, ended: ended, reason: none}
	c.counter = newCounter(limits, &c.out)
	return c
}

// Read reads and counts.
func (c *conn) Read(p []byte) (int, error) {
	if c.reason != none {
		return 0, http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	n, err := c.Conn.Read(p)
	now := time.Now()
	if r := c.counter.received(p[:n], now); r != none {
		return 0, c.end(r)
	}
	if !c.headers.IsZero() && errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, c.end(slowHeader)
	}
	if err == nil {
		err = c.arm(now)
	}
	return n, err
}

// arm sets a deadline while a header block is under way. One that comes in one piece
// costs nothing.
func (c *conn) arm(now time.Time) error {
	under := c.counter.inHeaders()
	switch {
	case under && c.headers.IsZero():
		c.headers = now
		return c.SetReadDeadline(now.Add(c.headerTimeout))
	case !under && !c.headers.IsZero():
		c.headers = time.Time{}
		return c.SetReadDeadline(time.Time{})
	}
	return nil
}

// end begins the end of the connection.
func (c *conn) end(r Reason) error {
	c.reason = r
	c.ended(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.farewell = time.AfterFunc(farewell, func() { _ = c.Conn.Close() }) // the viewer had its chance
	}
	return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
}

// Write counts and writes.
func (c *conn) Write(p []byte) (int, error) {
	return c.Conn.Write(c.out.sent(p))
}

// Close closes the connection.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.farewell != nil {
		c.farewell.Stop()
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

// stater is what a *tls.Conn can tell.
type stater interface{ ConnectionState() tls.ConnectionState }

// secure is a conn over TLS, of which x/net asks version and cipher (RFC 9113 §9.2).
type secure struct {
	*conn
	tls stater
}

// ConnectionState returns what the handshake agreed on.
func (c secure) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }
