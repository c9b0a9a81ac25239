// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
)

// Kind tells why there is no answer, or no whole one.
type Kind uint8

// The kinds of failure.
const (
	_ Kind = iota
	// BadRequest: the request cannot be written as an HTTP/1.1 message.
	BadRequest
	// Overloaded: too many requests to this origin, or the Client is closed.
	Overloaded
	// Canceled: the caller's context ended.
	Canceled
	// DNS: the origin's name has no usable address.
	DNS
	// Connect: the origin refused or reset the connection.
	Connect
	// ConnectTimeout: no connection within ConnectTimeout, or no way to the host.
	ConnectTimeout
	// TLS: no handshake that can be trusted, or the origin ended the session with
	// an alert.
	TLS
	// Write: the connection broke while the request was written.
	Write
	// Lost: the connection ended before the first byte of the answer.
	Lost
	// Timeout: nothing was taken or sent for ReadTimeout.
	Timeout
	// Completion: the whole answer took longer than CompletionTimeout.
	Completion
	// Invalid: the answer is not HTTP/1.1 as the edge accepts it.
	Invalid
	// HeaderTooBig: the head or the trailers exceed MaxHeaderBytes.
	HeaderTooBig
	// TooLarge: the announced length exceeds Request.MaxLength.
	TooLarge
	// Truncated: the connection ended within the answer.
	Truncated
	// ZeroSize: a body was announced and not one byte of it came.
	ZeroSize
	// RangeLength: Content-Length and Content-Range do not agree (D19.11).
	RangeLength
	// Upload: the body of the request could not be read, or was shorter than its
	// length. It is the viewer's fault.
	Upload
)

// kinds says for each Kind its name, the status that a viewer gets (D16.13,
// D22.13), the log's word for it (D23.6, D23.7) and whether another try may help: what
// was not sent, GET and HEAD are tried again while attempts are left (D16.10).
var kinds = [...]struct {
	word   string
	status int
	detail string
	again  bool
}{
	{"unknown", 500, "Error", false},
	BadRequest:     {"bad request", 500, "Error", false},
	Overloaded:     {"overloaded", 503, "CapacityExceeded", false},
	Canceled:       {"canceled", 504, "Error", false},
	DNS:            {"dns", 502, "OriginDnsError", false},
	Connect:        {"connect", 502, "OriginConnectError", true},
	ConnectTimeout: {"connect timeout", 504, "OriginCommError", true},
	TLS:            {"tls", 502, "OriginConnectError", false},
	Write:          {"write", 502, "OriginWriteError", true},
	Lost:           {"lost", 502, "OriginReadError", true},
	Timeout:        {"timeout", 504, "OriginCommError", true},
	Completion:     {"completion timeout", 504, "OriginCommError", false},
	Invalid:        {"invalid", 502, "OriginInvalidResponseError", false},
	HeaderTooBig:   {"header too big", 502, "OriginHeaderTooBigError", false},
	TooLarge:       {"too large", 502, "OriginError", false},
	Truncated:      {"truncated", 502, "OriginReadError", false},
	ZeroSize:       {"zero size", 502, "OriginZeroSizeObjectError", false},
	RangeLength:    {"range length", 502, "OriginContentRangeLengthError", false},
	Upload:         {"request body", 400, "ClientCommError", false},
}

// String returns the word for logs and metrics.
func (k Kind) String() string { return kinds[k.known()].word }

// Status is what the edge answers when nothing better is stored: 502, 503 or 504,
// 400 for a body that did not come and 500 for a request that should not have been
// made. Such answers are cached
// like the origin's own (D18.8).
func (k Kind) Status() int { return kinds[k.known()].status }

// Detail is the detailed result type of the access log (D23.6).
func (k Kind) Detail() string { return kinds[k.known()].detail }

func (k Kind) known() Kind {
	if int(k) >= len(kinds) {
		return 0
	}
	return k
}

// Error is how Fetch and the reading of a body fail.
type Error struct {
	Kind Kind
	// Origin is the Origin.Name that was asked.
	Origin string
	// Attempts is how many tries were used, 0 if none began.
	Attempts int
	// Reused says that the last try went over a kept connection; RemoteAddr is
	// where that went, the zero AddrPort if nowhere.
	Reused     bool
	RemoteAddr netip.AddrPort
	// Err is the cause.
	Err error
}

// Error names the origin, the kind and the cause.
func (e *Error) Error() string {
	return fmt.Sprintf("fetch from %s: %s: %v", e.Origin, e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Status is Kind.Status.
func (e *Error) Status() int { return e.Kind.Status() }

// Detail is Kind.Detail.
func (e *Error) Detail() string { return e.Kind.Detail() }

// fault makes an Error of which Fetch fills in the rest.
func fault(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// readFault says what a failed read means; lost is the kind for a connection that
// ended. Errors of the parsers pass as they are.
func readFault(err error, lost Kind) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fault(Timeout, "read: %w", err)
	case tlsAlert(err):
		return fault(TLS, "read: %w", err)
	case errors.Is(err, io.EOF):
		return fault(lost, "read: %w", io.ErrUnexpectedEOF)
	}
	return fault(lost, "read: %w", err)
}

// writeFault says what a failed write means.
func writeFault(err error) *Error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fault(Timeout, "write: %w", err)
	case tlsAlert(err):
		return fault(TLS, "write: %w", err)
	}
	return fault(Write, "write: %w", err)
}

// tlsAlert tells a session that one side ended with an alert, such as an origin
// that insists on a client certificate (TLS 1.3 says so only after the handshake),
// from a connection that broke. crypto/tls shows it by the name of the operation.
func tlsAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "remote error" || op.Op == "local error")
}
