// SPDX-License-Identifier: Apache-2.0

package store

import (
	"slices"
	"sync"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
)

// heads has *[]byte for heads of records that are being written, views *View that nobody
// uses.
var heads, views sync.Pool //nolint:gochecknoglobals // pools of buffers are no state

// Put makes o the object of its key and says whether it could: one that is dead or too
// large is not kept, and what was stored before is gone.
func (s *Store) Put(o *Object) bool {
	lock := s.lock(o.Key)
	defer lock.Unlock()
	return s.put(o)
}

// put is Put with the lock of the key held.
func (s *Store) put(o *Object) bool {
	if !o.fits() || !s.fits(o) || !s.write(o) {
		s.remove(o.Key)
		return false
	}
	return true
}

// fits says whether a new object is alive.
func (s *Store) fits(o *Object) bool {
	alive := s.Alive(o)
	if !alive {
		s.ended.Refused() // D25.15
	}
	return alive
}

// write puts o into both tiers and says whether one has it. What the edge itself knows
// only for a short while does not go on disk.
func (s *Store) write(o *Object) bool {
	o.version = s.versions.Add(1)
	room, ok := heads.Get().(*[]byte)
	if !ok {
		room = new([]byte)
	}
	defer heads.Put(room)
	n := o.headLength()
	head := slices.Grow((*room)[:0], n)[:n]
	*room = head
	clear(head)
	o.encodeHead(head)
	stored := s.memory.Set([]byte(o.Key), n+o.bodyLength(), func(b []byte) {
		copy(b, head)
		for _, piece := range o.Body {
			n += copy(b[n:], piece)
		}
	})
	if !stored {
		s.memory.Delete([]byte(o.Key)) // what it had is another
	}
	if s.disk == nil {
		return stored
	}
	if o.HitForMiss || o.Made != "" {
		s.disk.Delete(string(o.Key))
		return stored
	}
	at := o.Stamp.Moment()
	return s.disk.Put(string(o.Key), disk.Stamp{Era: at.Era, Revision: at.Revision}, head, o.Body...) == nil || stored
}

// remove removes the object of a key, with its lock held.
func (s *Store) remove(key cachekey.Key) {
	s.memory.Delete([]byte(key))
	if s.disk != nil {
		s.disk.Delete(string(key))
	}
}

// Offer is Put unless what has the place says, in stays, that it stays: stays is
// called with it, under a lock, so that nothing comes in between. It is a view without
// its body. What is dead is not asked. An o that is dead leaves what is there.
func (s *Store) Offer(o *Object, stays func(now *Object) bool) {
	if !s.fits(o) {
		return
	}
	lock := s.lock(o.Key)
	defer lock.Unlock()
	now, ok := views.Get().(*View)
	if !ok {
		now = new(View)
	}
	stay := s.peek(o.Key, now, false) && s.Alive(&now.Object) && stays(&now.Object)
	now.Release()
	*now = View{}
	views.Put(now)
	if !stay {
		s.put(o)
	}
}

// Replace puts next in the place of old, which has the same key, unless something
// else has taken that place meanwhile: the outcome of asking about old must not
// push a newer answer out. A nil next removes old, and so does one that is dead.
func (s *Store) Replace(old, next *Object) {
	if next != nil && !s.fits(next) {
		next = nil
	}
	lock := s.lock(old.Key)
	defer lock.Unlock()
	switch {
	case !s.holds(old.Key, old.version):
	case next == nil:
		s.remove(old.Key)
	default:
		s.put(next)
	}
}

// Delete removes the object of that key, if there is one.
func (s *Store) Delete(key cachekey.Key) {
	lock := s.lock(key)
	defer lock.Unlock()
	s.remove(key)
}
