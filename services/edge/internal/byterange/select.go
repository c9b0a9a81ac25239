// SPDX-License-Identifier: Apache-2.0

package byterange

import "slices"

// Rules say what is done about ranges that are not in order.
type Rules uint8

// The rules.
const (
	// InOrder answers several ranges only if they ascend and do not overlap, and with the
	// whole representation otherwise (D19.3).
	InOrder Rules = iota
	// AnyOrder answers them as they are asked for, and makes one of those that overlap
	// (RFC 9110 §14.2, §15.3.7.2).
	AnyOrder
)

// Outcome is what to answer. The zero value is unknown.
type Outcome uint8

// The outcomes.
const (
	_ Outcome = iota
	// Whole: 200, as if there were no Range.
	Whole
	// Single: 206 with one range.
	Single
	// Several: 206 with a Multipart.
	Several
	// Unsatisfiable: 416 with AppendUnsatisfied.
	Unsatisfiable
)

// String returns the word for logs.
func (o Outcome) String() string {
	switch o {
	case Whole:
		return "whole"
	case Single:
		return "single"
	case Several:
		return "several"
	case Unsatisfiable:
		return "unsatisfiable"
	default:
		return "unknown"
	}
}

// Selection is what a request gets of a representation.
type Selection struct {
	Outcome Outcome
	// Range is what Single sends.
	Range Range
	// Ranges are what Several sends, at least two, without a byte in common.
	Ranges []Range
}

// Select says what to answer with a representation of size bytes, 0 to MaxSize.
func (s Set) Select(size int64, rules Rules) Selection {
	if s.n == 1 {
		return s.selectOne(size)
	}
	ranges := make([]Range, 0, s.n)
	suffix := false
	for i := range s.n {
		spec := s.At(i)
		if r, ok := spec.Resolve(size); ok {
			ranges = append(ranges, r)
		}
		suffix = suffix || spec.Suffix() && spec.Last > 0
	}
	if rules == AnyOrder {
		ranges = coalesce(ranges)
	} else if !ascending(ranges) {
		return Selection{Outcome: Whole}
	}
	switch len(ranges) {
	case 0:
		return nothing(suffix)
	case 1:
		return Selection{Outcome: Single, Range: ranges[0]}
	default:
		return Selection{Outcome: Several, Ranges: ranges}
	}
}

func (s Set) selectOne(size int64) Selection {
	r, ok := s.first.Resolve(size)
	if !ok {
		return nothing(s.first.Suffix() && s.first.Last > 0)
	}
	return Selection{Outcome: Single, Range: r}
}

// nothing is the selection of no byte (D19.5). The last bytes of an empty representation
// are there, all none of them, and no Content-Range can say so.
func nothing(suffix bool) Selection {
	if suffix {
		return Selection{Outcome: Whole}
	}
	return Selection{Outcome: Unsatisfiable}
}

func ascending(ranges []Range) bool {
	for i := 1; i < len(ranges); i++ {
		if ranges[i].Start < ranges[i-1].End() {
			return false
		}
	}
	return true
}

// coalesce makes one range of those that overlap. It stands where the first of them stood
// (RFC 9110 §15.3.7.2).
func coalesce(ranges []Range) []Range {
	var out []Range
	for _, r := range ranges {
		at := len(out)
		out = append(out, r)
		for other := touching(out, at); other >= 0; other = touching(out, at) {
			keep, drop := min(at, other), max(at, other)
			out[keep] = union(out[keep], out[drop])
			out = slices.Delete(out, drop, drop+1)
			at = keep
		}
	}
	return out
}

// touching returns another range that overlaps the one at that place, or -1.
func touching(ranges []Range, at int) int {
	for i, r := range ranges {
		if i != at && r.overlaps(ranges[at]) {
			return i
		}
	}
	return -1
}

// union is what two ranges that overlap cover together.
func union(a, b Range) Range {
	start := min(a.Start, b.Start)
	return Range{start, max(a.End(), b.End()) - start}
}
