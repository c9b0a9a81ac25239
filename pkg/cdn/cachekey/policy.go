// SPDX-License-Identifier: Apache-2.0

package cachekey

import (
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/computed"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Mode says how the names of a Selection are meant.
type Mode uint8

// The modes. The zero value is unknown and selects nothing, like None.
const (
	_         Mode = iota
	None           // nothing
	Listed         // what is named
	AllExcept      // all but what is named
	All            // everything; names are ignored
)

// String returns the word for logs.
func (m Mode) String() string {
	switch m {
	case None:
		return "none"
	case Listed:
		return "listed"
	case AllExcept:
		return "all-except"
	case All:
		return "all"
	}
	return "unknown"
}

// Selection chooses cookies or query pieces by name. Names are compared byte for
// byte (D11.9, D11.13), and * is an ordinary character in them (D11.6).
type Selection struct {
	Mode  Mode
	Names []string
}

// prepared returns a copy that shares nothing with the caller and is sorted for
// includes.
func (s Selection) prepared() Selection {
	names := slices.Clone(s.Names)
	slices.Sort(names)
	return Selection{Mode: s.Mode, Names: slices.Compact(names)}
}

// nothing says whether the selection can include no name.
func (s *Selection) nothing() bool {
	return s.Mode != All && s.Mode != AllExcept && s.Mode != Listed
}

// includes says whether a name is chosen. The selection is prepared.
func (s *Selection) includes(name string) bool {
	switch s.Mode {
	case All:
		return true
	case Listed, AllExcept:
		_, named := slices.BinarySearch(s.Names, name)
		return named == (s.Mode == Listed)
	}
	return false
}

// Policy tells which parts of a request are in the key. It is immutable and may be
// copied. The zero value keys nothing beyond distribution, method and path.
type Policy struct {
	headers        []keyedHeader // sorted by folded, each once
	cookies, query Selection     // prepared
	gzip, brotli   bool
}

type keyedHeader struct {
	name     string // as configured
	folded   string // lower case, as in keys
	computed bool   // by the edge
}

// value is what a request has of the header. What a viewer sends under a name that the
// edge computes is forged, and counts for nothing (D10.1).
func (h *keyedHeader) value(in Parts) (string, bool) {
	if h.computed {
		return computed.Value(h.name, in.Viewer)
	}
	return in.Header.Joined(h.name, ",")
}

// NewPolicy prepares a policy and keeps none of the slices. Their order makes no
// difference, nor does the order in which requests send headers (D11.7).
//
// gzip and brotli enable the normalised Accept-Encoding of D11.16, unless headers
// lists Accept-Encoding: then it is a header like any other (D11.19).
func NewPolicy(headers []string, cookies, query Selection, gzip, brotli bool) Policy {
	p := Policy{cookies: cookies.prepared(), query: query.prepared(), gzip: gzip, brotli: brotli}
	for _, name := range headers {
		if header.Equal(name, "Accept-Encoding") {
			p.gzip, p.brotli = false, false
		}
		p.headers = append(p.headers, keyedHeader{name, strings.ToLower(name), computed.Is(name)})
	}
	slices.SortStableFunc(p.headers, func(a, b keyedHeader) int { return strings.Compare(a.folded, b.folded) })
	p.headers = slices.CompactFunc(p.headers, func(a, b keyedHeader) bool { return a.folded == b.folded })
	return p
}

// Tells says whether keys tell requests apart by all that the origin gets of the field, in
// any case: it is a keyed header, or the normalised Accept-Encoding (D11.16).
func (p *Policy) Tells(field string) bool {
	if header.Equal(field, "Accept-Encoding") && (p.gzip || p.brotli) {
		return true
	}
	return slices.ContainsFunc(p.headers, func(h keyedHeader) bool { return header.Equal(h.name, field) })
}
