// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"math"
	"strings"
)

// MaxRanges is how many ranges a request may ask for; with more, Range does not count
// (D19.4).
const MaxRanges = 100

// unit is the only range unit, compared without regard to case (RFC 9110 §14.1).
const unit = "bytes"

// whitespace is OWS of RFC 9110 §5.6.3.
const whitespace = " \t"

// Range is a part of a representation: Length bytes from Start on. It is never empty,
// except for the zero value.
type Range struct{ Start, Length int64 }

// End is the position behind the last byte.
func (r Range) End() int64 { return r.Start + r.Length }

// overlaps says whether two ranges have a byte in common.
func (r Range) overlaps(o Range) bool { return r.Start < o.End() && o.Start < r.End() }

// Spec is one range as a request asks for it: from First to Last, both included, or if
// First is below 0 the last Last bytes. Positions beyond 63 bits count as the greatest.
type Spec struct{ First, Last int64 }

// open is the Last of a range without one.
const open = math.MaxInt64

// Suffix says whether the last bytes are asked for.
func (s Spec) Suffix() bool { return s.First < 0 }

// Resolve returns which of size bytes are asked for, and whether there are any (RFC 9110
// §14.1.2).
func (s Spec) Resolve(size int64) (Range, bool) {
	if s.Suffix() {
		n := min(s.Last, size)
		return Range{size - n, n}, n > 0
	}
	if s.First >= size {
		return Range{}, false
	}
	return Range{s.First, min(s.Last, size-1) - s.First + 1}, true
}

// Set is what a Range field asks for. The zero value asks for nothing.
type Set struct {
	first Spec
	more  []Spec // in order behind first
	n     int
}

// Len is the number of ranges.
func (s Set) Len() int { return s.n }

// At returns the range number i, from 0 on.
func (s Set) At(i int) Spec {
	if i == 0 {
		return s.first
	}
	return s.more[i-1]
}

// Parse reads a Range field. It returns false for all that a server has to ignore: another
// unit, anything malformed, a range that ends before it begins, more than MaxRanges (D19.1,
// D19.3, D19.4, RFC 9110 §14.2). A request with several Range fields has none.
func Parse(value string) (Set, bool) {
	name, list, found := strings.Cut(value, "=")
	if !found || !strings.EqualFold(name, unit) {
		return Set{}, false
	}
	var s Set
	for list != "" {
		var member string
		member, list, _ = strings.Cut(list, ",")
		member = strings.Trim(member, whitespace)
		if member == "" {
			continue // an empty member is no member (RFC 9110 §5.6.1.2)
		}
		spec, ok := parseSpec(member)
		if !ok || s.n == MaxRanges {
			return Set{}, false
		}
		if s.n == 0 {
			s.first = spec
		} else {
			s.more = append(s.more, spec)
		}
		s.n++
	}
	return s, s.n > 0
}

// parseSpec reads first-[last] or -length.
func parseSpec(s string) (Spec, bool) {
	from, to, found := strings.Cut(s, "-")
	if !found {
		return Spec{}, false
	}
	last, hasLast := parsePosition(to)
	if from == "" {
		return Spec{-1, last}, hasLast
	}
	first, ok := parsePosition(from)
	switch {
	case !ok:
		return Spec{}, false
	case to == "":
		return Spec{first, open}, true
	default:
		return Spec{first, last}, hasLast && first <= last
	}
}

// parsePosition reads digits, at least one, and stops counting at 63 bits.
func parsePosition(s string) (int64, bool) {
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + d
	}
	return n, s != ""
}
