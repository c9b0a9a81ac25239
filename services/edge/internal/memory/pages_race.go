// SPDX-License-Identifier: Apache-2.0

//go:build race

package memory

import "unsafe"

// mapPages returns n bytes of the heap: the race detector does not see memory that
// was mapped.
func mapPages(n int) ([]byte, error) {
	words := make([]uint64, (n+7)/8) // for the alignment
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n), nil
}

func unmapPages([]byte) error { return nil }
