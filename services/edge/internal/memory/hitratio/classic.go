// SPDX-License-Identifier: Apache-2.0

package hitratio

// base is what rules over one or more queues have in common.
type base struct {
	*links
	size     []int64 // by key, once seen
	capacity int64
}

func newBase(t *Trace, capacity int64) base {
	return base{links: newLinks(t.Objects), size: make([]int64, t.Objects), capacity: capacity}
}

// LRU evicts what was not asked for the longest.
func LRU() Rule {
	return Rule{"LRU", func(t *Trace, capacity int64) Cache {
		b := newBase(t, capacity)
		return &lru{b, b.queue()}
	}}
}

type lru struct {
	base
	q *queue
}

func (c *lru) Request(key int32, size int64) bool {
	hit := c.q.has(key)
	if hit {
		c.q.remove(key, size)
	} else if size > c.capacity {
		return false
	}
	c.size[key] = size
	c.q.push(key, size)
	for c.q.bytes > c.capacity {
		c.q.remove(c.q.oldest, c.size[c.q.oldest])
	}
	return hit
}

// FIFO evicts what came first.
func FIFO() Rule { return fifoRule("FIFO", 0) }

// Clock evicts what came first, unless it was asked for since: then it is as new.
func Clock() Rule { return fifoRule("CLOCK", 1) }

func fifoRule(name string, most uint8) Rule {
	return Rule{name, func(t *Trace, capacity int64) Cache {
		b := newBase(t, capacity)
		return &fifo{base: b, q: b.queue(), most: most, freq: make([]uint8, t.Objects)}
	}}
}

type fifo struct {
	base
	q    *queue
	most uint8
	freq []uint8
}

func (c *fifo) Request(key int32, size int64) bool {
	if c.q.has(key) {
		c.freq[key] = min(c.freq[key]+1, c.most)
		return true
	}
	if size > c.capacity {
		return false
	}
	for c.q.bytes+size > c.capacity {
		old := c.q.oldest
		c.q.remove(old, c.size[old])
		if c.freq[old] > 0 {
			c.freq[old]--
			c.q.push(old, c.size[old])
		}
	}
	c.size[key], c.freq[key] = size, 0
	c.q.push(key, size)
	return false
}

// Sieve evicts the oldest that was not asked for since a hand passed it. The hand goes
// from the oldest to the newest and moves nothing (Zhang and others, NSDI 2024).
func Sieve() Rule {
	return Rule{"SIEVE", func(t *Trace, capacity int64) Cache {
		b := newBase(t, capacity)
		return &sieve{base: b, q: b.queue(), hand: none, asked: make([]bool, t.Objects)}
	}}
}

type sieve struct {
	base
	q     *queue
	hand  int32
	asked []bool
}

func (c *sieve) Request(key int32, size int64) bool {
	if c.q.has(key) {
		c.asked[key] = true
		return true
	}
	if size > c.capacity {
		return false
	}
	for c.q.bytes+size > c.capacity {
		c.evict()
	}
	c.size[key], c.asked[key] = size, false
	c.q.push(key, size)
	return false
}

func (c *sieve) evict() {
	at := c.hand
	if at == none {
		at = c.q.oldest
	}
	for c.asked[at] {
		c.asked[at] = false
		if at = c.newer[at]; at == none {
			at = c.q.oldest
		}
	}
	c.hand = c.newer[at]
	c.q.remove(at, c.size[at])
}
