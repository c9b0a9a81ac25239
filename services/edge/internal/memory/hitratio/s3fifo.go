// SPDX-License-Identifier: Apache-2.0

package hitratio

// S3FIFO is three queues: what is new goes to a small one, what was asked for there
// more than once to the main one, and the keys of the others to a ghost queue; what
// comes back from that goes to main at once. Main is a clock that counts to three (Yang
// and others, SOSP 2023). Small has a tenth.
func S3FIFO() Rule {
	return Rule{"S3-FIFO", func(t *Trace, capacity int64) Cache {
		b := newBase(t, capacity)
		return &s3fifo{
			base: b, small: b.queue(), main: b.queue(), ghost: b.queue(),
			freq: make([]uint8, t.Objects), share: max(capacity/10, 1), asked: 2,
		}
	}}
}

type s3fifo struct {
	base
	small, main, ghost *queue
	freq               []uint8
	share              int64 // bytes of small
	asked              uint8 // how often until small promotes
}

func (c *s3fifo) Request(key int32, size int64) bool {
	if c.small.has(key) || c.main.has(key) {
		c.freq[key] = min(c.freq[key]+1, 3)
		return true
	}
	if size > c.capacity {
		return false
	}
	known := c.ghost.has(key)
	if known {
		c.ghost.remove(key, size)
	}
	for c.small.bytes+c.main.bytes+size > c.capacity {
		c.evict()
	}
	c.size[key], c.freq[key] = size, 0
	if known {
		c.main.push(key, size)
	} else {
		c.small.push(key, size)
	}
	return false
}

func (c *s3fifo) evict() {
	if c.small.n > 0 && (c.small.bytes > c.share || c.main.n == 0) {
		c.evictSmall()
	} else {
		c.evictMain()
	}
}

func (c *s3fifo) evictSmall() {
	for c.small.n > 0 {
		old := c.small.oldest
		size := c.size[old]
		c.small.remove(old, size)
		if c.freq[old] >= c.asked {
			c.freq[old] = 0
			c.main.push(old, size)
			continue
		}
		c.ghost.push(old, size)
		for c.ghost.bytes > c.capacity-c.share {
			c.ghost.remove(c.ghost.oldest, c.size[c.ghost.oldest])
		}
		return
	}
}

func (c *s3fifo) evictMain() {
	for c.main.n > 0 {
		old := c.main.oldest
		c.main.remove(old, c.size[old])
		if c.freq[old] == 0 {
			return
		}
		c.freq[old]--
		c.main.push(old, c.size[old])
	}
}
