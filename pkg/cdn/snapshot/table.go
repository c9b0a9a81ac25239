// SPDX-License-Identifier: Apache-2.0

package snapshot

import "iter"

// shardCount is how many pieces a table has. A change copies the pieces that it
// touches, so its cost hardly depends on how much else there is (design 3.2).
const shardCount = 256

// table maps strings to values. It is immutable: edit makes a changed copy that
// shares every untouched shard. The zero value is empty.
type table[V any] struct {
	shards *[shardCount]map[string]V
	size   int
}

func (t table[V]) get(key string) (V, bool) {
	if t.shards == nil {
		var none V
		return none, false
	}
	v, ok := t.shards[shardOf(key)][key]
	return v, ok
}

func (t table[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if t.shards == nil {
			return
		}
		for _, shard := range t.shards {
			for k, v := range shard {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// edit begins a changed copy. The table itself stays as it is.
func (t table[V]) edit() *editor[V] {
	return &editor[V]{table: t}
}

// editor builds the next version of a table. It is used by one goroutine.
type editor[V any] struct {
	table[V]
	owned [shardCount]bool // shards that this editor has copied
	began bool             // the array of shards is this editor's own
}

func (e *editor[V]) set(key string, v V) {
	shard := e.own(key)
	if _, ok := shard[key]; !ok {
		e.size++
	}
	shard[key] = v
}

func (e *editor[V]) del(key string) {
	if _, ok := e.get(key); !ok {
		return
	}
	delete(e.own(key), key)
	e.size--
}

// own returns a shard that may be written to, copying it the first time.
func (e *editor[V]) own(key string) map[string]V {
	if !e.began {
		e.began = true
		shards := new([shardCount]map[string]V)
		if e.shards != nil {
			*shards = *e.shards
		}
		e.shards = shards
	}
	i := shardOf(key)
	if !e.owned[i] {
		e.owned[i] = true
		old := e.shards[i]
		shard := make(map[string]V, len(old)+1)
		for k, v := range old {
			shard[k] = v
		}
		e.shards[i] = shard
	}
	return e.shards[i]
}

// done returns the new table. The editor must not be used afterwards.
func (e *editor[V]) done() table[V] { return e.table }

// shardOf is FNV-1a over the key: short keys, no seed needed, because whoever
// chooses host names is an operator of this installation.
func shardOf(key string) uint8 {
	h := uint32(2166136261)
	for i := 0; i < len(key); i++ {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return uint8(h ^ h>>8 ^ h>>16 ^ h>>24)
}
