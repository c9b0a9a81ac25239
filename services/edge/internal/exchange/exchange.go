// SPDX-License-Identifier: Apache-2.0

// Package exchange is one viewer request and the answer to it, in a form that
// every protocol adapter can fill and send. It knows no server library: the
// pipeline works on an Exchange, and HTTP/1.1, HTTP/2 and later HTTP/3 are
// adapters below it.
//
// What an adapter hands in, it may use again for its next request: strings and
// slices of a Request are valid until Serve returns. Who keeps any of it longer
// copies it, with Request.Own.
package exchange

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"

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
	// Length is the announced length of the body: 0 without one, -1 if unknown.
	Length int64
	// Body is the content, nil if HasBody is false. Reading it for the first time
	// answers an expectation of 100-continue (D4.10). It fails when the viewer breaks
	// off or the framing is at fault, and is not read after Serve has returned. Trailers
	// are read and dropped (D24.10).
	Body io.Reader
	// Upgrade is the protocol that the viewer would like to go on with, as sent, when
	// its Connection names Upgrade on HTTP/1.1; empty otherwise.
	Upgrade string
	// Viewer is the address of the TCP peer, or that which a trusted PROXY header gives.
	Viewer netip.AddrPort
	// ServerName is the name that the viewer asked for in the TLS handshake.
	ServerName string
	// Fronted says that the certificate of this connection is for others than Host, so
	// that the request has to be refused with 421 (D2.7).
	Fronted bool
}

// Own makes the strings of r its own, so that they outlive the exchange.
func (r *Request) Own() {
	all := [...]*string{&r.Method, &r.Target, &r.Host, &r.Scheme, &r.Upgrade, &r.ServerName}
	n := 0
	for _, s := range all {
		n += len(*s)
	}
	for _, f := range r.Header {
		n += len(f.Name) + len(f.Value)
	}
	var room strings.Builder // one for all of them
	room.Grow(n)
	own := func(s string) string {
		begin := room.Len()
		room.WriteString(s)
		return room.String()[begin:]
	}
	for _, s := range all {
		*s = own(*s)
	}
	h := make(header.Fields, len(r.Header))
	for i, f := range r.Header {
		h[i] = header.Field{Name: own(f.Name), Value: own(f.Value)}
	}
	r.Header = h
}

// Sender is the adapter's side of an exchange: it puts one answer on the wire.
type Sender interface {
	// Send writes head and body and returns how many body bytes the viewer's
	// connection took. What the answer holds is valid until Send returns, no longer. It closes the body. An error means that the answer is not
	// whole; the adapter then ends the connection (D17.12). A HEAD request's answer
	// is sent without its body, whatever the answer holds.
	Send(ctx context.Context, a *Answer) (sent int64, err error)
	// Interim passes an interim answer on, 102 to 199 but 101, before Send. It does
	// nothing for viewers that do not know of such (RFC 9110 §15.2).
	Interim(status int, h header.Fields) error
	// Watch returns a context that ends when the viewer leaves before its answer is
	// sent. It is for requests that have to wait: one that is answered at once need not
	// pay for it. Stop ends the watching; it is called before Send.
	Watch(ctx context.Context) (watched context.Context, stop func())
}

// Answer is what the viewer gets: a head and a body.
type Answer struct {
	Status int
	// Lines are header fields in the form of HTTP/1.1, each "Name: value\r\n": what was
	// prepared when the object was stored. They go out before Header, and are shared
	// with the store: never written to.
	Lines []byte
	// Header is, with Lines, complete but for the framing of the connection. One of them
	// has a Content-Length wherever the length is known, also for HEAD; where there is a
	// body, Body.Size says the same.
	Header header.Fields
	Body   Body
	// Tunnel, with a status of 101, is the connection to go on with: the adapter copies
	// between it and the viewer until either ends, and closes it (D24.3).
	Tunnel io.ReadWriteCloser
	// Close asks the adapter to end the connection after this answer.
	Close bool
}

// Fields yields every header field of the answer, those of Lines first, without
// allocating. Strings of Lines are valid as long as these.
func (a *Answer) Fields(yield func(name, value string) bool) {
	if !Split(a.Lines, yield) {
		return
	}
	for i := range a.Header {
		if !yield(a.Header[i].Name, a.Header[i].Value) {
			return
		}
	}
}

// Body is either bytes in memory or a stream; the zero Body is empty.
type Body struct {
	// Bytes are the whole body, shared with the store: never written to.
	Bytes []byte
	// Stream delivers the body piece by piece; Bytes is nil then.
	Stream Stream
	// Size is the number of bytes, or -1 when a stream does not know it.
	Size int64
}

// Stream delivers a body piece by piece.
type Stream interface {
	// Next returns the next piece. It is shared: never written to, and valid until
	// the following Next or Close. io.EOF follows the last; any other error means that
	// the body is incomplete and the viewer's connection has to be aborted (D17.12).
	Next(ctx context.Context) (Piece, error)
	// Close ends the interest in further bytes. It may be called more than once.
	Close()
}

// Bytes is a Body of one piece.
func Bytes(b []byte) Body {
	if len(b) == 0 {
		return Body{}
	}
	return Body{Bytes: b, Size: int64(len(b))}
}

// Handler answers requests. Serve is called by one goroutine for each exchange and
// sends one answer through to; the end of ctx means that the edge gives the request up.
type Handler interface {
	Serve(ctx context.Context, req *Request, to Sender)
}

// Peer is what is known of a viewer's connection before its first request.
type Peer struct {
	// Address is the Viewer of its requests.
	Address netip.AddrPort
	// Secure says that the connection is TLS: the scheme of its requests is https.
	Secure bool
	// ServerName is the name of the handshake, empty without one.
	ServerName string
	// Fronts, when set, says whether a request for host may not come this way (D2.7).
	Fronts func(host string) bool
}

// ErrBodyTooLarge is what Request.Body fails with when more comes than the edge takes
// (D4.8). The answer is 413.
var ErrBodyTooLarge = errors.New("request body is longer than the edge takes")
