// SPDX-License-Identifier: Apache-2.0

package cachekey

import (
	"slices"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Prepare returns a selection that can be asked, and that shares nothing with the
// caller.
func (s Selection) Prepare() Selection { return s.prepared() }

// Nothing says whether the selection includes no name at all.
func (s *Selection) Nothing() bool {
	return s.nothing() || s.Mode == Listed && len(s.Names) == 0
}

// Query returns the pieces of a raw query that a prepared selection includes, in request
// order (D11.9, D11.12).
func (s *Selection) Query(query string) string { return s.queryString(query) }

// Cookie returns the cookies that a prepared selection includes, as the value of one
// Cookie header (D11.13).
func (s *Selection) Cookie(in header.Fields) string { return s.cookieString(in) }

// Combine returns what goes to the origin when a cache policy selects s and an origin
// request policy more: all of either, by the table of D11.23, but what one of two lists
// of exceptions names stays out (D11.24). Both are prepared, and so is the result.
func (s Selection) Combine(more Selection) Selection {
	switch {
	case more.Nothing() || s.Mode == All:
		return s
	case s.Nothing() || more.Mode == All:
		return more
	case s.Mode == Listed && more.Mode == Listed, s.Mode == AllExcept && more.Mode == AllExcept:
		return Selection{Mode: s.Mode, Names: slices.Concat(s.Names, more.Names)}.prepared()
	case s.Mode == AllExcept:
		return Selection{Mode: AllExcept, Names: without(s.Names, &more)}
	default:
		return Selection{Mode: AllExcept, Names: without(more.Names, &s)}
	}
}

// without returns the names that listed does not include.
func without(names []string, listed *Selection) []string {
	return slices.DeleteFunc(slices.Clone(names), listed.includes)
}

// Selections are the cookies and query pieces that the policy keys, prepared.
func (p *Policy) Selections() (cookies, query Selection) { return p.cookies, p.query }

// Normalises says whether the policy keys Accept-Encoding in its normal form (D11.16).
func (p *Policy) Normalises() bool { return p.gzip || p.brotli }

// Keys says whether the policy lists a header.
func (p *Policy) Keys(name string) bool {
	return slices.ContainsFunc(p.headers, func(h keyedHeader) bool { return header.Equal(h.name, name) })
}
