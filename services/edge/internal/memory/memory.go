// SPDX-License-Identifier: Apache-2.0

// Package memory keeps records of bytes by key in memory outside the heap, and decides
// which of them stay. What a record is, it does not know.
//
// It promises:
//   - All that it takes, index, gaps and records that are gone but held included, stays
//     within the limit; only what is held can keep it from following a lower limit.
//   - A record does not change, but for its words, and is there for as long as somebody
//     holds it, whatever happens to its key. Nobody ever sees bytes of another record.
//   - Finding and releasing a record allocates nothing and waits for no lock, but in
//     the moment in which that record is moved.
//   - It starts no goroutine.
//
// Any record may go at any moment, and a record may be refused: it is a cache.
package memory

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const (
	// DefaultMaxRecord is the largest record if a Config does not say.
	DefaultMaxRecord = 256 << 10
	// MinLimit is the least limit; lower ones are taken as this.
	MinLimit = 256 << 10

	mostMaxRecord = 64 << 20
	leastSegment  = 4 << 10
	mostSegment   = 2 << 20
	fewSegments   = 4        // there are always that many
	fixed         = 32 << 10 // Store itself, with its index when that is empty
)

// Config is what a Store needs to know.
type Config struct {
	// Limit is how many bytes it may take in all.
	Limit int64
	// MaxRecord is the largest record that is taken, key and bytes together. By
	// default 256 KiB; at most a 64th of Limit.
	MaxRecord int
	// Evicted, if set, is called with each record that goes for want of room, by who
	// needs the room, without any lock. It is released afterwards; Evicted may Retain
	// it, but until all have released it there is no room for another.
	Evicted func(r Ref)
}

// Store holds records. It is safe for concurrent use.
type Store struct {
	seed      maphash.Seed // secret of the process: keys that collide cannot be made up
	maxRecord int
	evicted   func(r Ref)

	index   index
	entries entries
	shadows *shadows
	pressed atomic.Bool // somewhat full: who goes begins to matter

	mu    sync.Mutex // guards the rest, and all changes of the above
	limit int64
	log   *log
	order order
	held  int64 // bytes of records that are gone but held
	// reserve is the part of the room that is left free, beyond what the log does,
	// since records do not fit into its gaps. It follows need.
	reserve int64
	closed  bool
	counts  Counts
}

// New returns an empty Store.
func New(c Config) (*Store, error) {
	if c.Limit <= 0 || c.MaxRecord < 0 || c.MaxRecord > mostMaxRecord {
		return nil, fmt.Errorf("memory of %d bytes for records of up to %d: the limit must be above 0, and records between 0 and %d",
			c.Limit, c.MaxRecord, mostMaxRecord)
	}
	if c.MaxRecord == 0 {
		c.MaxRecord = DefaultMaxRecord
	}
	c.Limit = max(c.Limit, MinLimit)
	// Many segments, so that what is lost to one is little; large ones, so that many
	// records fit in one.
	size := int(min(c.Limit/32, int64(max(mostSegment, 8*c.MaxRecord)))) &^ (leastSegment - 1)
	s := &Store{
		seed: maphash.MakeSeed(), evicted: c.Evicted,
		maxRecord: min(c.MaxRecord, size/2-blockSize(0, alignment)),
		limit:     c.Limit, log: newLog(size), shadows: newShadows(c.Limit),
	}
	s.index.prepare()
	s.order.at = func(id uint32) *node { return &s.entries.at(id).node }
	s.order.setMode(modes()[0])
	s.log.move = s.move
	if err := s.entries.grow(); err != nil {
		return nil, fmt.Errorf("map memory: %w", err)
	}
	s.fit()
	return s, nil
}

// MaxRecord is the largest record that Reserve takes, key and bytes together.
func (s *Store) MaxRecord() int { return s.maxRecord }

// overhead is what is taken beside segments. The tables of the index and of the ghost
// are counted as large as they may become with the entries that there are.
func (s *Store) overhead() int64 {
	const places = 2 * (4 + 8) // tables double when they are full
	n := int64(len(s.entries.chunks))
	return fixed + n*(int64(chunkSize)+entriesInChunk*places) + s.shadows.bytes()
}

// fit makes everything follow what there is room for.
func (s *Store) fit() {
	most := int(max((s.limit-s.overhead())/int64(s.log.segmentSize), fewSegments))
	if most == s.log.most {
		return
	}
	s.log.most = most
	s.order.capacity = s.log.room()
	s.shadows.resize(s.order.capacity)
}

// SetLimit changes the limit. When it returns, what is above a lower one has been given
// back to the system, but for what is held. MaxRecord stays what it was, and so do the
// sizes of segments and of the index: below a quarter of the limit that New had, more
// may be taken than the limit says.
func (s *Store) SetLimit(limit int64) {
	s.mu.Lock()
	s.limit = max(limit, MinLimit)
	s.fit()
	s.mu.Unlock()
	for more := true; more; {
		dying := s.dying()
		s.mu.Lock()
		more = s.recede(&dying) || len(dying.records) > 0
		s.mu.Unlock()
		dying.end()
	}
}

// recede goes a step towards what there may be, and says whether there are more. Those
// that are dying have to end first.
func (s *Store) recede(d *dying) (more bool) {
	const few = 64 // records at once
	s.log.shrink()
	if s.log.live-d.bytes <= s.log.room() {
		if s.log.mapped <= s.log.most || len(d.records) > 0 {
			return false
		}
		for before := s.log.mapped; s.log.clean(s.log.segmentSize, true); {
			if s.log.shrink(); s.log.mapped < before {
				return true
			}
			if s.log.cleaning < 0 {
				break
			}
		}
	}
	for range few {
		if !s.evict(d) {
			return false
		}
	}
	return true
}

// errHeld is what keeps a Store from being closed.
var errHeld = errors.New("records are held")

// Close gives all memory back. It fails, and changes nothing, while records are held.
// Nothing may be done with s afterwards.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if s.holders() > 0 {
		return fmt.Errorf("close memory: %w", errHeld)
	}
	s.closed = true
	var failed error
	for _, g := range s.log.segments {
		if g.place != gone {
			failed = errors.Join(failed, s.log.unmap(g))
		}
	}
	return errors.Join(failed, s.entries.close())
}

// holders counts those who hold records or write some.
func (s *Store) holders() (n int) {
	for id := range uint32(len(s.entries.chunks) * entriesInChunk) {
		n += int(s.entries.at(id).state.v.Load() & count)
	}
	return n
}
