// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// log is the segments. It knows blocks and how to move them; who owns them, and may
// they move, it asks.
type log struct {
	segments    []*segment
	seen        atomic.Pointer[[]*segment] // segments, for those without the lock
	segmentSize int
	most        int   // segments that there may be
	mapped      int   // that there are
	live        int64 // bytes of records
	spares      []int
	open        [2]int // what is being written: new records, and moved ones; -1 is none
	cleaning    int    // the segment being cleaned, -1 is none
	cleaned     int    // up to where
	// move asks to copy the block of an owner; put says where to.
	move func(owner uint32, from *segment, off int) bool
	// poison, in tests, is called with what becomes free.
	poison func([]byte)
}

// leastGain is the part of a segment that must be free for cleaning it: eleven bytes
// are moved for one that becomes free then.
const leastGain = 12

// The kinds of what is written.
const (
	fresh = iota
	moved
)

func newLog(segmentSize int) *log {
	return &log{segmentSize: segmentSize, open: [2]int{-1, -1}, cleaning: -1}
}

// room is how many bytes of records there may be: some of the space is always lost to
// what has died and was not yet cleaned.
func (l *log) room() int64 {
	all := int64(l.most) * int64(l.segmentSize)
	return max(all-all/20-int64(l.segmentSize), 0)
}

// write makes a block of n bytes.
func (l *log) write(kind, n int, owner uint32) (seg, off int, ok bool) {
	for {
		if l.open[kind] < 0 && !l.next(kind) {
			if kind == fresh && l.open[moved] >= 0 {
				return l.write(moved, n, owner)
			}
			return 0, 0, false
		}
		seg := l.open[kind]
		g := l.segments[seg]
		if off := g.take(n, owner); off >= 0 {
			l.live += int64(n)
			return seg, off, true
		}
		g.place = sealed
		l.open[kind] = -1
	}
}

// next opens another segment. The last spare one is for cleaning.
func (l *log) next(kind int) bool {
	if len(l.spares) == 0 || (kind == fresh && len(l.spares) == 1) {
		if l.mapped >= l.most || !l.grow() {
			if len(l.spares) == 0 || kind == fresh {
				return false
			}
		}
	}
	last := len(l.spares) - 1
	seg := l.spares[last]
	l.spares = l.spares[:last]
	g := l.segments[seg]
	g.merge()
	g.place, g.cursor = open, 0
	l.open[kind] = seg
	return true
}

// grow maps another segment.
func (l *log) grow() bool {
	data, err := mapPages(l.segmentSize)
	if err != nil {
		return false // as good as a limit
	}
	g := &segment{data: data, place: spare}
	g.free(0, len(data))
	l.mapped++
	for i, was := range l.segments {
		if was.place == gone {
			l.segments[i] = g
			l.spares = append(l.spares, i)
			return true
		}
	}
	l.segments = append(l.segments, g)
	all := l.segments
	l.seen.Store(&all)
	l.spares = append(l.spares, len(l.segments)-1)
	return true
}

// shrink gives spare segments back: those above the limit, and more than a few. One
// stays for cleaning. What the system does not take stays, and counts.
func (l *log) shrink() {
	keep := 2 + l.most/16
	for i := len(l.spares) - 1; i >= 0 && len(l.spares) > 1 && (l.mapped > l.most || len(l.spares) > keep); i-- {
		g := l.segments[l.spares[i]]
		if g.live > 0 || l.unmap(g) != nil {
			continue
		}
		l.spares = slices.Delete(l.spares, i, i+1)
	}
}

func (l *log) unmap(g *segment) error {
	if err := unmapPages(g.data); err != nil {
		return fmt.Errorf("give memory back: %w", err)
	}
	g.data, g.place = nil, gone
	l.mapped--
	return nil
}

// release makes the block at off free.
func (l *log) release(seg, off int) {
	g := l.segments[seg]
	n := int(g.block(off).size)
	if l.poison != nil {
		l.poison(g.data[off+blockHead : off+n])
	}
	g.free(off, n)
	g.live -= n
	l.live -= int64(n)
	if g.live == 0 && g.place == sealed {
		g.free(0, len(g.data))
		l.retire(seg)
		l.shrink()
	}
}

// retire makes a segment that is not open a spare one.
func (l *log) retire(seg int) {
	l.segments[seg].place = spare
	l.spares = append(l.spares, seg)
}

// clean looks at up to n bytes of the sparsest segment and moves the records in them.
// It says whether there was anything to do; if it must, there is unless all is held or
// being written.
func (l *log) clean(n int, must bool) bool {
	if l.cleaning < 0 && !l.choose(must) {
		return false
	}
	g := l.segments[l.cleaning]
	for end := l.cleaned + n; l.cleaned < len(g.data) && l.cleaned < end; {
		h := g.block(l.cleaned)
		size := int(h.size)
		if h.owner != 0 && l.move(h.owner, g, l.cleaned) {
			if l.poison != nil {
				l.poison(g.data[l.cleaned+blockHead : l.cleaned+size])
			}
			g.free(l.cleaned, size)
			g.live -= size
			l.live -= int64(size)
		}
		l.cleaned += size
	}
	if l.cleaned >= len(g.data) {
		l.retire(l.cleaning)
		l.cleaning = -1
	}
	return true
}

// choose picks the sparsest segment for cleaning, if that brings enough for what it
// costs, or if it must.
func (l *log) choose(must bool) bool {
	best := -1
	for i, g := range l.segments {
		if g.place == sealed && (best < 0 || g.live < l.segments[best].live) {
			best = i
		}
	}
	if best < 0 || (!must && l.segments[best].live > l.segmentSize-l.segmentSize/leastGain) {
		return false
	}
	l.cleaning, l.cleaned = best, 0
	l.segments[best].place = emptied
	return true
}
