// SPDX-License-Identifier: Apache-2.0

// Package forward decides what of a viewer's request goes to the origin: what is in the
// cache key, what an origin request policy adds to that, and what the kind of each
// header demands (D11.c, D15). It is pure. It promises that everything keyed is sent
// (D11.4), and that nothing that belongs to a connection, or that the edge says itself,
// ever passes. What the edge adds of its own (Via, X-Forwarded-For, the id of the
// request) it does not know.
package forward

import (
	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/computed"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Request is what a viewer sent, and what the answer to it is for.
type Request struct {
	Method string
	// Host is the Host field as sent.
	Host string
	// Query is the raw query without its question mark.
	Query string
	// Header holds all other fields, without those that concern one connection only by
	// the word of Connection (D15.8).
	Header header.Fields
	// HasBody says that a body comes with it.
	HasBody bool
	// Stored says that the answer may be stored for others (D4.3).
	Stored bool
	// Conditions and Range say that the viewer's own conditions, or the part that it asks
	// for, go to the origin. That is for answers which no other viewer gets.
	Conditions, Range bool
	// Upgrade says that the viewer would like to go on with another protocol (D24.2).
	Upgrade bool
	// Bucket says that the origin is found by its own Host (D15.7).
	Bucket bool
	// HidesEncoding says that the origin is not to hear of Accept-Encoding (D11.20).
	HidesEncoding bool
	// Viewer is whom the headers that the edge computes are about (D10).
	Viewer computed.Viewer
}

// Sent is what goes to the origin.
type Sent struct {
	// Query has no question mark; where it is empty none is sent (D11.12).
	Query string
	// Host is the viewer's; empty: the origin's own name is sent.
	Host string
	// Header holds the fields but Host, in the order in which the viewer sent them, after
	// those that are in the key.
	Header header.Fields
}

// Build returns what goes to the origin of a request whose key was built by a cache
// policy, with an origin request policy, nil for none.
func Build(key *cachekey.Policy, keyed cachekey.Forward, more *Policy, r *Request) Sent {
	if more == nil {
		more = &Policy{}
	}
	cookies, query := key.Selections()
	cookies, query = cookies.Combine(more.cookies), query.Combine(more.query)
	out := Sent{Query: query.Query(r.Query), Header: make(header.Fields, 0, len(r.Header)+len(keyed.Header)+12)}
	for _, f := range keyed.Header {
		switch k := kindOf(f.Name); {
		case header.Equal(f.Name, "Host"):
			out.Host = f.Value
		case r.may(k):
			out.Header = append(out.Header, f)
		}
	}
	if more.includes("Host") {
		out.Host = r.Host
	}
	if r.Bucket {
		out.Host = ""
	}
	for _, f := range r.Header {
		k := kindOf(f.Name)
		if r.may(k) && !computed.Is(f.Name) && !key.Keys(f.Name) && r.sends(k, f.Name, key, more) {
			out.Header = append(out.Header, f)
		}
	}
	for _, name := range more.computed {
		if value, ok := computed.Value(name, r.Viewer); ok && !key.Keys(name) {
			out.Header.Add(name, value)
		}
	}
	if keyed.HasAcceptEncoding && !r.HidesEncoding {
		out.Header.Set("Accept-Encoding", keyed.AcceptEncoding)
	}
	if cookie := cookies.Cookie(r.Header); cookie != "" {
		out.Header.Add("Cookie", cookie)
	}
	return out
}

// may says whether a header can go to an origin with this request, whatever names it.
func (r *Request) may(k kind) bool {
	switch k {
	case hop:
		return false
	case condition:
		return r.Conditions
	case part:
		return r.Range
	}
	return true
}

// sends is the column of D15.2 for policies: whether a header that may go to the origin
// and is not in the key does.
func (r *Request) sends(k kind, name string, key *cachekey.Policy, more *Policy) bool {
	switch k {
	case condition, part:
		return true
	case encoding: // D11.20, D11.21
		return !key.Normalises() && !r.HidesEncoding && more.includes(name)
	case content:
		return r.HasBody || more.includes(name)
	case credentials:
		return r.unsafe() || more.includes(name)
	case socket:
		return r.Upgrade || more.includes(name)
	}
	return more.includes(name)
}

// unsafe says whether credentials go to the origin by themselves: not where the answer
// could be somebody else's (D15.2, row Authorization).
func (r *Request) unsafe() bool {
	switch r.Method {
	case "GET", "HEAD":
		return false
	case "OPTIONS":
		return !r.Stored
	}
	return true
}

// kind is what a header is to its way to the origin.
type kind uint8

const (
	plain       kind = iota
	hop              // concerns one connection, or is the edge's to write
	condition        // RFC 9110 §13.1
	part             // a part of the object
	encoding         // Accept-Encoding
	content          // describes a body
	credentials      // Authorization
	socket           // of the WebSocket handshake
)

// kindOf sorts headers by the table of D15.2, without allocating.
func kindOf(name string) kind {
	var room [24]byte // for the longest of them
	switch string(fold(room[:0], name)) {
	case "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "content-length", "upgrade",
		"proxy-authenticate", "proxy-authorization", "proxy-connection", "expect", "cookie", "via",
		"x-forwarded-for", "x-forwarded-proto", "x-real-ip", "x-amz-cf-id", "traceparent", "tracestate":
		return hop
	case "if-match", "if-none-match", "if-modified-since", "if-unmodified-since":
		return condition
	case "range", "if-range":
		return part
	case "accept-encoding":
		return encoding
	case "content-type", "content-encoding", "content-md5", "content-language":
		return content
	case "authorization":
		return credentials
	}
	switch {
	case begins(name, "X-Edge-"):
		return hop
	case begins(name, "Sec-WebSocket-"):
		return socket
	}
	return plain
}

// fold appends a name in lower case, or nothing if it is longer than the room.
func fold(room []byte, name string) []byte {
	if len(name) > cap(room) {
		return room
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		room = append(room, c)
	}
	return room
}

func begins(name, prefix string) bool {
	return len(name) > len(prefix) && header.Equal(name[:len(prefix)], prefix)
}
