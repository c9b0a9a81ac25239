// SPDX-License-Identifier: Apache-2.0

// Package invalidation knows which stored objects an edge may no longer use (design
// 3.5, D25). A Table holds what was invalidated since when; an object bears a Stamp
// that says up to which revision it has been held against the table.
//
// It promises: an object that an applied invalidation concerns, and whose request to
// the origin began before that was applied, is dead for every request that looks from
// then on; an object that no invalidation concerns costs one atomic load, and a look
// into the table once after each invalidation; memory is bounded. Where the table
// cannot know, the object is dead. It does not hold the objects, does not walk them,
// and does no I/O: package lastgood keeps the invalidations on disk.
package invalidation

import (
	"sync"
	"sync/atomic"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/canonical"
)

// Bounds of a Table.
const (
	// maxBytes bounds what the entries take, all distributions together. Beyond it the
	// distribution with the most is taken to be invalidated as a whole.
	maxBytes = 64 << 20
	// entryBytes is what an entry takes besides its text, roughly.
	entryBytes = 96
	// sweepAt is how many entries make it worth while to walk the cache, so that they
	// can be forgotten.
	sweepAt = 10_000
)

// Table holds the invalidations of all distributions. It is safe for concurrent use;
// Apply, Drop and Forget are for one goroutine at a time.
type Table struct {
	era    atomic.Uint64
	newest atomic.Int64 // revision of the newest invalidation of all
	grown  chan struct{}
	limit  int

	numbers numbers

	mu            sync.RWMutex // guards the rest
	distributions map[string]*distribution
	floor         int64 // an object whose stamp is below is dead
	entries       int
	bytes         int
	recent        []*Count // of the newest invalidations, the newest last
}

// distribution holds the invalidations of one distribution: what, and the newest that
// names it.
type distribution struct {
	newest   int64
	whole    mark            // everything: /*
	exact    map[string]mark // by canonical path and query
	prefixes prefixes
	tags     map[string]mark // in lower case
	tagged   int64           // newest of tags
	entries  int
	bytes    int
}

// New returns an empty Table of an era, for objects whose stamps are not below floor.
func New(era uint64, floor int64) *Table {
	t := &Table{grown: make(chan struct{}, 1), limit: maxBytes, distributions: map[string]*distribution{}, floor: floor}
	t.era.Store(era)
	t.newest.Store(floor)
	return t
}

// Era returns the era that holds. A request reads it before it loads its
// configuration: so what it asks for is never taken for younger than it is.
func (t *Table) Era() uint64 { return t.era.Load() }

// Newest returns the revision of the newest invalidation of all.
func (t *Table) Newest() int64 { return t.newest.Load() }

// Moment returns the era that holds and the revision of its newest invalidation.
func (t *Table) Moment() Moment {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return Moment{Era: t.era.Load(), Revision: t.newest.Load()}
}

// Settled says whether an object with that stamp is alive for sure, because nothing at all
// was invalidated since. It is the quick beginning of Dead.
func (t *Table) Settled(s *Stamp) bool {
	at := s.Moment()
	return at.Era == t.era.Load() && t.newest.Load() <= at.Revision
}

// Dead says whether an object with that key, stamp and tags is dead, and what ended
// it, which is nil where no single invalidation did. The stamp of one that lives is
// raised. Tags are those of ParseTags.
func (t *Table) Dead(key cachekey.Key, s *Stamp, tags []string) (by *Count, dead bool) {
	at := s.Moment()
	if at.Era != t.era.Load() {
		return nil, true
	}
	if t.newest.Load() <= at.Revision {
		return nil, false
	}
	m, newest := t.look(key, tags, at.Revision)
	if m.revision > at.Revision {
		return m.by, true
	}
	s.raise(newest)
	return nil, false
}

// look returns the newest mark for an object, which need not be the newest if that is
// not above since, and the revision up to which the answer holds.
func (t *Table) look(key cachekey.Key, tags []string, since int64) (m mark, newest int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	newest = t.newest.Load()
	if since < t.floor {
		return mark{revision: t.floor}, newest
	}
	of, path, query, ok := key.Parts()
	if !ok {
		return mark{revision: newest}, newest
	}
	d := t.distributions[of]
	if d == nil || d.newest <= since {
		return mark{}, newest
	}
	m = d.match(path, query)
	for _, tag := range tags {
		m = newer(m, d.tags[tag])
	}
	return m, newest
}

// match returns the newest mark for a raw path and query.
func (d *distribution) match(path, query string) mark {
	m := d.whole
	if len(d.exact) == 0 && len(d.prefixes.next) == 0 {
		return m
	}
	var room [512]byte
	subject := canonical.Append(room[:0], path)
	if query != "" { // D25.4, D25.5
		subject = canonical.Append(append(subject, '?'), query)
	}
	m = newer(m, d.exact[string(subject)])
	return newer(m, d.prefixes.newest(subject))
}

// Fence returns the moment that a fill for key must have begun at, or later, for a
// request that begins now to share its answer (D25.15). What tags the answer will
// have nobody knows yet: so every invalidation by tag counts.
func (t *Table) Fence(key cachekey.Key) Moment {
	fence := Moment{Era: t.era.Load()}
	if t.newest.Load() == 0 {
		return fence
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	fence.Revision = t.floor
	of, path, query, ok := key.Parts()
	if d := t.distributions[of]; ok && d != nil {
		fence.Revision = max(fence.Revision, d.match(path, query).revision, d.tagged)
	}
	return fence
}

// Grown gets a token when there is so much in the table that the objects should be
// held against it, and Forget be called.
func (t *Table) Grown() <-chan struct{} { return t.grown }

// Forget drops every invalidation up to a moment. The caller has seen to it that no
// stored object with a lower stamp is of use: from now on it is dead. It does nothing
// and returns false when that era is over: the revisions of the next one may be lower,
// and nothing could be stored until they are above.
func (t *Table) Forget(to Moment) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if to.Era != t.era.Load() {
		return false
	}
	floor := to.Revision
	t.floor = max(t.floor, floor)
	for id, d := range t.distributions {
		t.entries -= d.entries
		t.bytes -= d.bytes
		if d.newest <= floor {
			delete(t.distributions, id)
			continue
		}
		next := d.above(floor)
		t.distributions[id] = next
		t.entries += next.entries
		t.bytes += next.bytes
	}
	return true
}

// Drop ends the era: every object is dead, and the table is empty.
func (t *Table) Drop(era uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.era.Store(era) // first: what the table held must not come to life
	clear(t.distributions)
	t.entries, t.bytes, t.floor, t.recent = 0, 0, 0, nil
	t.newest.Store(0) // a restored data set may have lower revisions
	t.numbers.drops.Add(1)
}
