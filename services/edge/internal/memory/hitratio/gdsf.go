// SPDX-License-Identifier: Apache-2.0

package hitratio

import "container/heap"

// GDSF evicts what has the least of frequency by size, plus the age of the cache when
// it was last asked for: what is large must be asked for more often (Cherkasova 1998).
func GDSF() Rule {
	return Rule{"GDSF", func(t *Trace, capacity int64) Cache {
		return &gdsf{byWorth: newByWorth(t.Objects), freq: make([]float64, t.Objects), size: make([]int64, t.Objects), capacity: capacity}
	}}
}

type gdsf struct {
	*byWorth
	freq     []float64
	size     []int64
	age      float64
	bytes    int64
	capacity int64
}

func (c *gdsf) Request(key int32, size int64) bool {
	if c.place[key] >= 0 {
		c.freq[key]++
		c.set(key, c.age+c.freq[key]/float64(size))
		return true
	}
	if size > c.capacity {
		return false
	}
	for c.bytes+size > c.capacity {
		old, worth := c.least()
		c.age = worth
		c.bytes -= c.size[old]
	}
	c.size[key], c.freq[key] = size, 1
	c.bytes += size
	c.set(key, c.age+1/float64(size))
	return false
}

// Belady evicts what will not be asked for the longest, which it knows: no rule has
// fewer misses where all objects have one size.
func Belady() Rule { return Rule{"Belady", newBelady} }

type belady struct {
	*byWorth
	next     []int // by request: when its key is asked for next
	size     []int64
	at       int
	bytes    int64
	capacity int64
}

func newBelady(t *Trace, capacity int64) Cache {
	c := &belady{byWorth: newByWorth(t.Objects), next: make([]int, len(t.Requests)), size: make([]int64, t.Objects), capacity: capacity}
	seen := make([]int, t.Objects)
	for i := range seen {
		seen[i] = len(t.Requests) * 2 // never
	}
	for i := len(t.Requests) - 1; i >= 0; i-- {
		key := t.Requests[i].Key
		c.next[i], seen[key] = seen[key], i
	}
	return c
}

func (c *belady) Request(key int32, size int64) bool {
	next := c.next[c.at]
	c.at++
	hit := c.place[key] >= 0
	if !hit {
		if size > c.capacity {
			return false
		}
		c.size[key] = size
		c.bytes += size
	}
	c.set(key, -float64(next))
	for c.bytes > c.capacity { // which may be what has just come
		old, _ := c.least()
		c.bytes -= c.size[old]
	}
	return hit
}

// byWorth is a heap of keys: the least worth is on top.
type byWorth struct {
	keys  []int32
	worth []float64 // by key
	place []int32   // by key: where in keys; -1 is nowhere
}

func newByWorth(objects int) *byWorth {
	b := &byWorth{worth: make([]float64, objects), place: make([]int32, objects)}
	for i := range b.place {
		b.place[i] = -1
	}
	return b
}

func (b *byWorth) set(key int32, worth float64) {
	b.worth[key] = worth
	if b.place[key] >= 0 {
		heap.Fix(b, int(b.place[key]))
	} else {
		heap.Push(b, key)
	}
}

func (b *byWorth) least() (int32, float64) {
	key, ok := heap.Pop(b).(int32)
	if !ok {
		return none, 0
	}
	return key, b.worth[key]
}

func (b *byWorth) Len() int           { return len(b.keys) }
func (b *byWorth) Less(i, j int) bool { return b.worth[b.keys[i]] < b.worth[b.keys[j]] }
func (b *byWorth) Swap(i, j int) {
	b.keys[i], b.keys[j] = b.keys[j], b.keys[i]
	b.place[b.keys[i]], b.place[b.keys[j]] = int32(i), int32(j)
}

func (b *byWorth) Push(x any) {
	key, _ := x.(int32)
	b.place[key] = int32(len(b.keys))
	b.keys = append(b.keys, key)
}

func (b *byWorth) Pop() any {
	key := b.keys[len(b.keys)-1]
	b.keys = b.keys[:len(b.keys)-1]
	b.place[key] = -1
	return key
}
