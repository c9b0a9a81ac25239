// SPDX-License-Identifier: Apache-2.0

// Package cachekey names stored responses: it builds the key of a request by a
// cache policy, and tells what goes to the origin because it is in the key (D11.a,
// D11.b). It is pure. It promises that two requests share a key only if everything
// that the policy looks at is equal, and that what goes to the origin follows from
// what is keyed. It neither decides whether a response may be stored nor chooses
// among variants below a key.
package cachekey

import (
	"encoding/binary"
	"strings"
	"unsafe"

	"github.com/seafront-cdn/seafront/pkg/cdn/computed"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Key names a stored response. Its bytes are canonical and unambiguous, but no
// text. The behavior that a request took is not in it: two behaviors whose policies
// come to the same key share the object (D11.5). Host and scheme are not in it
// unless the policy lists the header (D11.2).
//
// The layout is: distribution, method, path, query; the number of keyed headers and
// of each the name in lower case and the value; cookies; one byte for the class of
// Accept-Encoding. Each string stands behind its length. Headers bear their names
// because policies of one distribution may key different ones.
type Key string

// Parts are what a viewer sent, byte for byte, and the distribution that it asked.
type Parts struct {
	// Distribution is the id, one for all aliases (D11.1).
	Distribution string
	// Method is the request method in upper case.
	Method string
	// Path is the raw path: /%41 is not /A (D11.3).
	Path string
	// Query is the raw query without its question mark.
	Query string
	// HasQuery tells a bare question mark from none. Both count as no query, so it
	// does not change what Build returns (D11.11).
	HasQuery bool
	// Header holds all header lines.
	Header header.Fields
	// Viewer is whom the headers that the edge computes are about (D10.1).
	Viewer computed.Viewer
}

// Forward is what the origin gets because it is in the key (D11.4). What else it
// gets is decided elsewhere.
type Forward struct {
	// Query holds the keyed pieces in request order, without a question mark;
	// HasQuery is false if there are none, and no question mark is sent (D11.12).
	Query    string
	HasQuery bool
	// Cookie is the value of the Cookie header; HasCookie is false if no cookie is
	// sent.
	Cookie    string
	HasCookie bool
	// AcceptEncoding is the normalised value; HasAcceptEncoding is false if the
	// policy does not look at the header, lists it like any other (D11.19), or the
	// request has none (D11.16).
	AcceptEncoding    string
	HasAcceptEncoding bool
	// Encoding is the class that the key was built with.
	Encoding Class
	// Header holds the keyed headers that the request has, one line each, in the
	// spelling of the policy.
	Header header.Fields
}

// Build returns the key of a request and what goes to the origin with it. For a
// policy that keys no header, cookie or query the key is the only allocation.
func (p *Policy) Build(in Parts) (Key, Forward) {
	var room [256]byte
	b, f := p.Append(room[:0], in)
	return Key(b), f
}

// Append is Build into room. Strings of Forward may be parts of in.
func (p *Policy) Append(room []byte, in Parts) ([]byte, Forward) {
	var f Forward
	f.Query = p.query.queryString(in.Query)
	f.HasQuery = f.Query != ""
	f.Cookie = p.cookies.cookieString(in.Header)
	f.HasCookie = f.Cookie != ""
	f.Encoding = p.class(in.Header)
	f.AcceptEncoding, f.HasAcceptEncoding = f.Encoding.acceptEncoding()

	b := appendPart(room, in.Distribution)
	b = appendPart(b, methodPart(in.Method))
	b = appendPart(b, in.Path)
	b = appendPart(b, f.Query)
	b, f.Header = p.appendHeaders(b, in)
	b = appendPart(b, f.Cookie)
	return append(b, f.Encoding.keyByte()), f
}

// View returns the key in b without a copy. It is valid until b is written to; Own
// makes one that lasts.
func View(b []byte) Key { return Key(unsafe.String(unsafe.SliceData(b), len(b))) }

// Own returns a key that shares no bytes with b of View.
func (k Key) Own() Key { return Key(strings.Clone(string(k))) }

// SetEncoding puts another class of Accept-Encoding into the key in b, which Append has made.
func SetEncoding(b []byte, c Class) {
	if len(b) > 0 {
		b[len(b)-1] = c.keyByte()
	}
}

// WithEncoding returns the key of the same request in another class of
// Accept-Encoding.
func (k Key) WithEncoding(c Class) Key {
	if k == "" || k[len(k)-1] == c.keyByte() {
		return k
	}
	b := append(make([]byte, 0, len(k)), k...)
	b[len(b)-1] = c.keyByte()
	return Key(b)
}

// appendPart appends s behind its length, so that no two lists of parts look alike.
func appendPart(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// methodPart lets GET and HEAD share an object and keeps OPTIONS apart (D11.1).
// Answers to other methods are never stored; a part of their own makes sure that
// none could be taken for the answer to a GET.
func methodPart(method string) string {
	if method == "GET" || method == "HEAD" {
		return ""
	}
	return method
}

// appendHeaders appends the keyed headers that the request has and returns them as
// the origin gets them. Several lines of a name are one value; an absent header
// has no part, an empty one has an empty part (D11.7).
func (p *Policy) appendHeaders(b []byte, in Parts) ([]byte, header.Fields) {
	if len(p.headers) == 0 {
		return append(b, 0), nil
	}
	var out header.Fields
	for i, h := range p.headers {
		value, ok := h.value(in)
		if !ok {
			continue
		}
		if out == nil {
			out = make(header.Fields, 0, len(p.headers)-i)
		}
		out.Add(h.name, value)
	}
	b = binary.AppendUvarint(b, uint64(len(out)))
	next := 0 // out is a subsequence of p.headers
	for _, h := range p.headers {
		if next < len(out) && out[next].Name == h.name {
			b = appendPart(b, h.folded)
			b = appendPart(b, out[next].Value)
			next++
		}
	}
	return b, out
}

// Parts returns the distribution, the raw path and the keyed query in a key of Build,
// and anything that is appended to one; false for other bytes. It does not allocate.
func (k Key) Parts() (distribution, path, query string, ok bool) {
	rest := string(k)
	var method string
	for _, part := range [...]*string{&distribution, &method, &path, &query} {
		n, size := uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return "", "", "", false
		}
		*part, rest = rest[size:size+int(n)], rest[size+int(n):]
	}
	return distribution, path, query, true
}

// uvarint is binary.Uvarint for a string.
func uvarint(s string) (value uint64, size int) {
	for i := range min(len(s), binary.MaxVarintLen64) {
		value |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}
