// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// limits bound what a request may be.
type limits struct {
	head, url, fields int
	body              int64
	scheme            string // of URLs
}

// message is the head of a request: what the handler sees, and how the bytes after it
// are framed, decided once.
type message struct {
	exchange.Request
	// length is that of the body; chunkedLength if its chunks tell.
	length int64
	// persists says that the viewer expects the connection to go on.
	persists bool
	// expects says that the viewer waits for 100 Continue.
	expects bool
}

// chunkedLength is the length of a body in chunks.
const chunkedLength = -1

// emptyLines is how many empty lines before a request are passed over (RFC 9112 §2.2).
const emptyLines = 2

// lineRest is the length of a request line but for method and target.
const lineRest = len("  HTTP/1.1\r\n")

// leading returns the length of the empty lines at the beginning of b, and whether
// there are too many. A single CR at the end may be half of one.
func leading(b []byte) (n int, why exchange.Reason) {
	for len(b)-n >= 2 && b[n] == '\r' && b[n+1] == '\n' {
		if n += 2; n > 2*emptyLines {
			return n, exchange.BadLine
		}
	}
	return n, 0
}

// headEnd returns where the head in b ends, after its empty line, or 0 if that has not
// come. The first seen bytes are known not to contain the end.
func headEnd(b []byte, seen int) int {
	from := max(seen-3, 0)
	if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	return 0
}

// flaw says what is wrong with a head that is not complete, so that nobody waits for
// the rest of what can never be right. The first seen bytes have been looked at.
func flaw(b []byte, seen int, lim limits) exchange.Reason {
	for i := max(seen-1, 0); i < len(b); i++ {
		switch c := b[i]; {
		case c == '\n' && (i == 0 || b[i-1] != '\r'), c != '\n' && i > 0 && b[i-1] == '\r':
			return exchange.BadLineEnd
		case c < ' ' && c != '\t' && c != '\r' && c != '\n', c == 0x7f:
			return exchange.ControlByte
		}
	}
	line := bytes.IndexByte(b, '\n')
	if line < 0 {
		space := bytes.IndexByte(b, ' ')
		if space > 0 && len(b)-space > lim.url+lineRest {
			return exchange.URLTooLong
		}
	}
	if len(b) > lim.head {
		return exchange.HeadTooLarge
	}
	return 0
}

// parse reads a whole head, which ends with its empty line, into m. Strings of m are
// views of b; m's header slice is used again. It is the only place where a request
// becomes one: what it does not like is refused, never mended.
func parse(b []byte, lim limits, m *message) exchange.Reason {
	h := m.Header[:0]
	*m = message{}
	m.Header = h
	if len(b)-len("\r\n") > lim.head {
		return exchange.HeadTooLarge
	}
	line, rest, why := cutLine(b)
	if why != 0 {
		return why
	}
	target, why := requestLine(line, m)
	if why != 0 {
		return why
	}
	var f framing
	for {
		if line, rest, why = cutLine(rest); why != 0 {
			return why
		}
		if len(line) == 0 {
			break
		}
		if why := fieldLine(line, m, &f); why != 0 {
			return why
		}
		if len(m.Header) > lim.fields {
			return exchange.HeadTooLarge
		}
	}
	if why := f.host(m); why != 0 {
		return why
	}
	if why := resolve(target, m); why != 0 {
		return why
	}
	if len(lim.scheme)+len("://")+len(m.Host)+len(m.Target) > lim.url {
		return exchange.URLTooLong
	}
	return f.decide(m, lim)
}

// cutLine takes a line off b. Lines end with CRLF and nothing else (RFC 9112 §2.2).
func cutLine(b []byte) (line, rest []byte, why exchange.Reason) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil, exchange.BadLineEnd
	}
	return b[:i-1], b[i+1:], 0
}

// requestLine reads method and version, and returns the target as it was sent
// (RFC 9112 §3).
func requestLine(line []byte, m *message) (target []byte, why exchange.Reason) {
	space := bytes.IndexByte(line, ' ')
	if space < 1 {
		return nil, exchange.BadLine
	}
	if !isToken(line[:space]) {
		return nil, exchange.BadMethod
	}
	m.Method = view(line[:space])
	rest := line[space+1:]
	if space = bytes.IndexByte(rest, ' '); space < 1 {
		return nil, exchange.BadLine // among them HTTP/0.9
	}
	target = rest[:space]
	// D4.12: no control byte, no fragment; the space has ended it.
	if hasControl(target) || bytes.IndexByte(target, '\t') >= 0 || bytes.IndexByte(target, '#') >= 0 {
		return nil, exchange.BadTarget
	}
	m.Target = view(target) // for the log, until it is resolved
	return target, version(rest[space+1:], m)
}

// version reads the version. Minor versions above ours are ours (RFC 9110 §2.5).
func version(b []byte, m *message) exchange.Reason {
	if len(b) != len("HTTP/1.1") || string(b[:5]) != "HTTP/" || !isDigit(b[5]) || b[6] != '.' || !isDigit(b[7]) {
		return exchange.BadVersion
	}
	if b[5] != '1' {
		return exchange.UnknownVersion // among them the preface of HTTP/2
	}
	m.Major, m.Minor = 1, min(int(b[7]-'0'), 1)
	return 0
}

// fieldLine reads one field (RFC 9112 §5).
func fieldLine(line []byte, m *message, f *framing) exchange.Reason {
	if line[0] == ' ' || line[0] == '\t' {
		return exchange.Folded // RFC 9112 §5.2
	}
	colon := 0
	for colon < len(line) && in(line[colon], tokenLow, tokenHigh) {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return exchange.BadFieldName // RFC 9112 §5.1: no whitespace before the colon
	}
	name, value := line[:colon], trim(line[colon+1:])
	if hasControl(value) {
		return exchange.ControlByte // among them a CR on its own
	}
	if is(name, "host") {
		f.hosts++
		f.authority = value
		return 0
	}
	if why := f.note(name, &value); why != 0 {
		return why
	}
	m.Header = append(m.Header, header.Field{Name: view(name), Value: view(value)})
	return 0
}
