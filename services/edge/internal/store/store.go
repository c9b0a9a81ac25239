// SPDX-License-Identifier: Apache-2.0

// Package store keeps stored answers in memory, up to a limit in bytes. Which ones
// stay is decided by how often and how recently they were asked for.
//
// It promises: an object is visible to all once Put has returned; one object takes
// at most an eighth of the limit; objects never change, but for their stamps; what an
// invalidation has ended is neither given out nor taken in (D25.14, D25.15). It does
// not judge freshness, and it may drop any object at any moment. It starts no
// goroutine.
package store

import (
	"math"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// share of the limit that one object may take at most: with fewer than eight
// objects of the largest kind there would be nothing to choose from.
const share = 8

// Store holds objects by key. It is safe for concurrent use.
type Store struct {
	objects *otter.Cache[cachekey.Key, *Object]
	limit   int64
	ended   *invalidation.Table
}

// Open returns an empty store of that many bytes, counted as Object.Cost. Below a
// few thousand it holds next to nothing. Which objects are dead, ended says.
func Open(limit int64, ended *invalidation.Table) *Store {
	limit = max(limit, 1)
	return &Store{
		limit: limit, ended: ended,
		objects: otter.Must(&otter.Options[cachekey.Key, *Object]{
			MaximumWeight: uint64(limit),
			Weigher:       func(_ cachekey.Key, o *Object) uint32 { return uint32(o.Cost()) },
			StatsRecorder: stats.NewCounter(),
			// Room is made by whoever puts something in: no goroutine of its own, and
			// the limit holds when Put returns.
			Executor: func(task func()) { task() },
			Logger:   &otter.NoopLogger{},
		}),
	}
}

// MaxObject is the largest Object.Cost that Put takes.
func (s *Store) MaxObject() int64 { return min(s.limit/share, math.MaxUint32) }

// Get returns the object of that key. One that is found dead is counted and removed.
func (s *Store) Get(key cachekey.Key) (*Object, bool) {
	o, ok := s.objects.GetIfPresent(key)
	if !ok || !s.lives(o) {
		return nil, false
	}
	return o, true
}

// Peek returns the object of that key, be it dead, and counts nothing.
func (s *Store) Peek(key cachekey.Key) (*Object, bool) {
	e, ok := s.objects.GetEntryQuietly(key)
	return e.Value, ok
}

// Alive says whether an object that Get has returned may still be used: it may have
// been invalidated meanwhile.
func (s *Store) Alive(o *Object) bool {
	_, dead := s.ended.Dead(o.Key, o.Stamp, o.Tags)
	return !dead
}

// lives is Alive for an object that is stored.
func (s *Store) lives(o *Object) bool {
	by, dead := s.ended.Dead(o.Key, o.Stamp, o.Tags)
	if dead && s.remove(o) {
		by.Met() // by one of those who meet it at the same time
	}
	return !dead
}

// remove removes o unless something else has taken its place, and says whether it did.
func (s *Store) remove(o *Object) (removed bool) {
	s.objects.ComputeIfPresent(o.Key, func(now *Object) (*Object, otter.ComputeOp) {
		if removed = now == o; removed {
			return nil, otter.InvalidateOp
		}
		return now, otter.CancelOp
	})
	return removed
}

// Put makes o the object of its key and says whether it could: one that is dead or
// costs more than MaxObject is not kept, and what was stored before is gone.
func (s *Store) Put(o *Object) bool {
	if o.Cost() > s.MaxObject() || !s.fits(o) {
		s.Delete(o.Key)
		return false
	}
	s.objects.Set(o.Key, o)
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

// Offer is Put unless what has the place says, in stays, that it stays: stays is
// called with it, under a lock, so that nothing comes in between. What is dead is not
// asked. An o that is dead leaves what is there.
func (s *Store) Offer(o *Object, stays func(now *Object) bool) {
	if !s.fits(o) {
		return
	}
	s.objects.Compute(o.Key, func(now *Object, found bool) (*Object, otter.ComputeOp) {
		switch {
		case found && s.Alive(now) && stays(now):
			return now, otter.CancelOp
		case o.Cost() <= s.MaxObject():
			return o, otter.WriteOp
		case found:
			return nil, otter.InvalidateOp
		default:
			return nil, otter.CancelOp
		}
	})
}

// Replace puts next in the place of old, which has the same key, unless something
// else has taken that place meanwhile: the outcome of asking about old must not
// push a newer answer out. A nil next removes old, and so does one that is dead.
func (s *Store) Replace(old, next *Object) {
	if next != nil && !s.fits(next) {
		next = nil
	}
	s.objects.ComputeIfPresent(old.Key, func(now *Object) (*Object, otter.ComputeOp) {
		switch {
		case now != old:
			return now, otter.CancelOp
		case next == nil || next.Cost() > s.MaxObject():
			return nil, otter.InvalidateOp
		default:
			return next, otter.WriteOp
		}
	})
}

// Delete removes the object of that key, if there is one.
func (s *Store) Delete(key cachekey.Key) { s.objects.Invalidate(key) }

// Stats is what a Store holds and what it did since it was opened.
type Stats struct {
	// Bytes are the sum of Object.Cost over Objects; Limit is what Bytes may reach.
	Bytes, Limit, Objects int64
	// Hits and Misses count calls of Get, Evictions the objects that had to make
	// room.
	Hits, Misses, Evictions int64
}

// Stats returns the present numbers, for gauges.
func (s *Store) Stats() Stats {
	c := s.objects.Stats()
	return Stats{
		Bytes: int64(s.objects.WeightedSize()), Limit: s.limit, Objects: int64(s.objects.EstimatedSize()),
		Hits: int64(c.Hits), Misses: int64(c.Misses), Evictions: int64(c.Evictions),
	}
}
