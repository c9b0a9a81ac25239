// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync/atomic"
	"unsafe"
)

// entry is what is known of a record. Entries lie outside the heap, do not move, and
// are used again; their number is what everybody calls them by. 0 is none.
type entry struct {
	state state
	next  atomic.Uint32 // in the chain of its hash, or among the free
	hash  atomic.Uint64
	node
	// Where the block is. Only who holds the record, or the lock, may look.
	seg, off uint32
}

// state is who holds a record, and how: a number of holders, and the two bits below.
type state struct{ v atomic.Uint32 }

const (
	live   = 1 << 31 // in the index: may be found
	moving = 1 << 30 // its bytes are being copied: nobody may look
	count  = moving - 1
)

// acquire adds a holder to a record that is live. One that is being moved may be
// acquired under the lock.
func (s *state) acquire() (ok, busy bool) {
	for {
		v := s.v.Load()
		if v&live == 0 {
			return false, v&moving != 0
		}
		if s.v.CompareAndSwap(v, v+1) {
			return true, false
		}
	}
}

// release takes a holder away and says whether nobody can reach the record any more.
func (s *state) release() (last bool) { return s.v.Add(^uint32(0)) == 0 }

// kill makes a live record unreachable and says whether nobody holds it.
func (s *state) kill() (last bool) { return s.v.And(^uint32(live)) == live }

// killIdle is kill for a record that nobody holds; it says whether it was one. Then it
// has holders more, who see it die.
func (s *state) killIdle(holders uint32) bool { return s.v.CompareAndSwap(live, holders) }

// move begins to move a record that is live and nobody holds; moved ends it.
func (s *state) move() bool { return s.v.CompareAndSwap(live, moving) }
func (s *state) moved()     { s.v.Store(live) }

// publish makes a draft live; its writer goes on as a holder.
func (s *state) publish() { s.v.Store(live | 1) }

const (
	entriesInChunk = 256
	chunkSize      = entriesInChunk * int(unsafe.Sizeof(entry{}))
)

type chunk [entriesInChunk]entry

// entries are all entries, in chunks that come and stay.
type entries struct {
	chunks []*chunk
	seen   atomic.Pointer[[]*chunk] // chunks, for those without the lock
	raw    [][]byte
	unused uint32 // the first of the free
	n      int    // in use
}

// at returns an entry that there is.
func (e *entries) at(id uint32) *entry {
	return &(*e.seen.Load())[id/entriesInChunk][id%entriesInChunk]
}

// take returns an entry to use, 0 if there is none: then grow.
func (e *entries) take() uint32 {
	id := e.unused
	if id != 0 {
		e.unused = e.at(id).next.Load()
		e.n++
	}
	return id
}

func (e *entries) give(id uint32) {
	e.at(id).next.Store(e.unused)
	e.unused = id
	e.n--
}

// grow makes more entries.
func (e *entries) grow() error {
	raw, err := mapPages(chunkSize)
	if err != nil {
		return err
	}
	e.raw = append(e.raw, raw)
	e.chunks = append(e.chunks, (*chunk)(unsafe.Pointer(unsafe.SliceData(raw))))
	all := e.chunks
	e.seen.Store(&all)
	first := uint32(len(all)-1) * entriesInChunk
	for id := first + entriesInChunk - 1; id >= max(first, 1); id-- {
		e.at(id).next.Store(e.unused)
		e.unused = id
	}
	return nil
}

func (e *entries) close() error {
	var first error
	for _, raw := range e.raw {
		if err := unmapPages(raw); err != nil && first == nil {
			first = err
		}
	}
	return first
}
