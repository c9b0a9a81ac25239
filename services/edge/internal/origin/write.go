// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// appendHead appends the request as it is written. It refuses whatever would let a
// viewer's bytes end a line or add a field.
func (r *Request) appendHead(b []byte) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	begin := len(b)
	b = r.appendHost(b)
	if host := b[begin:]; bytes.ContainsFunc(host, breaksHost) {
		return nil, fault(BadRequest, "host %q is not a host", host)
	}
	if r.Upgrade != "" {
		b = append(b, "\r\nConnection: Upgrade\r\nUpgrade: "...) // D24.2
		b = append(b, r.Upgrade...)
		b = append(b, "\r\n"...)
	} else {
		b = append(b, "\r\nConnection: Keep-Alive\r\n"...) // D15.2
	}
	b = r.appendFraming(b)
	options := connectionOptions(r.Header)
	for i := range r.Header {
		name, value := r.Header[i].Name, r.Header[i].Value
		if ownField(name) || hopByHop(name, options) || r.custom(name) {
			continue
		}
		var err error
		if b, err = appendField(b, name, value); err != nil {
			return nil, err
		}
	}
	for _, h := range r.Origin.Headers {
		value := h.Value.Reveal()
		if value == "" && header.Equal(h.Name, "Accept-Encoding") { // D11.20
			continue
		}
		var err error
		if b, err = appendField(b, h.Name, value); err != nil {
			return nil, err
		}
	}
	return append(b, "\r\n"...), nil
}

// check refuses what cannot be asked of an origin.
func (r *Request) check() error {
	// An answer to CONNECT is a tunnel to wherever the target says.
	if !isToken(r.Method) || r.Method == "CONNECT" {
		return fault(BadRequest, "method %q cannot be sent", r.Method)
	}
	// The bytes of D4.12 cannot stand in a request line; others are sent as they are.
	if r.Target == "" || r.Target[0] != '/' || breaksTarget(r.Target) {
		return fault(BadRequest, "target %q is not a path", r.Target)
	}
	switch {
	case r.Method == "TRACE" && r.hasBody(): // RFC 9110 §9.3.8
		return fault(BadRequest, "TRACE with a body")
	case r.Upgrade == "":
	case !isFieldValue(r.Upgrade) || names(r.Upgrade, "h2c"):
		return fault(BadRequest, "upgrade to %q", r.Upgrade)
	case r.hasBody():
		return fault(BadRequest, "upgrade with a body")
	}
	return nil
}

// appendFraming appends the field that tells how the body ends, which the origin is
// told anew (RFC 9112 §6).
func (r *Request) appendFraming(b []byte) []byte {
	switch {
	case r.hasBody() && r.Length > 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		return append(b, "\r\n"...)
	case r.hasBody():
		return append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH":
		// A body is expected with these, so its absence is told (RFC 9110 §8.6).
		return append(b, "Content-Length: 0\r\n"...)
	}
	return b
}

// custom says whether the origin has a header of its own of that name, which is sent
// instead (C5.23, D15.6).
func (r *Request) custom(name string) bool {
	for i := range r.Origin.Headers {
		if header.Equal(r.Origin.Headers[i].Name, name) {
			return true
		}
	}
	return false
}

// appendField appends a line. The error does not hold the value, which may be secret.
func appendField(b []byte, name, value string) ([]byte, error) {
	if !isToken(name) || !isFieldValue(value) {
		return nil, fault(BadRequest, "field %q cannot be sent", name)
	}
	b = appendCanonical(b, name) // D15.9
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...), nil
}

// appendCanonical appends a name with a capital at the beginning and after each
// hyphen, and no other.
func appendCanonical(b []byte, name string) []byte {
	first := true
	for i := range len(name) {
		c := name[i]
		switch {
		case first && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case !first && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b = append(b, c)
		first = c == '-'
	}
	return b
}

// ownField names what the Client writes itself, and what has no meaning beyond the
// edge (D4.10).
func ownField(name string) bool {
	return header.Equal(name, "Host") || header.Equal(name, "Content-Length") || header.Equal(name, "Expect")
}

func breaksTarget(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || c == '#' {
			return true
		}
	}
	return false
}

func breaksHost(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`/\?#@,"<>{}|^`+"`", c)
}
