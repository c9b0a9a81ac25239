// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync/atomic"
	"unsafe"
)

// Words is how many words a record has that may change.
const Words = 2

// Ref holds a record: until Release it stays what it is. The zero Ref holds none.
type Ref struct {
	store *Store
	id    uint32
}

// Valid says whether r holds a record.
func (r Ref) Valid() bool { return r.store != nil }

// block returns the block of the record that r holds.
func (r Ref) block() (*head, []byte) {
	e := r.store.entries.at(r.id)
	g := (*r.store.log.seen.Load())[e.seg]
	return g.head(int(e.off)), g.data[int(e.off)+headSize : int(e.off)+int(e.size)]
}

// Key returns the key. It is valid until Release and must not be written to.
func (r Ref) Key() []byte {
	h, data := r.block()
	return data[:h.key:h.key]
}

// Bytes returns the record. It is valid until Release and must not be written to.
func (r Ref) Bytes() []byte {
	h, data := r.block()
	end := h.key + h.value
	return data[h.key:end:end]
}

// Word returns one of the words of the record, which all who hold it share and may
// change at any time. i is below Words.
func (r Ref) Word(i int) *atomic.Uint64 {
	h, _ := r.block()
	return &h.words[i]
}

// Size is what the record takes, with its key and what belongs to it.
func (r Ref) Size() int { return int(r.store.entries.at(r.id).size) }

// Stored says whether the record is still the one of its key.
func (r Ref) Stored() bool { return r.store.entries.at(r.id).state.v.Load()&(live|moving) != 0 }

// Same says whether two Refs hold the same record.
func (r Ref) Same(other Ref) bool { return r == other }

// Retain returns another Ref of the record, which must be released as well.
func (r Ref) Retain() Ref {
	r.store.entries.at(r.id).state.v.Add(1)
	return r
}

// Release lets the record go; r holds none afterwards. Of a zero Ref it does nothing.
func (r *Ref) Release() {
	s, id := r.store, r.id
	if s == nil {
		return
	}
	*r = Ref{}
	e := s.entries.at(id)
	if !e.state.release() {
		return
	}
	s.mu.Lock()
	s.held -= int64(e.size)
	s.free(id)
	s.mu.Unlock()
}

// Get returns the record of that key. The caller releases it. Both outcomes count.
func (s *Store) Get(key []byte) (Ref, bool) {
	hash := s.hash(key)
	r, ok := s.find(hash, key)
	if !ok {
		s.index.shard(hash).misses.Add(1)
		return r, false
	}
	s.index.shard(hash).hits.Add(1)
	e := s.entries.at(r.id)
	e.mark()
	if s.order.stale(&e.node) && s.mu.TryLock() {
		s.order.renew(r.id)
		s.mu.Unlock()
	}
	if s.pressed.Load() && s.shadows.sampled(hash) && s.shadows.news(hash, s.order.now.Load()) {
		s.learn(hash, e.size)
	}
	return r, true
}

// GetString is Get for a key that is a string.
func (s *Store) GetString(key string) (Ref, bool) { return s.Get(bytesOf(key)) }

// Peek is Get that counts nothing and does not help the record to stay.
func (s *Store) Peek(key []byte) (Ref, bool) { return s.find(s.hash(key), key) }

// bytesOf returns the bytes of a key, which nobody here writes to or keeps.
func bytesOf(key string) []byte { return unsafe.Slice(unsafe.StringData(key), len(key)) }

// learn lets the shadows see a request and follows their advice.
func (s *Store) learn(hash uint64, size uint32) {
	m, changed := s.shadows.request(hash, size)
	if !changed {
		return
	}
	s.mu.Lock()
	s.order.setMode(m)
	s.mu.Unlock()
}

// find returns the record of a key.
func (s *Store) find(hash uint64, key []byte) (Ref, bool) {
	x := s.index.shard(hash)
	before := x.changed.Load()
	id := x.chain(hash).Load()
	for range longest {
		if id == 0 {
			if before&1 == 0 && x.changed.Load() == before {
				return Ref{}, false
			}
			break
		}
		e := s.entries.at(id)
		if e.hash.Load() == hash {
			ok, busy := e.state.acquire()
			if busy {
				break
			}
			if r := (Ref{s, id}); ok && e.hash.Load() == hash && string(r.Key()) == string(key) {
				return r, true
			} else if ok {
				r.Release()
			}
		}
		id = e.next.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id = s.lookup(hash, key)
	if id == 0 {
		return Ref{}, false
	}
	s.entries.at(id).state.acquire()
	return Ref{s, id}, true
}

// lookup returns the entry of a key, 0 if there is none, under the lock.
func (s *Store) lookup(hash uint64, key []byte) uint32 {
	for id := s.index.shard(hash).chain(hash).Load(); id != 0; {
		e := s.entries.at(id)
		if e.hash.Load() == hash && string(Ref{s, id}.Key()) == string(key) {
			return id
		}
		id = e.next.Load()
	}
	return 0
}
