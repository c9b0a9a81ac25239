// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"strconv"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// resolve makes the origin form of a target (RFC 9112 §3.2). An absolute one loses its
// authority to Host, which it replaces (RFC 9112 §3.2.2).
func resolve(target []byte, m *message) exchange.Reason {
	switch {
	case m.Method == "CONNECT":
		// authority-form. The handler refuses it (D4.1), and what follows is nobody's.
		if !isAuthority(target, true) {
			return exchange.BadTarget
		}
		m.Target = view(target)
	case target[0] == '/':
		m.Target = view(target)
	case len(target) == 1 && target[0] == '*':
		if m.Method != "OPTIONS" {
			return exchange.BadTarget // RFC 9112 §3.2.4
		}
		m.Target = "*"
	default:
		return absolute(target, m)
	}
	if m.Host == "" && m.Minor > 0 {
		return exchange.BadHost
	}
	return 0
}

// absolute reads an absolute form with the schemes that an edge serves.
func absolute(target []byte, m *message) exchange.Reason {
	i := bytes.Index(target, []byte("://"))
	if i < 0 || !is(target[:i], "http") && !is(target[:i], "https") {
		return exchange.BadTarget
	}
	rest := target[i+len("://"):]
	authority, path := rest, []byte(nil)
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	// An authority with a user is for phishing (RFC 9110 §4.2.4); isAuthority knows none.
	if !isAuthority(authority, false) {
		return exchange.BadTarget
	}
	m.Host = view(authority)
	switch {
	case len(path) == 0 && m.Method == "OPTIONS":
		m.Target = "*" // RFC 9112 §3.2.4
	case len(path) == 0:
		m.Target = "/"
	case path[0] == '?':
		m.Target = "/" + string(path)
	default:
		m.Target = view(path)
	}
	return 0
}

// isAuthority says whether b is a host with an optional port, or with a port if that
// is required (RFC 3986 §3.2).
func isAuthority(b []byte, port bool) bool {
	host, tail := b, []byte(nil)
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || !isLiteral(b[1:end]) {
			return false
		}
		host, tail = nil, b[end+1:]
	} else if i := bytes.IndexByte(b, ':'); i >= 0 {
		host, tail = b[:i], b[i:]
		if i == 0 {
			return false
		}
	} else if len(b) == 0 {
		return false
	}
	for _, c := range host {
		if !in(c, nameLow, nameHigh) {
			return false
		}
	}
	if len(tail) == 0 {
		return !port
	}
	return tail[0] == ':' && isPort(tail[1:], port)
}

// isPort says whether b is the number of a port, or nothing unless it is required.
func isPort(b []byte, required bool) bool {
	if len(b) == 0 {
		return !required
	}
	if !allDigits(b) || len(b) > 5 {
		return false
	}
	n, err := strconv.Atoi(view(b))
	return err == nil && n <= 65535
}

// isLiteral says whether b may stand in brackets: an IPv6 address, looked at as far as
// nobody can take it for something else.
func isLiteral(b []byte) bool {
	colon := false
	for _, c := range b {
		switch {
		case c == ':':
			colon = true
		case isDigit(c), c == '.', 'a' <= c|0x20 && c|0x20 <= 'f':
		default:
			return false
		}
	}
	return colon
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}
