// SPDX-License-Identifier: Apache-2.0

// Package store keeps stored answers by key: those in use in memory, and all of them on
// disk if there is one (design 3.8). What does not fit into one record lies in slices.
//
// It promises: an object is visible to all once Put has returned; objects never change,
// but for their stamps; what an invalidation has ended is neither given out nor taken in
// (D25.14, D25.15), nor does it come back after a restart; a hit in memory allocates
// nothing. A disk that fails is gone without: what it had is not there, and memory goes
// on. It does not judge freshness, and it may drop any object at any moment. It starts no
// goroutine.
package store

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/memory"
)

const (
	// maxInline is the longest body that lies with its head in one record. Longer ones are
	// sent from files: for them that costs a third (design 3.7).
	maxInline = 256 << 10
	// stripes is how many writers can be busy at a time, each with another key.
	stripes = 256
)

// Config says what a Store may use.
type Config struct {
	// MemoryBytes bounds what is in memory, at least a few MiB.
	MemoryBytes int64
	// Disk is the second tier, nil for none. The Store does not close it.
	Disk *disk.Log
	// Ended says which objects are dead.
	Ended *invalidation.Table
}

// Store holds objects by key. It is safe for concurrent use.
type Store struct {
	memory   *memory.Store
	disk     *disk.Log
	ended    *invalidation.Table
	versions atomic.Uint64
	limits   struct{ memory, disk int64 }
	seed     maphash.Seed
	locks    [stripes]sync.Mutex // of writers, by key
}

// Open returns a store of what is on disk.
func Open(c Config) (*Store, error) {
	m, err := memory.New(memory.Config{Limit: c.MemoryBytes, MaxRecord: SliceBytes + 4<<10})
	if err != nil {
		return nil, fmt.Errorf("open the cache in memory: %w", err)
	}
	s := &Store{memory: m, disk: c.Disk, ended: c.Ended, seed: maphash.MakeSeed()}
	s.versions.Store(rand.Uint64())
	s.limits.memory = m.Stats().Limit
	if c.Disk != nil {
		s.limits.disk = c.Disk.Stats().Limit
	}
	return s, nil
}

// Close gives the memory back. It fails while views are held.
func (s *Store) Close() error { return s.memory.Close() }

// MaxInline is the longest body of an object that is not in slices.
func (s *Store) MaxInline() int64 { return min(maxInline, int64(s.memory.MaxRecord())/2) }

// Get makes v a view of the object of that key, to be released, and says whether there is
// one. What is found dead is counted and removed.
func (s *Store) Get(ctx context.Context, key cachekey.Key, v *View) bool {
	return s.look(ctx, key, v) && s.living(v)
}

// Recall is Get for those who look once more, such as a fill before it asks an origin: it
// is not counted, helps nothing to stay, and brings nothing into memory.
func (s *Store) Recall(key cachekey.Key, v *View) bool {
	return s.peek(key.Own(), v, true) && s.living(v)
}

// living says whether what v shows may be given out. What is dead is removed.
func (s *Store) living(v *View) bool {
	if s.settles(&v.Object) {
		return true
	}
	if by, dead := s.ended.Dead(v.Key, v.Stamp, v.tagList()); dead {
		if s.drop(v, memory.Invalidated) && by != nil {
			by.Met() // by one of those who meet it at the same time
		}
		v.Release()
		return false
	}
	s.raise(v)
	return true
}

// look makes v a view of what is stored, be it dead.
func (s *Store) look(ctx context.Context, key cachekey.Key, v *View) bool {
	r, ok := s.memory.GetString(string(key))
	if !ok {
		return s.disk != nil && s.fetch(ctx, key, v)
	}
	return s.viewOf(r, v)
}

// viewOf makes v a view of a record in memory.
func (s *Store) viewOf(r memory.Ref, v *View) bool {
	if v.decode(cachekey.View(r.Key()), r.Bytes()) != nil {
		r.Release()
		return false
	}
	v.record = r
	if at := int64(r.Word(wordRevision).Load()); at > v.stamp.Moment().Revision {
		v.stamp.Set(invalidation.Moment{Era: v.stamp.Moment().Era, Revision: at})
	}
	return true
}

// wordRevision is the word of a record in memory that holds the revision of its stamp,
// once that was raised.
const wordRevision = 0

// settles says whether a view is alive for sure.
func (s *Store) settles(o *Object) bool { return s.ended.Settled(o.Stamp) }

// raise writes a stamp that was raised into the record.
func (s *Store) raise(v *View) {
	if !v.record.Valid() {
		return
	}
	w, to := v.record.Word(wordRevision), uint64(v.Stamp.Moment().Revision)
	for now := w.Load(); now < to && !w.CompareAndSwap(now, to); now = w.Load() {
	}
}

// fetch makes v a view of an object that is on disk, and brings it into memory.
func (s *Store) fetch(ctx context.Context, key cachekey.Key, v *View) bool {
	r, ok := s.disk.Get(ctx, string(key))
	if !ok {
		return false
	}
	defer r.Release()
	at := r.Stamp()
	size := len(r.Head()) + int(r.Size())
	d, ok := s.memory.Reserve([]byte(key), size)
	if !ok {
		b, err := r.Append(ctx, append(make([]byte, 0, size), r.Head()...))
		return err == nil && v.onDisk(key.Own(), b, at) == nil && v.complete()
	}
	b := d.Bytes()
	if n := copy(b, r.Head()); r.Size() > 0 {
		if _, err := r.ReadAt(ctx, b[n:], 0); err != nil {
			d.Discard()
			return false
		}
	}
	d.Word(wordRevision).Store(uint64(at.Revision))
	lock := s.lock(key)
	defer lock.Unlock()
	if now, ok := s.memory.Peek([]byte(key)); ok { // somebody was faster
		d.Discard()
		return s.viewOf(now, v)
	}
	again, ok := s.disk.Peek(ctx, string(key))
	if !ok { // it was removed since
		d.Discard()
		return false
	}
	same := versionOf(again.Head()) == versionOf(b)
	again.Release()
	if !same {
		d.Discard()
		return false
	}
	return s.viewOf(d.Put(), v)
}

// Peek returns the object of that key as a value of its own, be it dead, and counts
// nothing.
func (s *Store) Peek(key cachekey.Key) (*Object, bool) {
	var v View
	if !s.peek(key, &v, true) {
		return nil, false
	}
	defer v.Release()
	return v.Own(), true
}

// peek makes v a view of what is stored, be it dead, and brings nothing into memory. Of
// what is on disk alone the body is left out, unless it is wanted.
func (s *Store) peek(key cachekey.Key, v *View, body bool) bool {
	if r, ok := s.memory.Peek([]byte(key)); ok {
		return s.viewOf(r, v)
	}
	if s.disk == nil {
		return false
	}
	ctx := context.Background() // a writer is not interrupted
	r, ok := s.disk.Peek(ctx, string(key))
	if !ok {
		return false
	}
	defer r.Release()
	b := append([]byte(nil), r.Head()...)
	if !body {
		return v.onDisk(key, b, r.Stamp()) == nil
	}
	b, err := r.Append(ctx, b)
	return err == nil && v.onDisk(key, b, r.Stamp()) == nil && v.complete()
}

// Alive says whether an object that Get has returned may still be used: it may have
// been invalidated meanwhile.
func (s *Store) Alive(o *Object) bool {
	if s.settles(o) {
		return true
	}
	_, dead := s.ended.Dead(o.Key, o.Stamp, o.tagList())
	return !dead
}

// holds says whether what is stored under a key is that version of an object.
func (s *Store) holds(key cachekey.Key, version uint64) bool {
	var now View
	ok := s.peek(key, &now, false)
	now.Release()
	return ok && now.version == version
}

// lock locks writers of a key.
func (s *Store) lock(key cachekey.Key) *sync.Mutex {
	l := &s.locks[maphash.String(s.seed, string(key))%stripes]
	l.Lock()
	return l
}

// drop removes what v shows unless something else has taken its place, and says whether it did.
func (s *Store) drop(v *View, why memory.Reason) bool {
	lock := s.lock(v.Key)
	defer lock.Unlock()
	if v.record.Valid() {
		if !s.memory.Remove(v.record, why) {
			return false
		}
	} else if !s.holds(v.Key, v.version) {
		return false
	}
	if s.disk != nil {
		s.disk.Delete(string(v.Key))
	}
	return true
}
