// SPDX-License-Identifier: Apache-2.0

package snapshot

import "iter"

// fanout is how many branches a table has, and shards each branch: 4096 shards in
// all, so that with 10,000 entries a change copies two short arrays and a map of two
// or three entries, and with 100,000 one of 25. Its cost hardly depends on how much
// else there is (design 3.2).
const fanout = 64

type shard[V any] = map[string]V

type branch[V any] [fanout]shard[V]

// table maps strings to values. It is immutable: edit makes a changed copy that
// shares every untouched shard. The zero value is empty.
type table[V any] struct {
	root *[fanout]*branch[V]
	size int
}

func (t table[V]) get(key string) (V, bool) {
	v, ok := t.shard(place(key))[key]
	return v, ok
}

// shard returns the shard at a place; nil, which reads as empty, if there is none.
func (t table[V]) shard(at uint16) shard[V] {
	if t.root == nil || t.root[at/fanout] == nil {
		return nil
	}
	return t.root[at/fanout][at%fanout]
}

func (t table[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if t.size == 0 {
			return
		}
		for at := range uint16(fanout * fanout) {
			for k, v := range t.shard(at) {
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
	// owned says which parts are this editor's own copies: nil for none, then each
	// branch and shard that it has touched.
	owned *[fanout]*[fanout]bool
}

func (e *editor[V]) set(key string, v V) {
	shard := e.own(place(key))
	if _, ok := shard[key]; !ok {
		e.size++
	}
	shard[key] = v
}

func (e *editor[V]) del(key string) {
	if _, ok := e.get(key); !ok {
		return
	}
	delete(e.own(place(key)), key)
	e.size--
}

// own returns a shard that may be written to, copying what leads to it the first time.
func (e *editor[V]) own(at uint16) shard[V] {
	i, j := at/fanout, at%fanout
	if e.owned == nil {
		e.owned = new([fanout]*[fanout]bool)
		e.root = clone(e.root)
	}
	if e.owned[i] == nil {
		e.owned[i] = new([fanout]bool)
		e.root[i] = clone(e.root[i])
	}
	if !e.owned[i][j] {
		e.owned[i][j] = true
		old := e.root[i][j]
		own := make(shard[V], len(old)+1)
		for k, v := range old {
			own[k] = v
		}
		e.root[i][j] = own
	}
	return e.root[i][j]
}

// clone copies an array; nil counts as one of zero values.
func clone[A any](old *A) *A {
	out := new(A)
	if old != nil {
		*out = *old
	}
	return out
}

// done returns the new table. The editor must not be used afterwards.
func (e *editor[V]) done() table[V] { return e.table }

// place is the shard of a key, by FNV-1a: short keys, no seed needed, because whoever
// chooses host names is an operator of this installation.
func place[K string | []byte](key K) uint16 {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return uint16(h^h>>12^h>>24) % (fanout * fanout)
}
