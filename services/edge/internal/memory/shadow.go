// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync"
	"sync/atomic"
)

const (
	// mostShadows is how many records a shadow holds at most.
	mostShadows = 4096
	// shadowBytes is what each of them takes in one shadow, roughly.
	shadowBytes = 64
	// habit is the part of past misses that still counts after each decision, which
	// is taken once for a quarter of the records: so the last ten to fifteen times
	// what fits in count.
	habit = 0.98
	// better is by how much another mode must be better than the present one.
	better = 0.01
)

// shadows are caches without contents, one for each mode, that see the requests for a
// sample of the keys and have as large a part of the room. So they tell how often each
// mode would have missed.
type shadows struct {
	mu    sync.Mutex // guards all but recent
	each  []shadow
	most  int   // records in each
	skip  uint  // one of 1<<skip keys is in the sample
	asked int   // requests since the last decision
	mode  int   // the present decision
	real  int64 // the capacity of the cache itself
	mask  atomic.Uint64
	// recent are the latest requests by hash: when nothing comes in between, a key
	// has nothing to add after its marks are full.
	recent [1024]atomic.Uint64
}

type shadow struct {
	order
	ids           map[uint64]uint32
	nodes         []node
	hashes        []uint64
	free          []uint32
	missed, bytes float64 // by number and by size, fading
}

// newShadows makes shadows that take a small part of limit.
func newShadows(limit int64) *shadows {
	s := &shadows{each: make([]shadow, len(modes()))}
	s.most = int(min(max(limit/50/int64(len(s.each))/shadowBytes, 64), mostShadows))
	for i := range s.each {
		s.each[i].prepare(modes()[i])
	}
	return s
}

func (s *shadows) bytes() int64 { return int64(s.most) * int64(len(s.each)) * shadowBytes }

// sampled says whether requests for that hash are of interest.
func (s *shadows) sampled(hash uint64) bool { return hash>>32&s.mask.Load() == 0 }

// news says whether a request at that time adds to what is known.
func (s *shadows) news(hash uint64, now uint32) bool {
	const counter = mostMarks + 1 // a power of two
	place := &s.recent[hash>>48%uint64(len(s.recent))]
	key := (hash ^ uint64(now)<<8) &^ (counter - 1)
	last := place.Load()
	switch {
	case last&^(counter-1) != key:
		place.Store(key)
	case last&(counter-1) == mostMarks:
		return false
	default:
		place.Store(last + 1)
	}
	return true
}

// request tells the shadows of a request for a record in the sample, and returns the
// mode to go on with. Requests at the same moment may be left out.
func (s *shadows) request(hash uint64, size uint32) (m mode, changed bool) {
	if !s.mu.TryLock() {
		return mode{}, false
	}
	defer s.mu.Unlock()
	for i := range s.each {
		s.each[i].request(hash, size)
	}
	if len(s.each[0].ids) > s.most {
		s.thin()
	}
	if s.asked++; s.asked < max(len(s.each[0].ids)/4, 32) {
		return mode{}, false
	}
	s.asked = 0
	was := s.mode
	s.decide()
	return s.each[s.mode].mode, s.mode != was
}

// decide chooses the mode that missed least, in objects and in bytes alike.
func (s *shadows) decide() {
	objects, bytes := s.each[0].missed, s.each[0].bytes
	for i := range s.each {
		objects, bytes = min(objects, s.each[i].missed), min(bytes, s.each[i].bytes)
	}
	cost := func(i int) float64 {
		return (s.each[i].missed+1)/(objects+1) + (s.each[i].bytes+1)/(bytes+1)
	}
	best := s.mode
	for i := range s.each {
		if cost(i) < cost(best) {
			best = i
		}
	}
	if cost(best) < cost(s.mode)*(1-better) {
		s.mode = best
	}
	for i := range s.each {
		s.each[i].missed *= habit
		s.each[i].bytes *= habit
	}
}

// resize follows the capacity of the cache itself.
func (s *shadows) resize(capacity int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.real = capacity
	s.fit()
}

func (s *shadows) fit() {
	for i := range s.each {
		s.each[i].capacity = s.real >> s.skip
	}
}

// thin leaves every second key out of the sample.
func (s *shadows) thin() {
	s.skip++
	s.mask.Store(1<<s.skip - 1)
	s.fit()
	for i := range s.each {
		c := &s.each[i]
		for hash, id := range c.ids {
			if !s.sampled(hash) {
				c.remove(id)
				c.drop(id)
			}
		}
	}
}

// prepare makes an empty shadow.
func (c *shadow) prepare(m mode) {
	c.ids = map[uint64]uint32{}
	c.nodes, c.hashes = make([]node, 1), make([]uint64, 1)
	c.at = func(id uint32) *node { return &c.nodes[id] }
	c.setMode(m)
}

func (c *shadow) request(hash uint64, size uint32) {
	if id, ok := c.ids[hash]; ok {
		n := c.at(id)
		n.mark()
		if c.stale(n) {
			c.renew(id)
		}
		return
	}
	c.missed++
	c.bytes += float64(size)
	if int64(size) > c.capacity {
		return
	}
	for c.order.bytes()+int64(size) > c.capacity {
		id := c.next()
		c.bury(c.hashes[id], len(c.ids))
		c.drop(id)
	}
	id := uint32(len(c.nodes))
	if n := len(c.free); n > 0 {
		id, c.free = c.free[n-1], c.free[:n-1]
	} else {
		c.nodes, c.hashes = append(c.nodes, node{}), append(c.hashes, 0)
	}
	c.nodes[id].size, c.hashes[id], c.ids[hash] = size, hash, id
	c.admit(id, hash)
}

// drop forgets a record that is in no queue.
func (c *shadow) drop(id uint32) {
	delete(c.ids, c.hashes[id])
	c.free = append(c.free, id)
}
