// SPDX-License-Identifier: Apache-2.0

package hitratio

// ARC is two LRU queues, for what was asked for once and more often, and the keys that
// each of them has evicted: a request for one of those moves room to its queue
// (Megiddo and Modha, FAST 2003).
func ARC() Rule {
	return Rule{"ARC", func(t *Trace, capacity int64) Cache {
		b := newBase(t, capacity)
		return &arc{base: b, once: b.queue(), often: b.queue(), onceGone: b.queue(), oftenGone: b.queue()}
	}}
}

type arc struct {
	base
	once, often, onceGone, oftenGone *queue
	share                            int64 // bytes meant for once
}

func (c *arc) Request(key int32, size int64) bool {
	if size > c.capacity {
		return false
	}
	c.size[key] = size
	to := c.often
	hit := false
	switch {
	case c.once.has(key) || c.often.has(key):
		hit = true
	case c.onceGone.has(key):
		c.share = min(c.capacity, c.share+size*max(1, c.oftenGone.bytes/max(1, c.onceGone.bytes)))
	case c.oftenGone.has(key):
		c.share = max(0, c.share-size*max(1, c.onceGone.bytes/max(1, c.oftenGone.bytes)))
	default:
		to = c.once
	}
	toOnce := c.oftenGone.has(key)
	if q := c.in[key]; q != nil {
		q.remove(key, size)
	}
	for c.once.bytes+c.often.bytes+size > c.capacity {
		c.evict(toOnce)
	}
	to.push(key, size)
	c.forget()
	return hit
}

// evict makes the oldest of the queue go that has more than it should.
func (c *arc) evict(toOnce bool) {
	from, gone := c.often, c.oftenGone
	if c.once.n > 0 && (c.once.bytes > c.share || (toOnce && c.once.bytes == c.share) || c.often.n == 0) {
		from, gone = c.once, c.onceGone
	}
	old := from.oldest
	from.remove(old, c.size[old])
	gone.push(old, c.size[old])
}

// forget keeps the keys of what has gone within as many bytes as there is room for.
func (c *arc) forget() {
	for c.onceGone.n > 0 && c.once.bytes+c.onceGone.bytes > c.capacity {
		c.onceGone.remove(c.onceGone.oldest, c.size[c.onceGone.oldest])
	}
	for c.oftenGone.n > 0 && c.once.bytes+c.often.bytes+c.onceGone.bytes+c.oftenGone.bytes > 2*c.capacity {
		c.oftenGone.remove(c.oftenGone.oldest, c.size[c.oftenGone.oldest])
	}
}

// TinyLFU is a window of one hundredth of the room, and a main part which the oldest of
// the window enters only if it was asked for more often than what would have to go for
// it (Einziger, Friedman and Manes 2017). Frequencies fade.
func TinyLFU() Rule {
	return Rule{"W-TinyLFU", func(t *Trace, capacity int64) Cache {
		b := newBase(t, capacity)
		return &tinyLFU{
			base: b, window: b.queue(), trial: b.queue(), proven: b.queue(),
			freq: make([]uint8, t.Objects), share: max(capacity/100, 1),
		}
	}}
}

type tinyLFU struct {
	base
	window, trial, proven *queue
	freq                  []uint8 // exact, where a real one estimates
	asked                 int
	share                 int64
}

func (c *tinyLFU) Request(key int32, size int64) bool {
	c.count(key)
	switch {
	case c.window.has(key):
		c.window.remove(key, size)
		c.window.push(key, size)
		return true
	case c.trial.has(key), c.proven.has(key):
		c.in[key].remove(key, size)
		c.proven.push(key, size)
		for c.proven.bytes > (c.capacity-c.share)*8/10 {
			old := c.proven.oldest
			c.proven.remove(old, c.size[old])
			c.trial.push(old, c.size[old])
		}
		return true
	case size > c.capacity-c.share:
		return false
	}
	c.size[key] = size
	c.window.push(key, size)
	for c.window.bytes > c.share {
		old := c.window.oldest
		c.window.remove(old, c.size[old])
		c.admit(old)
	}
	return false
}

// admit takes a key into main, or not.
func (c *tinyLFU) admit(key int32) {
	size := c.size[key]
	for c.trial.bytes+c.proven.bytes+size > c.capacity-c.share {
		from := c.trial
		if from.n == 0 {
			from = c.proven
		}
		if old := from.oldest; c.freq[key] > c.freq[old] {
			from.remove(old, c.size[old])
			continue
		}
		return
	}
	c.trial.push(key, size)
}

func (c *tinyLFU) count(key int32) {
	c.freq[key] = min(c.freq[key]+1, 15)
	if c.asked++; c.asked < 10*max(c.window.n+c.trial.n+c.proven.n, 100) {
		return
	}
	c.asked = 0
	for i := range c.freq {
		c.freq[i] /= 2
	}
}
