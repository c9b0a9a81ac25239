// SPDX-License-Identifier: Apache-2.0

package byterange

// SliceSize is how many bytes of a representation lie in one slice, but for the last, which
// has what remains.
const SliceSize int64 = 1 << 20

// MaxSize is the greatest size of a representation that can be reckoned with.
const MaxSize int64 = 1 << 62

// Slices are consecutive slices of a representation: from First up to, but without, End.
type Slices struct{ First, End int64 }

// SlicesOf returns the slices in which the bytes of r lie.
func SlicesOf(r Range) Slices {
	return Slices{r.Start / SliceSize, (r.End()-1)/SliceSize + 1}
}

// Range is what the slices hold of a representation of size bytes; -1 for a size that is
// not known, so that the last slice is taken to be full.
func (s Slices) Range(size int64) Range {
	start, end := s.First*SliceSize, s.End*SliceSize
	if size >= 0 {
		end = min(end, size)
	}
	return Range{start, end - start}
}

// Slice is what slice number n holds of a representation of size bytes; the zero Range if
// it has no such slice.
func Slice(n, size int64) Range {
	if n < 0 || size <= 0 || n > (size-1)/SliceSize {
		return Range{}
	}
	return Slices{n, n + 1}.Range(size)
}

// FirstSlice is the number of the slice in which s begins, whatever the size. There is none
// where the last bytes are asked for, which only the size tells, or bytes beyond MaxSize.
func (s Spec) FirstSlice() (n int64, ok bool) {
	if s.Suffix() || s.First >= MaxSize {
		return 0, false
	}
	return s.First / SliceSize, true
}
