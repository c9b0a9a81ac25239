// SPDX-License-Identifier: Apache-2.0

package memory

import "unsafe"

// This file makes room, under the lock.

const (
	// pace is how many bytes are looked at for each that is written, when space
	// becomes short: cleaning is done before it is urgent, in small pieces.
	pace = 12
	// mostCleaned is how many segments are cleaned at once before records go, so that
	// segments become sparser.
	mostCleaned = 2
	// mostSpared is how many records may be found held before one is refused.
	mostSpared = 64
	// pressure is the part of the room from which on shadows see requests.
	pressure = 8
	// relief is the part of the reserve that is given up with each record.
	relief = 4096
)

// allocate makes a block of n bytes with one holder, and its entry; 0 when there is no
// room. When it returns with records that are dying, their end may help.
func (s *Store) allocate(n int, d *dying) uint32 {
	if s.closed {
		return 0
	}
	if s.entries.unused == 0 {
		if s.entries.grow() != nil {
			return 0
		}
		s.fit()
	}
	for s.log.mapped > s.log.most && s.recede(d) {
		continue
	}
	id := s.entries.take()
	e := s.entries.at(id)
	e.state.v.Store(1)
	e.size = uint32(n)
	if !s.place(e, id, d) {
		e.state.v.Store(0)
		s.entries.give(id)
		return 0
	}
	s.pressed.Store(s.log.live > s.log.room()/pressure)
	return id
}

// place finds a place for the block of an entry.
func (s *Store) place(e *entry, id uint32, d *dying) bool {
	n := int(e.size)
	for cleaned := 0; ; {
		if over := s.log.live + int64(n) - (s.log.room() - s.reserve); over > 0 {
			if over <= d.bytes || !s.evict(d) {
				return false
			}
			continue
		}
		if len(s.log.spares) <= 2 && s.log.mapped >= s.log.most {
			s.log.clean(pace*n, false)
		}
		seg, off, ok := s.log.write(fresh, n, id)
		if ok {
			e.seg, e.off = uint32(seg), uint32(off)
			s.reserve -= s.reserve / relief
			return true
		}
		if cleaned < mostCleaned && s.log.clean(s.log.segmentSize, false) {
			cleaned++
			continue
		}
		cleaned = 0
		s.reserve = min(s.reserve+int64(n), s.log.room()/2)
		if !s.evict(d) || len(d.records) > 0 {
			return false
		}
	}
}

// evict makes the record go that should, and says whether there was one.
func (s *Store) evict(d *dying) bool {
	holders := uint32(0)
	if s.evicted != nil {
		holders = 1
	}
	for range mostSpared {
		id := s.order.next()
		if id == 0 {
			return false
		}
		e := s.entries.at(id)
		if !e.state.killIdle(holders) {
			s.order.spare(id) // it is in use: that is as good as being asked for
			continue
		}
		hash := e.hash.Load()
		s.index.remove(&s.entries, id)
		s.order.bury(hash, s.entries.n)
		s.counts.EvictedRoom++
		if holders > 0 {
			s.held += int64(e.size)
			d.add(Ref{s, id}, int64(e.size))
		} else {
			s.free(id)
		}
		return true
	}
	return false
}

// free frees the block and the entry of a record that nobody can reach.
func (s *Store) free(id uint32) {
	e := s.entries.at(id)
	s.log.release(int(e.seg), int(e.off))
	s.entries.give(id)
}

// move copies the block of a record elsewhere, unless somebody holds it.
func (s *Store) move(id uint32, from *segment, off int) bool {
	e := s.entries.at(id)
	if !e.state.move() {
		return false
	}
	defer e.state.moved()
	n := int(e.size)
	seg, to, ok := s.log.write(moved, n, id)
	if !ok {
		return false
	}
	const sizeAndOwner = int(unsafe.Offsetof(head{}.key))
	copy(s.log.segments[seg].data[to+sizeAndOwner:to+n], from.data[off+sizeAndOwner:off+n])
	e.seg, e.off = uint32(seg), uint32(to)
	return true
}

// detach takes a live record away from its key and from the order.
func (s *Store) detach(id uint32) {
	e := s.entries.at(id)
	s.order.remove(id)
	s.index.remove(&s.entries, id)
	if e.state.kill() {
		s.free(id)
	} else {
		s.held += int64(e.size)
	}
}

// dying are records that have gone for want of room and wait for being told of.
type dying struct {
	store   *Store
	records []Ref
	bytes   int64
}

func (s *Store) dying() dying { return dying{store: s} }

func (d *dying) add(r Ref, bytes int64) {
	d.records = append(d.records, r)
	d.bytes += bytes
}

// end tells of them and lets them go. It is called without the lock.
func (d *dying) end() {
	for i := range d.records {
		d.store.evicted(d.records[i])
		d.records[i].Release()
	}
	d.records, d.bytes = d.records[:0], 0
}
