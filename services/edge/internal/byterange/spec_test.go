// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// specs are the ranges of a set.
func specs(s Set) []Spec {
	var all []Spec
	for i := range s.Len() {
		all = append(all, s.At(i))
	}
	return all
}

func TestParse(t *testing.T) {
	const most = math.MaxInt64
	for _, tt := range []struct {
		name  string
		value string
		want  []Spec // nil: Range does not count
	}{
		{"RFC 9110 14.1.2: first and last", "bytes=0-499", []Spec{{0, 499}}},
		{"RFC 9110 14.1.2: without last", "bytes=9500-", []Spec{{9500, most}}},
		{"RFC 9110 14.1.2: suffix", "bytes=-500", []Spec{{-1, 500}}},
		{"RFC 9110 14.1.2: one byte", "bytes=7-7", []Spec{{7, 7}}},
		{"RFC 9110 14.1.2: a suffix of nothing is valid", "bytes=-0", []Spec{{-1, 0}}},
		{"RFC 9110 14.1.1: several", "bytes=0-0,-1", []Spec{{0, 0}, {-1, 1}}},
		{"RFC 9110 14.1.1: several, spaced", "bytes= 0-999 ,\t4500-5499, -1000 ", []Spec{{0, 999}, {4500, 5499}, {-1, 1000}}},
		{"RFC 9110 5.6.1.2: empty members", "bytes=,, 1-2 , ,", []Spec{{1, 2}}},
		{"RFC 9110 14.1: units in any case", "ByTeS=1-2", []Spec{{1, 2}}},
		{"leading zeros", "bytes=0001-0002", []Spec{{1, 2}}},
		{"beyond 63 bits", "bytes=5-" + strings.Repeat("9", 60), []Spec{{5, most}}},
		{"both beyond 63 bits", "bytes=99999999999999999999-99999999999999999998", []Spec{{most, most}}},
		{"one short of 63 bits", "bytes=9223372036854775806-9223372036854775807", []Spec{{most - 1, most}}},
		{"D19.3: 5-2 is not", "bytes=5-2", nil},
		{"D19.3: one malformed spoils all", "bytes=0-1,5-2", nil},
		{"D19.1: another unit", "items=0-1", nil},
		{"no unit", "0-1", nil},
		{"no range", "bytes=", nil},
		{"nothing but commas", "bytes=, ,", nil},
		{"empty", "", nil},
		{"no hyphen", "bytes=5", nil},
		{"hyphen alone", "bytes=-", nil},
		{"two hyphens", "bytes=1-2-3", nil},
		{"negative", "bytes=--5", nil},
		{"signed", "bytes=+1-2", nil},
		{"space within", "bytes=1 -2", nil},
		{"space before =", "bytes =1-2", nil},
		{"hexadecimal", "bytes=0x1-0x2", nil},
		{"letters behind too many digits", "bytes=99999999999999999999x-", nil},
		{"another separator", "bytes=0-1;3-4", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, ok := Parse(tt.value)
			if diff := cmp.Diff(tt.want, specs(s)); ok != (tt.want != nil) || ok && diff != "" {
				t.Errorf("Parse(%q) = %v (-want +got):\n%s", tt.value, ok, diff)
			}
		})
	}
}

func TestParseBound(t *testing.T) {
	list := func(n int) string { return "bytes=" + strings.Repeat("0-0,", n) }
	if _, ok := Parse(list(MaxRanges)); !ok {
		t.Errorf("D19.4: %d ranges are refused", MaxRanges)
	}
	if _, ok := Parse(list(MaxRanges + 1)); ok {
		t.Errorf("D19.4: %d ranges are taken", MaxRanges+1)
	}
}

func TestSingleRangeAllocatesNothing(t *testing.T) {
	var room [128]byte
	body := make([]byte, 1000)
	var held Slices
	if n := testing.AllocsPerRun(100, func() {
		s, _ := Parse("bytes=100-199")
		x := s.Select(1000, InOrder)
		AppendHead(room[:0], x.Range, 1000)
		Cut(body, x.Range)
		held = SlicesOf(x.Range)
	}); n != 0 || held != (Slices{0, 1}) {
		t.Errorf("a single range allocates %v times, want 0", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"bytes=0-1", "bytes=-5", "bytes=5-", "bytes=0-0,2-4,-1", "bytes=5-2", "Bytes= ,1-2 ,", "bytes=99999999999999999999-",
		"bytes=-0", "items=1-2", "bytes=0-1,1-2,0-5,3-4", "bytes", "=", "bytes=-", "bytes=9-8,1-2",
	} {
		f.Add(seed, int64(10))
	}
	f.Add("bytes=-9223372036854775807,0-9223372036854775807", MaxSize)
	f.Fuzz(func(t *testing.T, value string, size int64) {
		size = min(max(size, 0), MaxSize)
		s, ok := Parse(value)
		if !ok {
			return
		}
		if s.Len() < 1 || s.Len() > MaxRanges {
			t.Fatalf("%d ranges", s.Len())
		}
		for _, rules := range []Rules{InOrder, AnyOrder} {
			checkSelection(t, s, size, rules)
		}
	})
}
