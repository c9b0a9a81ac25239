// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestSelect(t *testing.T) {
	whole, none := Selection{Outcome: Whole}, Selection{Outcome: Unsatisfiable}
	one := func(start, length int64) Selection {
		return Selection{Outcome: Single, Range: Range{start, length}}
	}
	many := func(ranges ...Range) Selection { return Selection{Outcome: Several, Ranges: ranges} }
	for _, tt := range []struct {
		name    string
		value   string
		size    int64
		inOrder Selection
		any     Selection
	}{
		{"D19.1: one range", "bytes=2-4", 10, one(2, 3), one(2, 3)},
		{"RFC 9110 14.1.2: an end beyond the end", "bytes=2-99", 10, one(2, 8), one(2, 8)},
		{"RFC 9110 14.1.2: no end", "bytes=2-", 10, one(2, 8), one(2, 8)},
		{"RFC 9110 14.1.2: the last byte", "bytes=-1", 10, one(9, 1), one(9, 1)},
		{"RFC 9110 14.1.2: a suffix longer than all", "bytes=-99", 10, one(0, 10), one(0, 10)},
		{"RFC 9110 14.1.2: all of it is still a range", "bytes=0-", 10, one(0, 10), one(0, 10)},
		{"D19.5: first byte at the end", "bytes=10-", 10, none, none},
		{"D19.5: first byte beyond the end", "bytes=99-", 10, none, none},
		{"D19.5: suffix of nothing", "bytes=-0", 10, none, none},
		{"D19.5: every range beyond the end", "bytes=20-30,40-", 10, none, none},
		{"D19.5: an empty representation", "bytes=0-", 0, none, none},
		{"RFC 9110 14.1.2: the end of an empty representation", "bytes=-5", 0, whole, whole},
		{"RFC 9110 14.1.2: the same among others", "bytes=0-,-5", 0, whole, whole},
		{"D19.3: ascending", "bytes=0-0,2-4", 10, many(Range{0, 1}, Range{2, 3}), many(Range{0, 1}, Range{2, 3})},
		{"D19.3: with a suffix", "bytes=0-0,-5", 10, many(Range{0, 1}, Range{5, 5}), many(Range{0, 1}, Range{5, 5})},
		{"D19.3: adjacent", "bytes=0-1,2-3", 10, many(Range{0, 2}, Range{2, 2}), many(Range{0, 2}, Range{2, 2})},
		{"RFC 9110 14.1.2: the satisfiable ones", "bytes=0-1,20-30,5-6", 10, many(Range{0, 2}, Range{5, 2}), many(Range{0, 2}, Range{5, 2})},
		{"RFC 9110 15.3.7.2: one that is left is no multipart", "bytes=1-2,20-30", 10, one(1, 2), one(1, 2)},
		{"D19.3: descending", "bytes=5-6,0-1", 10, whole, many(Range{5, 2}, Range{0, 2})},
		{"D19.3: overlapping", "bytes=0-5,3-8", 10, whole, one(0, 9)},
		{"D19.3: twice the same", "bytes=1-2,1-2", 10, whole, one(1, 2)},
		{"D19.3: a suffix that overlaps", "bytes=0-7,-5", 10, whole, one(0, 10)},
		{"RFC 9110 15.3.7.2: those that overlap become one", "bytes=0-1,6-7,1-2", 10, whole, many(Range{0, 3}, Range{6, 2})},
		{"RFC 9110 15.3.7.2: one joins two", "bytes=6-7,0-1,1-6,9-9", 10, whole, many(Range{0, 8}, Range{9, 1})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, ok := Parse(tt.value)
			if !ok {
				t.Fatalf("Parse(%q) fails", tt.value)
			}
			if diff := cmp.Diff(tt.inOrder, s.Select(tt.size, InOrder), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("InOrder (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.any, s.Select(tt.size, AnyOrder), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("AnyOrder (-want +got):\n%s", diff)
			}
		})
	}
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkSelection checks what holds of every selection.
func checkSelection(t failer, s Set, size int64, rules Rules) Selection {
	t.Helper()
	x := s.Select(size, rules)
	ranges := x.Ranges
	switch x.Outcome {
	case Single:
		ranges = []Range{x.Range}
	case Several:
		if len(ranges) < 2 || len(ranges) > s.Len() {
			t.Fatalf("%d ranges of %d", len(ranges), s.Len())
		}
	case Whole, Unsatisfiable:
		if ranges != nil || x.Range != (Range{}) {
			t.Fatalf("%v with ranges", x)
		}
		return x
	default:
		t.Fatalf("outcome %v", x.Outcome)
	}
	for i, r := range ranges {
		if r.Start < 0 || r.Length < 1 || r.End() > size {
			t.Fatalf("range %v of %d bytes", r, size)
		}
		for _, o := range ranges[:i] {
			if r.overlaps(o) {
				t.Fatalf("%v and %v overlap", o, r)
			}
		}
		if got := SlicesOf(r).Range(size); got.Start > r.Start || got.End() < r.End() || got.End() > size {
			t.Fatalf("the slices of %v hold %v", r, got)
		}
	}
	return x
}

// TestSelectCoversWhatIsAsked: with AnyOrder each byte that is asked for is sent once, and
// no other.
func TestSelectCoversWhatIsAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 40).Draw(t, "size")
		s := drawSet(t)
		asked := make([]int, size)
		for i := range s.Len() {
			if r, ok := s.At(i).Resolve(size); ok {
				for at := r.Start; at < r.End(); at++ {
					asked[at] = 1
				}
			}
		}
		x := checkSelection(t, s, size, AnyOrder)
		ranges := x.Ranges
		if x.Outcome == Single {
			ranges = []Range{x.Range}
		}
		sent := make([]int, size)
		for _, r := range ranges {
			for at := r.Start; at < r.End(); at++ {
				sent[at]++
			}
		}
		if diff := cmp.Diff(asked, sent); diff != "" {
			t.Fatalf("bytes that are asked for and sent (-asked +sent):\n%s", diff)
		}
	})
}

// drawSet draws a set of up to 8 ranges of the first bytes.
func drawSet(t *rapid.T) Set {
	value := "bytes="
	for range rapid.IntRange(1, 8).Draw(t, "ranges") {
		first := rapid.Int64Range(0, 45).Draw(t, "first")
		spec := Spec{first, first + rapid.Int64Range(0, 20).Draw(t, "length")}
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			value += string(appendSpec(nil, Spec{-1, first})) + ","
		case 1:
			value += string(appendSpec(nil, Spec{first, open})) + ","
		default:
			value += string(appendSpec(nil, spec)) + ","
		}
	}
	s, ok := Parse(value)
	if !ok {
		t.Fatalf("Parse(%q) fails", value)
	}
	return s
}
