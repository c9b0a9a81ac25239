// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
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
	in       *bufio.Reader // over Conn; nil while idle
	quiet    func() bool   // see probe

	// The rest is guarded by the pool's lock. While it is idle the connection is in a
	// list, and expiry ends it when that has been too long.
	idle         bool
	older, newer *conn
	expiry       *time.Timer
}

// readers has *bufio.Reader that no connection uses.
var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }} //nolint:gochecknoglobals // a pool of buffers is no state

func newConn(e endpoint, remote netip.AddrPort, l *line, nc net.Conn) *conn {
	c := &conn{endpoint: e, remote: remote, line: l, Conn: nc, quiet: probe(l.Conn)}
	c.buffer()
	return c
}

// buffer gives the connection what it reads through.
func (c *conn) buffer() {
	in, ok := readers.Get().(*bufio.Reader)
	if !ok {
		in = new(bufio.Reader)
	}
	in.Reset(c.Conn)
	c.in = in
}

// unbuffer takes that back. Nothing may be in it.
func (c *conn) unbuffer() {
	c.in.Reset(nil)
	readers.Put(c.in)
	c.in = nil
}

// abort ends the connection at once, from any goroutine and whatever it is doing.
func (c *conn) abort() {
	_ = c.line.Close() // nothing is left to be lost
}

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
	return c.quiet()
}

// drained says whether crypto/tls holds no record that it took from the socket
// together with an earlier one.
func (c *conn) drained() bool {
	c.line.poll(true)
	defer c.line.poll(false)
	var b [1]byte
	n, err := c.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
