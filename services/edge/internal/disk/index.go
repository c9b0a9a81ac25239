// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
)

// place is where a record lies. Offset, size and lead are in units of align bytes, lead
// rounded up.
type place struct {
	offset, size uint32
	slot, lead   uint16
}

func (p place) at() int64      { return int64(p.offset) * align }
func (p place) length() int    { return int(p.size) * align }
func (p place) leadBytes() int { return int(p.lead) * align }

// Flags of an entry: how often it was asked for since it was written, up to mostHits,
// and whether its body was checked in this process.
const (
	mostHits     = 3
	flagVerified = 4
)

// entry is what memory holds of a record: 28 bytes and no pointer.
type entry struct {
	hash   hash
	offset uint32
	bits   uint32 // size << 8 | flags; 0: the place in the table is free
	slot   uint16
	lead   uint16
}

func (e *entry) place() place {
	return place{offset: e.offset, size: e.bits >> 8, slot: e.slot, lead: e.lead}
}

func entryOf(h hash, p place, flags uint32) entry {
	return entry{hash: h, offset: p.offset, bits: p.size<<8 | flags, slot: p.slot, lead: p.lead}
}

const shards = 256

// index finds records by hash. It is safe for concurrent use.
//
// While an older log is being read, newest first, what is removed is remembered, so that
// an older record of the same key is not taken in afterwards.
type index struct {
	shards  [shards]shard
	slots   []atomic.Pointer[segment] // what an entry points to is there
	live    []atomic.Int32            // entries by slot
	objects atomic.Int64
	bytes   atomic.Int64 // of records that entries point to
}

type shard struct {
	mu    sync.Mutex // guards the rest
	table []entry    // open addressing, linear probing
	count int
	gone  map[hash]struct{} // nil unless an older log is being read
}

// newIndex returns an empty index for so many segments.
func newIndex(slots int) *index {
	return &index{slots: make([]atomic.Pointer[segment], slots), live: make([]atomic.Int32, slots)}
}

func (x *index) shard(h hash) *shard { return &x.shards[h[0]] }

// home is where the search for h begins. It grows with the hash, so a table in the order
// of another fills from its beginning to its end.
func (s *shard) home(h hash) int {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(h[8:]), uint64(len(s.table)))
	return int(hi)
}

// find returns where h is, or where it belongs. The table is not empty.
func (s *shard) find(h hash) (at int, found bool) {
	for at = s.home(h); s.table[at].bits != 0; {
		if s.table[at].hash == h {
			return at, true
		}
		if at++; at == len(s.table) {
			at = 0
		}
	}
	return at, false
}

func (s *shard) lookup(h hash) *entry {
	if s.count == 0 {
		return nil
	}
	at, found := s.find(h)
	if !found {
		return nil
	}
	return &s.table[at]
}

// reserve makes room for so many more entries. A table is filled to four fifths and
// grows by a quarter.
func (s *shard) reserve(more int) {
	if (s.count+more)*5 <= len(s.table)*4 {
		return
	}
	old := s.table
	s.table = make([]entry, max(16, len(old)+len(old)/4, (s.count+more)*5/4+1))
	for i := range old {
		if old[i].bits != 0 {
			at, _ := s.find(old[i].hash)
			s.table[at] = old[i]
		}
	}
}

// cut takes the entry at a place out and closes the gap.
func (s *shard) cut(at int) {
	s.count--
	for next := at; ; {
		if next++; next == len(s.table) {
			next = 0
		}
		if s.table[next].bits == 0 {
			break
		}
		home := s.home(s.table[next].hash)
		between := at < home && home <= next
		if next < at {
			between = at < home || home <= next
		}
		if !between {
			s.table[at] = s.table[next]
			at = next
		}
	}
	s.table[at] = entry{}
}

// count keeps the sums.
func (x *index) countIn(p place, by int) {
	x.live[p.slot].Add(int32(by))
	x.objects.Add(int64(by))
	x.bytes.Add(int64(by) * int64(p.length()))
}

// set makes p the place of h.
func (x *index) set(h hash, p place, flags uint32) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserve(1)
	at, found := s.find(h)
	if found {
		x.countIn(s.table[at].place(), -1)
	} else {
		s.count++
	}
	s.table[at] = entryOf(h, p, flags)
	x.countIn(p, 1)
}

// get returns where h is, takes a reference to its segment, and counts so many hits.
func (x *index) get(h hash, hits uint32) (p place, verified bool, seg *segment) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lookup(h)
	if e == nil {
		return p, false, nil
	}
	e.bits += min(hits, mostHits-e.bits&mostHits)
	seg = x.slots[e.slot].Load()
	seg.refs.Add(1)
	return e.place(), e.bits&flagVerified != 0, seg
}

// peek returns where h is.
func (x *index) peek(h hash) (p place, flags uint32, found bool) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lookup(h)
	if e == nil {
		return p, 0, false
	}
	return e.place(), e.bits & 0xff, true
}

// at says whether h is at p, and how often it was asked for.
func (x *index) at(h hash, p place) (hits uint32, is bool) {
	now, flags, found := x.peek(h)
	return flags & mostHits, found && now == p
}

// verify remembers that the body of h was checked, if it is still at p.
func (x *index) verify(h hash, p place) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.lookup(h); e != nil && e.place() == p {
		e.bits |= flagVerified
	}
}

// move sets the place of h if it is at from.
func (x *index) move(h hash, from, to place, flags uint32) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.lookup(h); e != nil && e.place() == from {
		x.countIn(from, -1)
		*e = entryOf(h, to, flags)
		x.countIn(to, 1)
	}
}

// remove removes h and says whether it was there, or may still be found in an older log.
func (x *index) remove(h hash) (matters bool) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone != nil {
		s.gone[h] = struct{}{}
	}
	matters = s.gone != nil
	if s.count == 0 {
		return matters
	}
	at, found := s.find(h)
	if found {
		x.countIn(s.table[at].place(), -1)
		s.cut(at)
	}
	return matters || found
}

// removeAt removes h if it is at p and says whether it was.
func (x *index) removeAt(h hash, p place) bool {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return false
	}
	at, found := s.find(h)
	if !found || s.table[at].place() != p {
		return false
	}
	if s.gone != nil {
		s.gone[h] = struct{}{}
	}
	x.countIn(p, -1)
	s.cut(at)
	return true
}

// each calls f with every entry of a slot, or of all with a negative one, outside of
// locks. What comes and goes meanwhile may be among them or not.
func (x *index) each(slot int, f func(h hash, p place, flags uint32)) {
	var some []entry
	for i := range x.shards {
		s := &x.shards[i]
		some = some[:0]
		s.mu.Lock()
		for j := range s.table {
			if e := &s.table[j]; e.bits != 0 && (slot < 0 || int(e.slot) == slot) {
				some = append(some, *e)
			}
		}
		s.mu.Unlock()
		for j := range some {
			f(some[j].hash, some[j].place(), some[j].bits&0xff)
		}
	}
}

// expect begins the reading of an older log.
func (x *index) expect() {
	for i := range x.shards {
		x.shards[i].gone = map[hash]struct{}{}
	}
}

// expected ends it.
func (x *index) expected() {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		s.gone = nil
		s.mu.Unlock()
	}
}

// grow makes room for so many entries of the shard of h. They come in the order of a
// table, and would crowd at the beginning of one that grows with them.
func (x *index) grow(h hash, by int) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserve(by)
}

// load takes in what an older log says of h, unless something newer is known.
func (x *index) load(h hash, p place, flags uint32) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, gone := s.gone[h]; gone {
		return
	}
	s.reserve(1)
	at, found := s.find(h)
	if found {
		return
	}
	s.count++
	s.table[at] = entryOf(h, p, flags)
	x.countIn(p, 1)
}

// loadRemoval takes in a removal of an older log.
func (x *index) loadRemoval(h hash) {
	s := x.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lookup(h) == nil {
		s.gone[h] = struct{}{}
	}
}
