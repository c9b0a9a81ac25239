// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"strconv"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Framing is how the end of a body is known.
type Framing uint8

// The framings.
const (
	_ Framing = iota
	// None: there is no body.
	None
	// ContentLength: the head tells the number of bytes.
	ContentLength
	// Chunked: a chunk of size zero ends the body.
	Chunked
	// CloseDelimited: the end of the connection ends the body; that it is whole
	// cannot be told (D17.12).
	CloseDelimited
)

// String returns the word for logs and metrics.
func (f Framing) String() string {
	switch f {
	case None:
		return "none"
	case ContentLength:
		return "content length"
	case Chunked:
		return "chunked"
	case CloseDelimited:
		return "close"
	default:
		return "unknown"
	}
}

// frame is how the body of an answer ends and what becomes of its connection.
type frame struct {
	framing Framing
	// length is the announced length, -1 if there is none.
	length int64
	// keep says that the connection may carry a next request once the body is read.
	keep bool
}

// frameOf decides the framing of an answer once, or refuses an answer that has
// two (RFC 9112 §6.3, D17.3).
func frameOf(method string, h head) (frame, error) {
	length, err := contentLength(h.fields)
	if err != nil {
		return frame{}, err
	}
	chunked, err := transferChunked(h)
	if err != nil {
		return frame{}, err
	}
	if chunked && length >= 0 {
		return frame{}, fault(Invalid, "both Transfer-Encoding and Content-Length")
	}
	f := frame{framing: CloseDelimited, length: length, keep: persistent(h)}
	switch {
	case h.status == 204:
		// Neither field may stand here (RFC 9112 §6.1, RFC 9110 §8.6): an origin that
		// sends one may send a body as well, so its connection is not trusted again.
		f.framing, f.keep = None, f.keep && !chunked && length <= 0
		f.length = 0
	case method == "HEAD", h.status == 304:
		f.framing = None
	case chunked:
		f.framing = Chunked
	case length >= 0:
		f.framing = ContentLength
	default:
		f.keep = false
	}
	return f, nil
}

// transferChunked says whether the body is chunked. Any other coding is refused,
// as is one from HTTP/1.0, which knows none (D17.3, RFC 9112 §6.1).
func transferChunked(h head) (bool, error) {
	all := h.fields.Values("Transfer-Encoding")
	if len(all) == 0 {
		return false, nil
	}
	if len(all) > 1 || !header.Equal(all[0], "chunked") {
		return false, fault(Invalid, "a transfer coding other than chunked")
	}
	if h.minor == 0 {
		return false, fault(Invalid, "a transfer coding in HTTP/1.0")
	}
	return true, nil
}

// contentLength returns the announced length, or -1. Lines may repeat it, but not
// differ; a list in one line is refused (RFC 9110 §8.6).
func contentLength(f header.Fields) (int64, error) {
	length := int64(-1)
	for i := range f {
		if !header.Equal(f[i].Name, "Content-Length") {
			continue
		}
		n, err := parseLength(f[i].Value)
		if err != nil {
			return 0, err
		}
		if length >= 0 && n != length {
			return 0, fault(Invalid, "two different Content-Lengths")
		}
		length = n
	}
	return length, nil
}

func parseLength(s string) (int64, error) {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, fault(Invalid, "Content-Length is not a number")
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fault(Invalid, "Content-Length is out of range")
	}
	return n, nil
}

// persistent says whether the origin lets the connection go on (D16.16, RFC 9112
// §9.3): HTTP/1.1 unless it says close, HTTP/1.0 only if it says keep-alive.
func persistent(h head) bool {
	options := connectionOptions(h.fields)
	return !names(options, "close") && (h.minor > 0 || names(options, "keep-alive"))
}

// keepFor is how long a connection is kept idle: as long as the edge is set to, but
// less than the origin says that it waits, in Keep-Alive: timeout. A request that
// crosses the origin's close on the way would be lost, and not every one may be sent
// again (D16.11).
func keepFor(f header.Fields, most time.Duration) time.Duration {
	hints, ok := f.Joined("Keep-Alive", ",")
	if !ok {
		return most
	}
	for hint := range strings.SplitSeq(hints, ",") {
		name, value, _ := strings.Cut(hint, "=")
		if !header.Equal(strings.Trim(name, " \t"), "timeout") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(value, " \t"), 10, 32)
		if err != nil {
			continue
		}
		wait := time.Duration(seconds) * time.Second
		most = min(most, max(wait-crossing, wait/2))
	}
	return most
}

// crossing is how long a request may be on its way to the origin, generously.
const crossing = time.Second

// endToEnd removes in place what concerns only the connection (D17.2), and the
// repetitions of an equal Content-Length.
func endToEnd(f *header.Fields) {
	options := connectionOptions(*f)
	measured := false
	f.Filter(func(x header.Field) bool {
		if hopByHop(x.Name, options) {
			return false
		}
		if !header.Equal(x.Name, "Content-Length") {
			return true
		}
		first := !measured
		measured = true
		return first
	})
}
