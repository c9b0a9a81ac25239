// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"hash/maphash"
	"sync/atomic"
)

// Draft is a record that is being written and that nobody else sees. It ends with Put,
// a Swap that succeeds, or Discard. The zero Draft is none.
type Draft struct{ ref Ref }

// hash is keyed with a secret of the process.
func (s *Store) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

// Reserve makes a draft of a record of size bytes, for which others may have to go. It
// fails when the record is larger than MaxRecord, or when there is no room because too
// much is held. The bytes of the draft are undefined until they are written.
func (s *Store) Reserve(key []byte, size int) (Draft, bool) {
	const rounds = 64 // of eviction, while others take what becomes free
	if size < 0 || size > s.maxRecord-len(key) {
		s.mu.Lock()
		s.counts.RefusedSize++
		s.mu.Unlock()
		return Draft{}, false
	}
	for range rounds {
		dying := s.dying()
		s.mu.Lock()
		id := s.allocate(blockSize(len(key), size), &dying)
		if id == 0 && len(dying.records) == 0 {
			s.counts.RefusedRoom++
			s.mu.Unlock()
			return Draft{}, false
		}
		s.mu.Unlock()
		dying.end()
		if id != 0 {
			return s.draft(id, key, size), true
		}
	}
	s.mu.Lock()
	s.counts.RefusedRoom++
	s.mu.Unlock()
	return Draft{}, false
}

func (s *Store) draft(id uint32, key []byte, size int) Draft {
	r := Ref{s, id}
	s.entries.at(id).hash.Store(s.hash(key))
	h, data := r.block()
	h.key, h.value = uint32(len(key)), uint32(size)
	for i := range h.words {
		h.words[i].Store(0)
	}
	copy(data, key)
	return Draft{r}
}

// Key returns the key, which must not be written to.
func (d Draft) Key() []byte { return d.ref.Key() }

// Bytes returns the bytes of the record to be written.
func (d Draft) Bytes() []byte { return d.ref.Bytes() }

// Word is as Ref.Word; words begin as 0.
func (d Draft) Word(i int) *atomic.Uint64 { return d.ref.Word(i) }

// Put makes the draft the record of its key, in the place of what was there, and
// returns it. The caller releases it.
func (d *Draft) Put() Ref {
	r, _ := d.publish(func(uint32) bool { return true })
	return r
}

// Swap is Put if old is still the record of the key; with a zero old, if there is none.
// Otherwise the draft is as before.
func (d *Draft) Swap(old Ref) (Ref, bool) {
	return d.publish(func(now uint32) bool { return now == old.id })
}

// publish is Put if may says so of what is there.
func (d *Draft) publish(may func(now uint32) bool) (Ref, bool) {
	r := d.ref
	s, e := r.store, r.store.entries.at(r.id)
	hash := e.hash.Load()
	s.mu.Lock()
	old := s.lookup(hash, r.Key())
	if !may(old) {
		s.mu.Unlock()
		return Ref{}, false
	}
	*d = Draft{}
	e.state.publish()
	s.index.add(&s.entries, r.id)
	if old != 0 {
		s.order.replace(old, r.id)
		s.detach(old)
		s.counts.EvictedReplaced++
	} else {
		s.order.admit(r.id, hash)
	}
	s.mu.Unlock()
	if old == 0 && s.pressed.Load() && s.shadows.sampled(hash) {
		s.learn(hash, e.size)
	}
	return r, true
}

// Discard gives the draft up. Of a zero Draft it does nothing.
func (d *Draft) Discard() {
	s, id := d.ref.store, d.ref.id
	if s == nil {
		return
	}
	*d = Draft{}
	s.entries.at(id).state.v.Store(0)
	s.mu.Lock()
	s.free(id)
	s.mu.Unlock()
}

// Set makes a record of size bytes, which write fills, the one of its key, and says
// whether it could. If it could not, the key has what it had.
func (s *Store) Set(key []byte, size int, write func(dst []byte)) bool {
	d, ok := s.Reserve(key, size)
	if !ok {
		return false
	}
	write(d.Bytes())
	r := d.Put()
	r.Release()
	return true
}

// Reason is why a record is removed, for the counts.
type Reason uint8

// The reasons.
const (
	Deleted     Reason = iota // its owner has no use for it
	Invalidated               // it was declared dead
)

// Remove removes the record that r holds if it still is the one of its key, and says
// whether it was. r goes on holding it.
func (s *Store) Remove(r Ref, why Reason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.Stored() {
		return false
	}
	s.removed(r.id, why)
	return true
}

// Delete removes the record of that key, and says whether there was one.
func (s *Store) Delete(key []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.lookup(s.hash(key), key)
	if id == 0 {
		return false
	}
	s.removed(id, Deleted)
	return true
}

func (s *Store) removed(id uint32, why Reason) {
	s.detach(id)
	if why == Invalidated {
		s.counts.EvictedInvalidated++
	} else {
		s.counts.EvictedDeleted++
	}
}
