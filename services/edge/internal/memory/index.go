// SPDX-License-Identifier: Apache-2.0

package memory

import "sync/atomic"

const (
	shardBits = 6
	// longest is how many entries of a chain are looked at without the lock: a
	// reader may get into another chain, or in a circle, while entries are used again.
	longest = 64
)

// index finds entries by hash: chains of entries, in tables that grow one by one so
// that nobody waits for a large one. It is changed under the lock and read without.
type index struct{ shards [1 << shardBits]shard }

type shard struct {
	table atomic.Pointer[[]atomic.Uint32] // the beginnings of the chains
	// changed counts the beginnings and ends of what makes readers miss what is there:
	// while it is odd, or has moved, who found nothing looks again under the lock.
	changed      atomic.Uint32
	n            int
	hits, misses atomic.Int64
	_            [64]byte // each shard is counted in a cache line of its own
}

func (x *index) shard(hash uint64) *shard { return &x.shards[hash>>(64-shardBits)] }

func (s *shard) chain(hash uint64) *atomic.Uint32 {
	table := *s.table.Load()
	return &table[int(hash)&(len(table)-1)]
}

// add makes an entry the first of its chain.
func (x *index) add(all *entries, id uint32) {
	e := all.at(id)
	s := x.shard(e.hash.Load())
	if table := *s.table.Load(); s.n >= len(table) {
		s.grow(all, table)
	}
	chain := s.chain(e.hash.Load())
	e.next.Store(chain.Load())
	chain.Store(id)
	s.n++
}

// remove takes an entry out of its chain.
func (x *index) remove(all *entries, id uint32) {
	e := all.at(id)
	s := x.shard(e.hash.Load())
	s.changed.Add(1)
	at := s.chain(e.hash.Load())
	for at.Load() != id {
		at = &all.at(at.Load()).next
	}
	at.Store(e.next.Load())
	s.n--
	s.changed.Add(1)
}

func (s *shard) grow(all *entries, old []atomic.Uint32) {
	s.changed.Add(1)
	table := make([]atomic.Uint32, 2*len(old))
	for i := range old {
		for id := old[i].Load(); id != 0; {
			e := all.at(id)
			next := e.next.Load()
			chain := &table[int(e.hash.Load())&(len(table)-1)]
			e.next.Store(chain.Load())
			chain.Store(id)
			id = next
		}
	}
	s.table.Store(&table)
	s.changed.Add(1)
}

// prepare makes an empty index.
func (x *index) prepare() {
	for i := range x.shards {
		table := make([]atomic.Uint32, 8)
		x.shards[i].table.Store(&table)
	}
}
