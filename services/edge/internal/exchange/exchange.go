// SPDX-License-Identifier: Apache-2.0

// Package exchange is one viewer request and the answer to it, in a form that
// every protocol adapter can fill and send. It knows no server library: the
// pipeline works on an Exchange, and HTTP/1.1, HTTP/2 and later HTTP/3 are
// adapters below it.
package exchange

import (
	"context"
	"net/netip"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Request is what the viewer sent, as it was sent.
type Request struct {
	Method string
	// Target is the request target in origin form, byte for byte: path and query.
	Target string
	// Host is the Host field or :authority as sent, port included; empty if absent.
	Host string
	// Scheme is "http" or "https".
	Scheme string
	// Major and Minor are the HTTP version.
	Major, Minor int
	// Header holds every field but Host.
	Header header.Fields
	// HasBody says that a Content-Length above zero or a Transfer-Encoding came.
	HasBody bool
	// Viewer is the address of the TCP peer.
	Viewer netip.AddrPort
	// ServerName is the name that the viewer asked for in the TLS handshake.
	ServerName string
}

// Sender is the adapter's side of an exchange: it puts one answer on the wire.
type Sender interface {
	// Send writes head and body and returns how many body bytes the viewer's
	// connection took. It closes the body. An error means that the answer is not
	// whole; the adapter then ends the connection (D17.12). A HEAD request's answer
	// is sent without its body, whatever the answer holds.
	Send(ctx context.Context, a *Answer) (sent int64, err error)
}

// Answer is what the viewer gets: a head and a body.
type Answer struct {
	Status int
	// Header is complete but for the framing of the connection. It has a
	// Content-Length wherever the length is known, also for HEAD; where there is a
	// body, Body.Size says the same.
	Header header.Fields
	Body   Body
	// Close asks the adapter to end the connection after this answer.
	Close bool
}

// Body is either bytes in memory or a stream; the zero Body is empty.
type Body struct {
	// Chunks are the bytes in order, shared with the store: never written to.
	Chunks [][]byte
	// Stream delivers the bytes as they arrive; Chunks is nil then.
	Stream Stream
	// Size is the number of bytes, or -1 when a stream does not know it.
	Size int64
}

// Stream delivers a body piece by piece.
type Stream interface {
	// Next returns the next bytes. They are shared: never written to, and valid
	// until Close. io.EOF follows the last; any other error means that the body
	// is incomplete and the viewer's connection has to be aborted (D17.12).
	Next(ctx context.Context) ([]byte, error)
	// Close ends the interest in further bytes. It may be called more than once.
	Close()
}

// Bytes is a Body of one piece.
func Bytes(b []byte) Body {
	if len(b) == 0 {
		return Body{}
	}
	return Body{Chunks: [][]byte{b}, Size: int64(len(b))}
}
