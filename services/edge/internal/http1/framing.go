// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"strconv"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// framing collects the fields that say where a request ends and whether another may
// follow, and decides (RFC 9112 §6.3).
type framing struct {
	hosts, lengths, codings, upgrades int
	authority                         []byte // the value of Host

	length          int64
	chunked         bool // the only coding is chunked
	coded           bool // another coding comes before chunked
	close, keep, up bool // options of Connection
	upgrade         []byte
	continues       bool // Expect says 100-continue
	expects         bool // Expect says something else
}

// note remembers a field. It may shorten the value.
func (f *framing) note(name []byte, value *[]byte) exchange.Reason {
	switch len(name) {
	case len("expect"):
		if is(name, "expect") {
			known := is(*value, "100-continue")
			f.continues, f.expects = f.continues || known, f.expects || !known
		}
	case len("upgrade"):
		if is(name, "upgrade") {
			f.upgrades++
			f.upgrade = *value
		}
	case len("connection"):
		if is(name, "connection") {
			f.options(*value)
		}
	case len("content-length"):
		if is(name, "content-length") {
			return f.announce(value)
		}
	case len("transfer-encoding"):
		if is(name, "transfer-encoding") {
			f.codings++
			return f.coding(*value)
		}
	}
	return 0
}

// announce reads a Content-Length: one number of digits (RFC 9110 §8.6). A second one
// is refused even if it says the same (D4.11): whoever gets it next may disagree.
// Zeros before the number are dropped, since some read it as octal then.
func (f *framing) announce(value *[]byte) exchange.Reason {
	b := *value
	if f.lengths++; f.lengths > 1 || !allDigits(b) {
		return exchange.BadLength
	}
	for len(b) > 1 && b[0] == '0' {
		b = b[1:]
	}
	n, err := strconv.ParseInt(view(b), 10, 64)
	if err != nil {
		return exchange.BadLength
	}
	f.length, *value = n, b
	return 0
}

// coding reads a Transfer-Encoding. Chunked is the only one that is known; a list of
// others with chunked at its end has a framing that could be read, all else has none.
func (f *framing) coding(value []byte) exchange.Reason {
	if is(value, "chunked") {
		f.chunked = true
		return 0
	}
	last := bytes.LastIndexByte(value, ',')
	if last < 0 || !is(trim(value[last+1:]), "chunked") {
		return exchange.BadCoding
	}
	for before := value[:last]; ; {
		one, rest, more := bytes.Cut(before, []byte(","))
		if one = trim(one); len(one) == 0 || is(one, "chunked") {
			return exchange.BadCoding
		}
		if before = rest; !more {
			f.coded = true
			return 0
		}
	}
}

// options reads a list of connection options (RFC 9110 §7.6.1).
func (f *framing) options(value []byte) {
	for more := true; more; {
		var option []byte
		option, value, more = bytes.Cut(value, []byte(","))
		option = trim(option)
		switch len(option) {
		case len("close"):
			f.close = f.close || is(option, "close")
		case len("upgrade"):
			f.up = f.up || is(option, "upgrade")
		case len("keep-alive"):
			f.keep = f.keep || is(option, "keep-alive")
		}
	}
}

// host checks the Host field (RFC 9112 §3.2). An empty one is for targets that bring
// an authority.
func (f *framing) host(m *message) exchange.Reason {
	if f.hosts > 1 || f.hosts == 0 && m.Minor > 0 {
		return exchange.BadHost
	}
	if len(f.authority) > 0 && !isAuthority(f.authority, false) {
		return exchange.BadHost
	}
	m.Host = view(f.authority)
	return 0
}

// decide says how the body is framed and whether the connection goes on.
func (f *framing) decide(m *message, lim limits) exchange.Reason {
	switch {
	case f.codings > 0 && f.lengths > 0:
		return exchange.LengthAndCoding // D4.11, RFC 9112 §6.3
	case f.codings > 1, f.codings > 0 && m.Minor == 0:
		return exchange.BadCoding // RFC 9112 §6.1: HTTP/1.0 has none
	case f.coded:
		return exchange.UnknownCoding
	case f.length > lim.body:
		return exchange.BodyTooLarge
	case f.expects:
		return exchange.UnknownExpectation
	}
	m.length = f.length
	if f.chunked {
		m.length = chunkedLength
	}
	m.HasBody = m.length != 0
	m.Length = m.length
	// HTTP/1.0 does not know 100 Continue (RFC 9110 §10.1.1).
	m.expects = f.continues && m.HasBody && m.Minor > 0
	if m.Minor > 0 {
		m.persists = !f.close
	} else {
		m.persists = f.keep && !f.close // RFC 9112 §9.3
	}
	if m.Method == "CONNECT" {
		m.persists = false
	}
	// HTTP/1.0 cannot upgrade (RFC 9110 §7.8). Whoever sends a body as well is answered
	// without: the new protocol would begin in the middle of something.
	if f.up && f.upgrades == 1 && m.Minor > 0 && !m.HasBody {
		m.Upgrade = view(f.upgrade)
	}
	return 0
}
