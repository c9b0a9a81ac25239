// SPDX-License-Identifier: Apache-2.0

package cachekey

import (
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// queryString returns the pieces of a raw query that the selection includes, in
// request order, duplicates too (D11.9–D11.12). Only & ends a piece, and only its
// first = ends a name; nothing is decoded. A query that is kept whole costs no
// allocation.
func (s *Selection) queryString(query string) string {
	if query == "" || s.nothing() {
		return ""
	}
	if s.includesAll(query) {
		return query
	}
	var out strings.Builder
	kept := 0
	for piece := range strings.SplitSeq(query, "&") {
		if !s.includes(pieceName(piece)) {
			continue
		}
		if kept > 0 {
			out.WriteByte('&')
		}
		kept++
		out.WriteString(piece)
	}
	return out.String()
}

// includesAll says whether the selection includes every piece of a query.
func (s *Selection) includesAll(query string) bool {
	if s.Mode == All {
		return true
	}
	for piece := range strings.SplitSeq(query, "&") {
		if !s.includes(pieceName(piece)) {
			return false
		}
	}
	return true
}

func pieceName(piece string) string {
	name, _, _ := strings.Cut(piece, "=")
	return name
}

// cookie is one name–value pair.
type cookie struct {
	name string
	pair string // name=value
}

// cookieString returns the cookies that the selection includes as the value of one
// Cookie header: sorted by name, cookies of one name in request order (D11.13).
func (s *Selection) cookieString(in header.Fields) string {
	if s.nothing() {
		return ""
	}
	var room [16]cookie
	kept := room[:0]
	for i := range in {
		if !header.Equal(in[i].Name, "Cookie") {
			continue
		}
		for piece := range strings.SplitSeq(in[i].Value, ";") {
			if c, ok := parseCookie(piece); ok && s.includes(c.name) {
				kept = append(kept, c)
			}
		}
	}
	if len(kept) == 0 {
		return ""
	}
	slices.SortStableFunc(kept, func(a, b cookie) int { return strings.Compare(a.name, b.name) })
	var out strings.Builder
	for i, c := range kept {
		if i > 0 {
			out.WriteString("; ")
		}
		out.WriteString(c.pair)
	}
	return out.String()
}

// parseCookie reads one piece of a Cookie header (RFC 6265 §4.1.1). False means
// that it is no name–value pair, or that its name begins with $: those are
// attributes of the long dead RFC 2965, which do not reach an origin (D11.14).
// Names with characters beyond the RFC's token are taken: frameworks set such.
func parseCookie(piece string) (cookie, bool) {
	pair := strings.Trim(piece, " \t")
	name, _, ok := strings.Cut(pair, "=")
	if !ok || name == "" || name[0] == '$' {
		return cookie{}, false
	}
	return cookie{name, pair}, true
}
