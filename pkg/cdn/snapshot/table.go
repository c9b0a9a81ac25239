// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"hash/maphash"
	"iter"
	"slices"
)

// fanout is how many branches each of three levels has: 4096 shards in all. With
// 10,000 entries a change copies three short arrays and a shard of two or three
// entries, with 100,000 one of 25: its cost hardly depends on how much else there is
// (design 3.2).
const fanout = 16

// entry is one key with its value. Entries of a shard are in ascending order of hash.
type entry[V any] struct {
	hash  uint64
	key   string
	value V
}

type shard[V any] []entry[V]

// find returns where the key is; false: where it would have to be.
func find[V any, K string | []byte](s shard[V], hash uint64, key K) (int, bool) {
	i, j := 0, len(s)
	for i < j {
		if h := int(uint(i+j) >> 1); s[h].hash < hash {
			i = h + 1
		} else {
			j = h
		}
	}
	for ; i < len(s) && s[i].hash == hash; i++ {
		if s[i].key == string(key) {
			return i, true
		}
	}
	return i, false
}

// The levels. Each knows the edit that made it, which alone may change it; mine says
// so for each shard.
type (
	root[V any] struct {
		edit     uint64
		branches [fanout]*branch[V]
	}
	branch[V any] struct {
		edit  uint64
		twigs [fanout]*twig[V]
	}
	twig[V any] struct {
		edit   uint64
		mine   uint16
		shards [fanout]shard[V]
	}
)

// table maps strings to values. It is immutable: edit makes a changed copy that
// shares every untouched shard. The zero value is empty.
type table[V any] struct {
	root *root[V]
	size int
	edit uint64 // that made it; grows with each edit of an edit
}

// seed makes the places of keys, which only this process knows.
var seed = maphash.MakeSeed() //nolint:gochecknoglobals // never changes: a constant of the process

func (t table[V]) get(key string) (v V, ok bool) { return lookup(t, key) }

// lookup is get for a key that need not be a string.
func lookup[V any, K string | []byte](t table[V], key K) (v V, ok bool) {
	if t.root == nil {
		return v, false
	}
	hash := sum(key)
	b := t.root.branches[hash%fanout]
	if b == nil {
		return v, false
	}
	w := b.twigs[hash/fanout%fanout]
	if w == nil {
		return v, false
	}
	s := w.shards[hash/fanout/fanout%fanout]
	if i, ok := find(s, hash, key); ok {
		return s[i].value, true
	}
	return v, false
}

func sum[K string | []byte](key K) uint64 {
	if s, ok := any(key).(string); ok {
		return maphash.String(seed, s)
	}
	return maphash.Bytes(seed, []byte(key))
}

func (t table[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if t.root == nil {
			return
		}
		for _, b := range t.root.branches {
			if b == nil {
				continue
			}
			for _, w := range b.twigs {
				if w == nil {
					continue
				}
				for _, s := range w.shards {
					for i := range s {
						if !yield(s[i].key, s[i].value) {
							return
						}
					}
				}
			}
		}
	}
}

// change begins a changed copy. The table itself stays as it is.
func (t table[V]) change() editor[V] {
	t.edit++
	return editor[V]{t}
}

// editor builds the next version of a table. It is used by one goroutine.
type editor[V any] struct{ table[V] }

func (e *editor[V]) set(key string, v V) {
	hash := sum(key)
	s := e.own(hash)
	i, ok := find(*s, hash, key)
	if ok {
		(*s)[i].value = v
		return
	}
	*s = slices.Insert(*s, i, entry[V]{hash, key, v})
	e.size++
}

func (e *editor[V]) del(key string) {
	if _, ok := e.get(key); !ok {
		return
	}
	hash := sum(key)
	s := e.own(hash)
	i, _ := find(*s, hash, key)
	*s = slices.Delete(*s, i, i+1)
	e.size--
}

// own returns a shard that may be written to, copying what leads to it the first time.
func (e *editor[V]) own(hash uint64) *shard[V] {
	r := &e.root
	if *r == nil || (*r).edit != e.edit {
		*r = clone(*r)
		(*r).edit = e.edit
	}
	b := &(*r).branches[hash%fanout]
	if *b == nil || (*b).edit != e.edit {
		*b = clone(*b)
		(*b).edit = e.edit
	}
	w := &(*b).twigs[hash/fanout%fanout]
	if *w == nil || (*w).edit != e.edit {
		*w = clone(*w)
		(*w).edit, (*w).mine = e.edit, 0
	}
	at := hash / fanout / fanout % fanout
	s := &(*w).shards[at]
	if (*w).mine&(1<<at) == 0 {
		(*w).mine |= 1 << at
		*s = append(make(shard[V], 0, len(*s)+1), *s...)
	}
	return s
}

// clone copies a level; nil counts as one of zero values.
func clone[A any](old *A) *A {
	out := new(A)
	if old != nil {
		*out = *old
	}
	return out
}

// done returns the new table. The editor must not be used afterwards.
func (e *editor[V]) done() table[V] { return e.table }
