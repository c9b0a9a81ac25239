// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// Request is what is asked of an origin.
type Request struct {
	// Origin is the server to ask. Required; its time-outs hold as they are.
	Origin *snapshot.Origin
	// ViewerScheme is "http" or "https": what snapshot.MatchViewer stands for
	// (D16.2).
	ViewerScheme string
	// Method is any token but CONNECT, which would ask for another server.
	Method string
	// Target is the path and query byte for byte as they are sent (D15.1), the
	// prefixes of origin and distribution included.
	Target string
	// Host is the Host field to send. Empty: that of the origin, with the port
	// where it is not the scheme's own.
	Host string
	// Header holds the other fields. The Client adds Host, Connection and what frames
	// the body, and leaves out what is between two hops only (D15.2, D15.8), Expect
	// (D4.10) and trailers (D24.10).
	Header header.Fields
	// Body is sent as it is read, nothing of it twice; nil for none. It may be read
	// while the answer is being read, but not after Fetch has failed or the answer's
	// Body is closed: both wait for a Read under way. If it is an io.Closer, it is closed
	// when no more of it is wanted, which should end that Read.
	Body io.Reader
	// Length is the number of bytes in Body: 0 for none, -1 if unknown.
	Length int64
	// Once keeps the Client from sending again what an origin may have seen, whatever
	// the method.
	Once bool
	// CutSurplus takes a body for whole that more bytes follow than Content-Length says.
	// They go with the connection, in either case (RFC 9112 §6.3); else the body is
	// faulty (D17.12).
	CutSurplus bool
	// Interim is called for each interim answer but 100 and 101, before Fetch returns,
	// with what is between two hops only left out. When it is nil such answers are
	// dropped, and a second 100 is a fault of the origin (D17.11).
	Interim func(status int, h header.Fields)
	// Upgrade is the value of an Upgrade field to send, for a request without a body;
	// empty for none (D24.2). It may not name h2c, by which a viewer could speak past
	// the edge.
	Upgrade string
	// Viewer is who the request is made for, for the limit on what one viewer may have
	// of an origin; the zero Addr is nobody and has none.
	Viewer netip.Addr
	// MaxLength is the largest Content-Length to accept, 0 for any: a caller that
	// means to store the answer gives the limit of D17.14.
	MaxLength int64
}

// secure says whether the request goes over TLS (D16.2).
func (r *Request) secure() bool {
	if r.Origin.Scheme == snapshot.MatchViewer {
		return r.ViewerScheme == "https"
	}
	return r.Origin.Scheme == snapshot.HTTPS
}

// appendHost appends the Host field to send.
func (r *Request) appendHost(b []byte) []byte {
	if r.Host != "" {
		return append(b, r.Host...)
	}
	o := r.Origin
	port, usual := o.HTTPPort, 80
	if r.secure() {
		port, usual = o.HTTPSPort, 443
	}
	bare := strings.Trim(o.Host, "[]")
	if strings.Contains(bare, ":") {
		b = append(b, '[')
		b = append(b, bare...)
		b = append(b, ']')
	} else {
		b = append(b, bare...)
	}
	if port != usual {
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(port), 10)
	}
	return b
}

// serverName is the name to ask for in the TLS handshake: the Host that is sent if
// it is not the origin's own, else the origin's (D16.5).
func (r *Request) serverName() string {
	name := r.Origin.Host
	if r.Host != "" {
		name = r.Host
		if h, _, err := net.SplitHostPort(r.Host); err == nil {
			name = h
		}
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
}

// hasBody says whether there is something to send after the head.
func (r *Request) hasBody() bool { return r.Body != nil && r.Length != 0 }

// safeToRepeat says whether a request that was sent may be sent again when no answer
// comes (D16.10, D16.11).
func (r *Request) safeToRepeat() bool {
	return !r.Once && !r.hasBody() && (r.Method == "GET" || r.Method == "HEAD")
}

// idempotent says whether a request that a kept connection lost may be sent again
// over a new one (D16.16, RFC 9110 §9.2.2).
func (r *Request) idempotent() bool {
	if r.Once || r.hasBody() {
		return false
	}
	switch r.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
