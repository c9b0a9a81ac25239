// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// ContentRange is what a Content-Range field says.
type ContentRange struct {
	// Range is what the answer holds; the zero Range in an answer of 416.
	Range Range
	// Size is the size of the representation, or -1 if it is not told.
	Size int64
}

// ParseContentRange reads a Content-Range field of bytes (RFC 9110 §14.4). One that
// contradicts itself, or goes beyond MaxSize, is none.
func ParseContentRange(value string) (ContentRange, bool) {
	name, rest, found := strings.Cut(value, " ")
	if !found || !strings.EqualFold(name, unit) {
		return ContentRange{}, false
	}
	span, length, found := strings.Cut(rest, "/")
	if !found {
		return ContentRange{}, false
	}
	c := ContentRange{Size: -1}
	if length != "*" {
		var ok bool
		if c.Size, ok = exactPosition(length); !ok {
			return ContentRange{}, false
		}
	}
	if span == "*" {
		return ContentRange{Size: max(c.Size, 0)}, c.Size >= 0
	}
	from, to, _ := strings.Cut(span, "-")
	first, ok := exactPosition(from)
	last, also := exactPosition(to)
	if !ok || !also || last < first || c.Size >= 0 && last >= c.Size {
		return ContentRange{}, false
	}
	c.Range = Range{first, last - first + 1}
	return c, true
}

// exactPosition is parsePosition for what has to be exact.
func exactPosition(s string) (int64, bool) {
	n, ok := parsePosition(s)
	return n, ok && n <= MaxSize
}

// AppendContentRange appends the value of Content-Range for a part of a representation of
// size bytes; -1 for a size that is not known.
func AppendContentRange(b []byte, r Range, size int64) []byte {
	b = append(b, "bytes "...)
	b = strconv.AppendInt(b, r.Start, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, r.End()-1, 10)
	b = append(b, '/')
	if size < 0 {
		return append(b, '*')
	}
	return strconv.AppendInt(b, size, 10)
}

// AppendUnsatisfied appends the value of Content-Range for an answer of 416 (D19.5).
func AppendUnsatisfied(b []byte, size int64) []byte {
	return strconv.AppendInt(append(b, "bytes */"...), size, 10)
}

// AppendRange appends the value of a Range field that asks for r.
func AppendRange(b []byte, r Range) []byte {
	b = append(b, "bytes="...)
	b = strconv.AppendInt(b, r.Start, 10)
	b = append(b, '-')
	return strconv.AppendInt(b, r.End()-1, 10)
}

// AppendHead appends the fields in which a 206 with one range differs from the 200:
// Content-Range and Content-Length, each with its line end. They take the place of the
// Content-Length of the whole.
func AppendHead(b []byte, r Range, size int64) []byte {
	b = append(b, "Content-Range: "...)
	b = AppendContentRange(b, r, size)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, r.Length, 10)
	return append(b, "\r\n"...)
}

// Header returns the header of a 206 with one range, made of that of the 200. It has all of
// its fields, whatever a viewer may know already (RFC 9110 §15.3.7).
func Header(whole header.Fields, r Range, size int64) header.Fields {
	h := whole.Clone(2)
	h.Set("Content-Range", string(AppendContentRange(nil, r, size)))
	h.Set("Content-Length", strconv.FormatInt(r.Length, 10))
	return h
}
