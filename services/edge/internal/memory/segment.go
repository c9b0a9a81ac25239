// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync/atomic"
	"unsafe"
)

// A segment is a row of blocks, each with a head; a block is a record, or free. What is
// written goes to the free blocks of one open segment after the other, from the
// beginning to the end. Segments that have become sparse are cleaned: their records
// move elsewhere, but for those that somebody holds, around which the segment is then
// written anew.

// block is the beginning of every block.
type block struct {
	size  uint32 // of all of it
	owner uint32 // the entry; 0 is a free block
}

// head is the beginning of a record.
type head struct {
	block
	key, value uint32 // lengths
	words      [Words]atomic.Uint64
}

const (
	blockHead = int(unsafe.Sizeof(block{}))
	headSize  = int(unsafe.Sizeof(head{}))
	alignment = blockHead
)

// blockSize is what a record takes.
func blockSize(key, value int) int {
	return (headSize + key + value + alignment - 1) &^ (alignment - 1)
}

type segment struct {
	data []byte
	live int // bytes of the records in it
	// cursor is where to look for free blocks next, while it is open.
	cursor int
	place  place
}

type place uint8

// Where a segment is.
const (
	gone    place = iota // not there: given back
	sealed               // full, once
	open                 // being written
	spare                // clean, to be written
	emptied              // being cleaned
)

func (g *segment) block(off int) *block { return (*block)(unsafe.Pointer(&g.data[off])) }

// head returns the head of the record at off.
func (g *segment) head(off int) *head { return (*head)(unsafe.Pointer(&g.data[off])) }

// free makes n bytes at off a free block.
func (g *segment) free(off, n int) {
	h := g.block(off)
	h.size, h.owner = uint32(n), 0
}

// take makes a block of n bytes in a free one behind the cursor; -1 if there is none.
func (g *segment) take(n int, owner uint32) int {
	for g.cursor < len(g.data) {
		h := g.block(g.cursor)
		have := int(h.size)
		if h.owner != 0 || have < n {
			g.cursor += have
			continue
		}
		off := g.cursor
		if left := have - n; left > 0 {
			g.free(off+n, left)
			h.size = uint32(n)
		}
		h.owner = owner
		g.cursor += n
		g.live += n
		return off
	}
	return -1
}

// merge joins free blocks that are next to each other.
func (g *segment) merge() {
	last := -1
	for off := 0; off < len(g.data); {
		h := g.block(off)
		size := int(h.size)
		switch {
		case h.owner != 0:
			last = -1
		case last >= 0:
			g.block(last).size += uint32(size)
		default:
			last = off
		}
		off += size
	}
}
