// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// endpoint is all that tells one connection from another: requests with equal
// endpoints may use the same connection, whichever origin they are for.
type endpoint struct {
	secure bool
	host   string
	port   int
	family snapshot.Family
	// The rest is for TLS only.
	name     string // asked for in the handshake
	versions versions
	roots    *x509.CertPool
}

// endpointOf returns where a request goes.
func endpointOf(r *Request) endpoint {
	o := r.Origin
	e := endpoint{host: o.Host, port: o.HTTPPort, family: o.Family}
	if r.secure() {
		e.secure, e.port = true, o.HTTPSPort
		e.name, e.versions, e.roots = r.serverName(), versionSet(o.TLSVersions), o.RootCAs
	}
	return e
}

// conn is a connection to an endpoint. One request at a time uses it.
type conn struct {
	endpoint endpoint
	remote   netip.AddrPort
	line     *line
	net.Conn               // line, or TLS over it
	in       *bufio.Reader // over Conn
	// expiry ends the connection when it has been idle too long; guarded by the
	// pool's lock.
	expiry *time.Timer
}

func newConn(e endpoint, remote netip.AddrPort, l *line, nc net.Conn) *conn {
	return &conn{endpoint: e, remote: remote, line: l, Conn: nc, in: bufio.NewReader(nc)}
}

// abort ends the connection at once, from any goroutine and whatever it is doing.
func (c *conn) abort() {
	_ = c.line.Close() // nothing is left to be lost
}

// watch aborts the connection when ctx ends. The function returned ends the watch
// and says whether the connection is untouched.
func (c *conn) watch(ctx context.Context) (unwatch func() bool) {
	aborted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		c.abort()
	})
	return func() bool {
		if stop() {
			return true
		}
		<-aborted
		return false
	}
}

// longAgo is a deadline that has always passed.
var longAgo = time.Unix(1, 0)

// alive says whether an idle connection may take a request: the origin has
// neither closed it nor sent a byte that nobody asked for. What arrives later is
// not seen (see D16.16).
func (c *conn) alive() bool {
	if c.in.Buffered() > 0 {
		return false
	}
	if c.endpoint.secure && !c.drained() {
		return false
	}
	return quiet(c.line.Conn)
}

// drained says whether crypto/tls holds no record that it took from the socket
// together with an earlier one. A passed deadline keeps it from reading more.
func (c *conn) drained() bool {
	if c.line.SetReadDeadline(longAgo) != nil {
		return false
	}
	var b [1]byte
	n, err := c.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) &&
		c.line.SetReadDeadline(time.Time{}) == nil
}

// line is the connection below TLS. While timeout is set it bounds the wait for
// any packet, in either direction (D16.9).
type line struct {
	net.Conn
	timeout time.Duration
}

// Read waits at most for the time-out.
func (l *line) Read(p []byte) (int, error) {
	if l.timeout > 0 {
		if err := l.SetReadDeadline(time.Now().Add(l.timeout)); err != nil {
			return 0, err
		}
	}
	return l.Conn.Read(p)
}

// Write waits at most for the time-out.
func (l *line) Write(p []byte) (int, error) {
	if l.timeout > 0 {
		if err := l.SetWriteDeadline(time.Now().Add(l.timeout)); err != nil {
			return 0, err
		}
	}
	return l.Conn.Write(p)
}

// arm sets the time-out of a request, or none for an idle connection.
func (l *line) arm(timeout time.Duration) {
	l.timeout = timeout
	if timeout == 0 {
		// A deadline of the last request would end the idle connection. An error means
		// that the connection is over, which its next user finds out.
		_ = l.SetDeadline(time.Time{})
	}
}
