// SPDX-License-Identifier: Apache-2.0

// Package cachekey builds the name of a stored response from a request and a cache
// policy, and with it the values that the origin gets because they are in the key
// (D11.4). It is pure.
package cachekey

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Key names a stored response. Its bytes are canonical: equal keys mean that
// everything that the policy looks at is equal.
type Key string

// Mode is how the names of a Selection are read.
type Mode uint8

// The modes.
const (
	_ Mode = iota
	None
	Listed
	AllExcept
	All
)

var modeWords = [...]string{"unknown", "none", "listed", "all-except", "all"}

func (m Mode) String() string {
	if int(m) >= len(modeWords) {
		return modeWords[0]
	}
	return modeWords[m]
}

// Selection is a choice of cookies or query parts by name. Names are case-sensitive
// and literal: * is an ordinary character (D11.6).
type Selection struct {
	Mode  Mode
	Names []string
}

func (s *Selection) takes(name string) bool {
	switch s.Mode {
	case All:
		return true
	case Listed:
		return slices.Contains(s.Names, name)
	case AllExcept:
		return !slices.Contains(s.Names, name)
	}
	return false
}

// Policy says which parts of a request are in the key. It is immutable; make it
// with NewPolicy.
type Policy struct {
	headers      []string
	cookies      Selection
	query        Selection
	gzip, brotli bool
}

// NewPolicy copies its arguments. Names that begin with "CloudFront-" stand for
// values that the edge computes; what a viewer sends under such a name is never
// keyed or forwarded.
func NewPolicy(headers []string, cookies, query Selection, gzip, brotli bool) Policy {
	p := Policy{cookies: cookies, query: query, gzip: gzip, brotli: brotli}
	p.cookies.Names, p.query.Names = slices.Clone(cookies.Names), slices.Clone(query.Names)
	for _, h := range headers {
		if !computed(h) {
			p.headers = append(p.headers, h)
		}
	}
	// The order in which a request sends headers does not matter (D11.7); nor does
	// the order in which a policy lists them.
	slices.SortFunc(p.headers, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return p
}

func computed(name string) bool {
	const prefix = "cloudfront-"
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// Parts are what a request brings, byte for byte.
type Parts struct {
	Distribution string // id
	Method       string
	Path         string // raw
	Query        string // raw, without "?"
	Header       header.Fields
}

// Forward is what the origin gets because it is in the key.
type Forward struct {
	Query  string // without "?"; empty means none (D11.12)
	Cookie string // empty means none
	// Header holds the keyed headers that the request has, Accept-Encoding in its
	// normalised form included.
	Header header.Fields
	// Class is the normalised Accept-Encoding that Key was made for.
	Class Class
}

// Build returns the key of a request and what goes to the origin with it. GET and
// HEAD share a key (D11.1).
func (p *Policy) Build(in Parts) (Key, Forward) {
	f := Forward{Query: p.query.pick(in.Query, "&")}
	b := make([]byte, 0, 64+len(in.Path)+len(f.Query))
	b = part(b, in.Distribution)
	b = part(b, methodPart(in.Method))
	b = part(b, in.Path)
	b = part(b, f.Query)
	for _, name := range p.headers {
		v, ok := in.Header.Joined(name, ",")
		if !ok {
			b = append(b, absent)
			continue
		}
		b = append(b, present)
		b = part(b, v)
		f.Header.Add(name, v)
	}
	if p.cookies.Mode > None {
		f.Cookie = p.cookies.pickCookies(in.Header)
		b = part(b, f.Cookie)
	}
	f.Class = p.encode(in.Header, &f.Header)
	return Key(append(b, byte(f.Class))), f
}

// An absent header is not an empty one (D11.7).
const (
	absent  = 0
	present = 1
)

// part appends s behind its length, so that no two lists of parts look alike.
func part(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// methodPart keeps answers to OPTIONS apart (D11.1).
func methodPart(method string) string {
	if method == "OPTIONS" {
		return method
	}
	return ""
}

// pick keeps the pieces of a raw query that the selection takes, in the order of
// the request and byte for byte (D11.9–D11.11).
func (s *Selection) pick(query, sep string) string {
	if query == "" || s.Mode <= None {
		return ""
	}
	if s.Mode == All {
		return query
	}
	var kept []string
	for piece := range strings.SplitSeq(query, sep) {
		name, _, _ := strings.Cut(piece, "=")
		if s.takes(name) {
			kept = append(kept, piece)
		}
	}
	return strings.Join(kept, sep)
}

// pickCookies keeps the cookies that the selection takes, sorted by name, ties in
// the order of the request (D11.13). Pieces that are no name–value pair and names
// that begin with $ are dropped (D11.14).
func (s *Selection) pickCookies(h header.Fields) string {
	type cookie struct{ name, pair string }
	var kept []cookie
	for i := range h {
		if !header.Equal(h[i].Name, "Cookie") {
			continue
		}
		for piece := range strings.SplitSeq(h[i].Value, ";") {
			pair := strings.Trim(piece, " \t")
			name, _, ok := strings.Cut(pair, "=")
			if ok && name != "" && name[0] != '$' && s.takes(name) {
				kept = append(kept, cookie{name, pair})
			}
		}
	}
	slices.SortStableFunc(kept, func(a, b cookie) int { return strings.Compare(a.name, b.name) })
	pairs := make([]string, len(kept))
	for i, c := range kept {
		pairs[i] = c.pair
	}
	return strings.Join(pairs, "; ")
}
