// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// reasonPhrase is what stands after a status in the first line. A status that nobody
// has heard of has none, which is in order (RFC 9112 §4).
func reasonPhrase(status int) string {
	if status == exchange.StatusHeadTooLarge {
		return "Request header too large" // D4.6
	}
	return http.StatusText(status)
}

// bodyFraming is how the viewer is told where a body ends.
type bodyFraming uint8

const (
	noBody     bodyFraming = iota
	byLength               // Content-Length
	byChunks               // Transfer-Encoding
	untilClose             // HTTP/1.0 without a length
)

// frame decides how the body of a goes out, and whether the connection goes on.
func (c *conn) frame(a *exchange.Answer) {
	to := &c.answer
	switch {
	case c.Method == "HEAD" || a.Status == 204 || a.Status == 304 || a.Status < 200:
		to.framing = noBody // D22.10, D22.11
	case a.Body.Size >= 0:
		to.framing = byLength
	case c.Minor > 0:
		to.framing = byChunks // D17.3
	default:
		to.framing = untilClose
	}
	cfg := &c.server.cfg
	// A body of which something is left that is too much to be read and thrown away.
	to.lingers = !c.body.keeps()
	to.last = a.Close || to.lingers || !c.persists || to.framing == untilClose ||
		cfg.Draining != nil && cfg.Draining() || c.server.closing.Load() ||
		cfg.MaxRequests > 0 && c.requests >= cfg.MaxRequests
}

// appendHead appends the head of a as it was framed. What belongs to the connection is
// ours to say, whatever the answer holds.
func (c *conn) appendHead(b []byte, a *exchange.Answer) []byte {
	b = appendStatus(b, a.Status)
	b, length := appendLines(b, a.Lines)
	upgrade := false
	for i := range a.Header {
		f := &a.Header[i]
		switch owned(f.Name) {
		case ownLength:
			length = f.Value
			continue
		case ownUpgrade:
			if upgrade = a.Status == 101 || a.Status == 426; !upgrade {
				continue
			}
		case ownOther:
			continue
		}
		b = exchange.AppendLine(b, f.Name, f.Value)
	}
	b = c.appendLength(b, a, length)
	switch {
	case a.Status == 101:
		if !upgrade {
			b = exchange.AppendLine(b, "Upgrade", c.Upgrade)
		}
		b = append(b, "Connection: Upgrade\r\n"...)
	case c.answer.last && upgrade:
		b = append(b, "Connection: close, Upgrade\r\n"...)
	case c.answer.last:
		b = append(b, "Connection: close\r\n"...)
	case upgrade:
		b = append(b, "Connection: Upgrade\r\n"...) // RFC 9110 §7.8
	case c.Minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

// appendLength appends the framing field. Length is what the answer says itself; it
// counts for HEAD, which is told what a GET would get (D22.11).
func (c *conn) appendLength(b []byte, a *exchange.Answer, length string) []byte {
	switch {
	case c.answer.framing == byChunks:
		return append(b, "Transfer-Encoding: chunked\r\n"...)
	case c.answer.framing == untilClose, a.Status < 200, a.Status == 204, a.Status == 304: // D22.10
		return b
	case c.answer.framing == noBody && length != "":
		return exchange.AppendLine(b, "Content-Length", length)
	case c.answer.framing == noBody && a.Body.Size <= 0:
		return b
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, a.Body.Size, 10)
	return append(b, "\r\n"...)
}

func appendStatus(b []byte, status int) []byte {
	if status == 200 {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, reasonPhrase(status)...)
	return append(b, "\r\n"...)
}

// appendLines appends lines without those that are ours, and returns the value of
// Content-Length.
func appendLines(b, lines []byte) (out []byte, length string) {
	from := 0
	for at := 0; at < len(lines); {
		end := bytes.IndexByte(lines[at:], '\n')
		if end < 0 {
			break
		}
		end += at + 1
		if colon := bytes.IndexByte(lines[at:end], ':'); colon > 0 {
			if own := owned(view(lines[at : at+colon])); own != notOwn {
				b = append(b, lines[from:at]...)
				from = end
				if own == ownLength {
					length = view(trim(bytes.TrimSuffix(lines[at+colon+1:end], []byte("\r\n"))))
				}
			}
		}
		at = end
	}
	return append(b, lines[from:]...), length
}

// ownership says what a field is to the connection.
type ownership uint8

const (
	notOwn ownership = iota
	ownLength
	ownUpgrade
	ownOther
)

// owned sorts out the fields that are the connection's (RFC 9110 §7.6.1).
func owned(name string) ownership {
	switch len(name) {
	case len("trailer"):
		if is(name, "trailer") {
			return ownOther
		}
		if is(name, "upgrade") {
			return ownUpgrade
		}
	case len("connection"):
		if is(name, "connection") || is(name, "keep-alive") {
			return ownOther
		}
	case len("content-length"):
		if is(name, "content-length") {
			return ownLength
		}
	case len("transfer-encoding"):
		if is(name, "transfer-encoding") {
			return ownOther
		}
	}
	return notOwn
}
