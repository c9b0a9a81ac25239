// SPDX-License-Identifier: Apache-2.0

package memory

// ways is how many places a hash may have in a ghost: a cache line of them.
const ways = 8

// ghost remembers the hashes of records that were evicted, eight bytes each: the low
// half of the hash and the time. It forgets those beyond its window, and sometimes
// one more, and takes one hash in some thousands for another.
type ghost struct {
	places []uint64 // sets of ways; 0 is free
}

// room makes place for n hashes.
func (g *ghost) room(n int) {
	if n <= len(g.places) {
		return
	}
	size := max(64, ways)
	for size < n {
		size *= 2
	}
	old := g.places
	g.places = make([]uint64, size)
	for _, p := range old {
		if p != 0 {
			g.put(uint32(p>>32), uint32(p), uint32(p))
		}
	}
}

// set is where the hash may be.
func (g *ghost) set(hash uint32) []uint64 {
	at := int(hash) & (len(g.places)/ways - 1) * ways
	return g.places[at : at+ways]
}

// put remembers a hash at a time; it takes the place of the oldest if it must.
func (g *ghost) put(hash, at, now uint32) {
	set := g.set(hash)
	oldest := 0
	for i, p := range set {
		if p == 0 || uint32(p>>32) == hash {
			oldest = i
			break
		}
		if now-uint32(p) > now-uint32(set[oldest]) {
			oldest = i
		}
	}
	set[oldest] = uint64(hash)<<32 | uint64(at)
}

// take says whether the hash was put less than window before now, and forgets it.
func (g *ghost) take(hash, now, window uint32) bool {
	if len(g.places) == 0 {
		return false
	}
	for i, p := range g.set(hash) {
		if p != 0 && uint32(p>>32) == hash {
			g.set(hash)[i] = 0
			return now-uint32(p) < window
		}
	}
	return false
}
