// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// After an answer that ends a connection the viewer may still be sending; closing at
// once would reset the connection before the answer is read (RFC 9112 §9.6).
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// maxDrain is how many bytes of a body that nobody has read are read so that the
// connection can go on, within drainTime.
const (
	maxDrain  = 64 << 10
	drainTime = time.Second
)

// conn is one connection. While it waits for a request it holds nothing but this: what
// a request needs lies in work.
type conn struct {
	server *Server
	nc     net.Conn
	bottom net.Conn     // nc, or what is below its TLS
	tcp    *net.TCPConn // nc, if that is what it is
	peer   exchange.Peer
	raw    syscall.RawConn // of tcp
	look   func(fd uintptr) bool
	push   func(fd uintptr) bool // sends pending, of which it leaves what could not be sent
	// pending and pushErr are push's.
	pending []byte
	pushErr error
	file    *fileSender // made by the first file
	phase   atomic.Uint32

	work *work
	// r and w bound the bytes of work.buf that were read from the connection and not yet
	// used; below base there are bytes that the request has views of.
	r, w, base int
	readErr    error
	halt       atomic.Bool // reads of the body have to end
	tiny       [1]byte

	// alarm is when the read deadline will strike, 0 if it is not known; writeBy the
	// same for writes. See arm.
	alarm, writeBy time.Duration
	quiet          time.Duration // when an answer was last written

	requests int
	message
	body   body
	answer answer
	watch  watch
}

// answer is what is known of the answer to the present request.
type answer struct {
	mu      sync.Mutex // guards begun where the request has a body
	begun   bool
	whole   bool
	last    bool // nothing follows it on this connection
	lingers bool // the viewer may still be sending
	framing bodyFraming
}

func newConn(s *Server, nc net.Conn, peer exchange.Peer) *conn {
	c := &conn{server: s, nc: nc, peer: peer, bottom: bottomOf(nc)}
	c.quiet = c.now()
	c.body.conn = c
	if tcp, ok := nc.(*net.TCPConn); ok && canLook {
		if raw, err := tcp.SyscallConn(); err == nil {
			c.tcp, c.raw, c.look, c.push = tcp, raw, c.lookForBytes, c.pushBytes
		}
	}
	return c
}

// bottomOf returns the connection that carries nc.
func bottomOf(nc net.Conn) net.Conn {
	for {
		wrapped, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = wrapped.NetConn()
	}
}

// serve serves the connection until it is over.
func (c *conn) serve(ctx context.Context) {
	defer c.nc.Close()
	defer c.release()
	for {
		ok, why := c.next()
		if why != 0 {
			c.refuse(ctx, why)
			return
		}
		if !ok || !c.exchange(ctx) {
			return
		}
	}
}

// refuse answers what is no request, and ends the connection.
func (c *conn) refuse(ctx context.Context, why exchange.Reason) {
	c.server.metrics.refuse(why)
	known := exchange.Request{
		Method: c.Method, Target: c.Target, Host: c.Host, Scheme: c.scheme(), Major: 1, Minor: c.Minor,
		Viewer: c.peer.Address, ServerName: c.peer.ServerName,
	}
	if c.Major == 0 {
		known.Minor = 1 // it has not got as far as to say so
	}
	c.message = message{Request: known}
	c.answer.reset()
	c.body.over.Store(true)
	c.server.cfg.Refuser.Refuse(ctx, &exchange.Refusal{Request: known, Why: why}, c)
	if c.answer.whole {
		c.linger()
	}
}

func (a *answer) reset() {
	a.begun, a.whole, a.last, a.lingers, a.framing = false, false, false, false, noBody
}

// exchange has one request answered, and says whether another may follow.
func (c *conn) exchange(ctx context.Context) (more bool) {
	c.phase.Store(uint32(answering))
	c.answer.reset()
	c.requests++
	c.Scheme, c.ServerName, c.Viewer = c.scheme(), c.peer.ServerName, c.peer.Address
	c.Fronted = c.peer.Fronts != nil && c.peer.Fronts(c.Host)
	c.body.begin(&c.message)
	c.handle(ctx)
	c.watch.end(c)
	rest := c.body.finish(c.answer.whole && !c.answer.last)
	switch {
	case !c.answer.whole:
		c.abort()
	case c.answer.last && (c.answer.lingers || c.r < c.w), !c.answer.last && !rest:
		c.linger()
	default:
		return !c.answer.last
	}
	return false
}

func (c *conn) scheme() string {
	if c.peer.Secure {
		return "https"
	}
	return "http"
}

// handle calls the handler. A panic costs this connection and no other.
func (c *conn) handle(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			c.answer.whole = false
			c.server.cfg.Log.LogAttrs(ctx, slog.LevelError, "panic",
				slog.String("error", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
		}
	}()
	c.server.cfg.Handler.Serve(ctx, &c.Request, c)
}

// abort ends a connection whose answer is not whole so that nobody takes it for whole
// (D17.12): without a last chunk or byte, or, where only the end of the connection ends
// the body, by a reset; below TLS, since its orderly end would look like success.
func (c *conn) abort() {
	if c.answer.framing == untilClose {
		reset(c.bottom)
	}
	_ = c.bottom.Close() // it is to break
}

// reset makes Close break a connection instead of ending it.
func reset(nc net.Conn) {
	if tcp, ok := nc.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // without it the viewer sees an orderly end, at worst
	}
}

// linger ends the sending half, and waits until the viewer has read everything or has
// sent enough.
func (c *conn) linger() {
	if secure, ok := c.nc.(*tls.Conn); ok {
		_ = secure.CloseWrite() // what matters is the half below
	}
	half, ok := c.bottom.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.bottom.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.bottom, lingerBytes) // ends with the deadline at the latest
}

// wake ends the wait for a request, if that is what c does.
func (c *conn) wake() {
	if phase(c.phase.Load()) == idle {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a closed one needs no waking
	}
}

// cut ends the connection from outside.
func (c *conn) cut() {
	reset(c.bottom)
	_ = c.bottom.Close() // it is to break
}

// now is the time since the server's beginning.
func (c *conn) now() time.Duration { return time.Since(c.server.began) }
