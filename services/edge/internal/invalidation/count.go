// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"slices"
	"sync/atomic"
)

// Bounds of what is counted and told.
const (
	mostCounted = 1000 // the newest invalidations, of all distributions together
	mostTold    = 100
)

// Count is how many objects one invalidation has ended.
type Count struct {
	distribution, id string
	revision         int64
	objects          atomic.Int64
	total            *atomic.Int64
}

// Met counts one object. It may be called with nil.
func (c *Count) Met() {
	if c != nil {
		c.objects.Add(1)
		c.total.Add(1)
	}
}

// count returns the counter of an order: the one that it had before, if it comes again.
func (t *Table) count(o *Order) *Count {
	for i := len(t.recent) - 1; i >= 0 && t.recent[i].revision >= o.Revision; i-- {
		if c := t.recent[i]; c.revision == o.Revision && c.id == o.ID && c.distribution == o.Distribution {
			return c
		}
	}
	c := &Count{distribution: o.Distribution, id: o.ID, revision: o.Revision, total: &t.numbers.met}
	if len(t.recent) >= mostCounted {
		t.recent = slices.Delete(t.recent, 0, len(t.recent)-mostCounted+1)
	}
	at := len(t.recent) // usually
	for at > 0 && t.recent[at-1].revision > o.Revision {
		at--
	}
	t.recent = slices.Insert(t.recent, at, c)
	return c
}

// Ended is a Count at one moment.
type Ended struct {
	Distribution, ID string // of the invalidation
	Objects          int64
}

// Counts returns the counts of the newest invalidations that have one, at most 100,
// the newest first.
func (t *Table) Counts() []Ended {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []Ended
	for _, c := range slices.Backward(t.recent) {
		if n := c.objects.Load(); n > 0 && len(out) < mostTold {
			out = append(out, Ended{Distribution: c.distribution, ID: c.id, Objects: n})
		}
	}
	return out
}

// Met returns how many objects all invalidations have ended.
func (t *Table) Met() int64 { return t.numbers.met.Load() }
