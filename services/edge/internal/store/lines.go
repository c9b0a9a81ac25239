// SPDX-License-Identifier: Apache-2.0

package store

import (
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// head is the header of an object as adapters send it, made once: first the fields
// that a 304 has, then the others, Content-Length last. So each kind of answer begins
// with a part of the same bytes.
type head struct {
	lines []byte
	// brief is how much of lines a 304 has, described how much an answer with a
	// Content-Length of its own.
	brief, described int
	// SetsCookie says that Set-Cookie is among the fields (D17.6).
	SetsCookie bool
}

// Prepare makes of the header what answers begin with. brief says which fields a 304
// has. It is called before the object is stored, and whenever Header was changed.
func (o *Object) Prepare(brief func(header.Fields) header.Fields) {
	var h head
	first := brief(o.Header)
	h.lines = exchange.AppendLines(make([]byte, 0, 512), first)
	h.brief = len(h.lines)
	length := ""
	next := 0 // first is a subsequence of Header
	for _, f := range o.Header {
		switch {
		case next < len(first) && first[next] == f:
			next++
		case header.Equal(f.Name, "Content-Length"):
			length = f.Value
		default:
			h.lines = exchange.AppendLine(h.lines, f.Name, f.Value)
		}
		h.SetsCookie = h.SetsCookie || header.Equal(f.Name, "Set-Cookie")
	}
	h.described = len(h.lines)
	if length != "" {
		h.lines = exchange.AppendLine(h.lines, "Content-Length", length)
	}
	o.head = h
}

// Lines returns the header of an answer with that status in the form of exchange: of a
// 304 what belongs there, of a 206 everything but Content-Length, else everything. It is
// shared: never written to.
func (o *Object) Lines(status int) []byte {
	switch status {
	case 304:
		return o.lines[:o.brief:o.brief]
	case 206:
		return o.lines[:o.described:o.described]
	default:
		return o.lines[:len(o.lines):len(o.lines)]
	}
}
