// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestSlicesOf(t *testing.T) {
	const mib = SliceSize
	for _, tt := range []struct {
		name string
		r    Range
		want Slices
		held Range // of the slices, of 2.5 MiB
	}{
		{"the first byte", Range{0, 1}, Slices{0, 1}, Range{0, mib}},
		{"all of the first", Range{0, mib}, Slices{0, 1}, Range{0, mib}},
		{"one byte more", Range{0, mib + 1}, Slices{0, 2}, Range{0, 2 * mib}},
		{"across a border", Range{mib - 1, 2}, Slices{0, 2}, Range{0, 2 * mib}},
		{"the last, which is short", Range{2*mib + 5, 1}, Slices{2, 3}, Range{2 * mib, mib / 2}},
		{"everything", Range{0, 5 * mib / 2}, Slices{0, 3}, Range{0, 5 * mib / 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := SlicesOf(tt.r)
			if got != tt.want || got.Range(5*mib/2) != tt.held {
				t.Errorf("SlicesOf(%v) = %v, which holds %v, want %v, %v", tt.r, got, got.Range(5*mib/2), tt.want, tt.held)
			}
		})
	}
	if got, want := (Slices{2, 3}).Range(-1), (Range{2 * mib, mib}); got != want {
		t.Errorf("Range of an unknown size = %v, want %v", got, want)
	}
}

// TestSlicesPartition: every byte of a representation lies in one slice.
func TestSlicesPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 20*SliceSize).Draw(t, "size")
		var at, n int64
		for ; at < size; n++ {
			r := Slice(n, size)
			if r.Start != at || r.Length < 1 || r.Length > SliceSize {
				t.Fatalf("slice %d of %d is %v, want it to begin at %d", n, size, r, at)
			}
			at = r.End()
		}
		if at != size || Slice(n, size) != (Range{}) || Slice(-1, size) != (Range{}) || Slice(math.MaxInt64, size) != (Range{}) {
			t.Fatalf("%d slices of %d bytes end at %d", n, size, at)
		}
	})
}

func TestFirstSlice(t *testing.T) {
	for _, tt := range []struct {
		spec Spec
		want int64
		ok   bool
	}{
		{Spec{0, 5}, 0, true},
		{Spec{SliceSize, open}, 1, true},
		{Spec{3*SliceSize - 1, open}, 2, true},
		{Spec{-1, 5}, 0, false},
		{Spec{MaxSize, open}, 0, false},
		{Spec{math.MaxInt64, math.MaxInt64}, 0, false},
	} {
		if got, ok := tt.spec.FirstSlice(); got != tt.want || ok != tt.ok {
			t.Errorf("FirstSlice(%v) = %v, %v, want %v, %v", tt.spec, got, ok, tt.want, tt.ok)
		}
	}
}
