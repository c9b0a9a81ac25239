// SPDX-License-Identifier: Apache-2.0

package memory

// Counts is what a Store did since it was made.
type Counts struct {
	// Hits and Misses are the outcomes of Get.
	Hits, Misses int64
	// Records that went: for want of room, for another one of their key, and removed
	// for each Reason.
	EvictedRoom, EvictedReplaced, EvictedDeleted, EvictedInvalidated int64
	// Records that were not taken: larger than MaxRecord, and no room.
	RefusedSize, RefusedRoom int64
}

// Stats is what a Store holds.
type Stats struct {
	Counts
	// Bytes is all that is taken from the system, and Limit what it may reach.
	Bytes, Limit int64
	// Records is how many there are, and Live the bytes of them and of those that are
	// held or written.
	Records, Live int64
	// Held is the bytes of records that are gone but held. They are part of Live.
	Held int64
}

// Stats returns the present numbers.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Stats{
		Counts: s.counts, Limit: s.limit, Live: s.log.live, Held: s.held,
		Bytes: s.overhead() + int64(s.log.mapped)*int64(s.log.segmentSize),
	}
	for i := range s.index.shards {
		x := &s.index.shards[i]
		t.Records += int64(x.n)
		t.Hits += x.hits.Load()
		t.Misses += x.misses.Load()
	}
	return t
}

// Range calls yield with every record that is there from the beginning of the call to
// its end, and with some of the others, until it returns false. What yield is given is
// released afterwards; it may Retain it. No lock is held meanwhile.
func (s *Store) Range(yield func(Ref) bool) {
	for id := uint32(1); id < uint32(len(*s.entries.seen.Load())*entriesInChunk); id++ {
		state := &s.entries.at(id).state
		ok, busy := state.acquire()
		if busy {
			s.mu.Lock()
			ok, _ = state.acquire()
			s.mu.Unlock()
		}
		if !ok {
			continue
		}
		r := Ref{s, id}
		more := yield(r)
		r.Release()
		if !more {
			return
		}
	}
}
