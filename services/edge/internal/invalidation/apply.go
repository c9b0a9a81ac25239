// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"math"
	"strings"
)

// Order is one invalidation.
type Order struct {
	// Distribution and ID are the ids in its name.
	Distribution, ID string
	// Revision is the etcd revision that orders it.
	Revision int64
	// Paths are paths as D25.1 to D25.8 describe them; * as the last character is a
	// wildcard.
	Paths []string
	// Tags are cache tags (D25.20).
	Tags []string
	// Whole invalidates everything of the distribution, as the path /* does.
	Whole bool
}

// Apply makes orders hold. When it returns, every look sees them. It returns the ids
// of distributions that had to be taken as invalidated as a whole, because their
// invalidations took more memory than there is.
func (t *Table) Apply(orders []Order) (overflown []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	newest := t.newest.Load()
	for i := range orders {
		o := &orders[i]
		if o.Revision <= t.floor {
			continue // what it could end is dead already
		}
		d := t.distributions[o.Distribution]
		if d == nil {
			d = &distribution{exact: map[string]mark{}, tags: map[string]mark{}}
			t.distributions[o.Distribution] = d
		}
		t.numbers.applied.Add(1)
		entries, bytes := d.entries, d.bytes
		d.add(o, mark{revision: o.Revision, by: t.count(o)})
		t.entries += d.entries - entries
		t.bytes += d.bytes - bytes
		newest = max(newest, o.Revision)
	}
	for t.bytes > t.limit {
		overflown = append(overflown, t.overflow())
	}
	t.newest.Store(newest)
	if t.entries >= sweepAt || t.bytes >= t.limit/4 {
		select {
		case t.grown <- struct{}{}:
		default:
		}
	}
	return overflown
}

// overflow makes one invalidation of everything of those of the distribution that has
// the most.
func (t *Table) overflow() (id string) {
	most := math.MinInt
	for i, d := range t.distributions {
		if d.bytes > most || d.bytes == most && i < id {
			id, most = i, d.bytes
		}
	}
	d := t.distributions[id]
	t.entries -= d.entries
	t.bytes -= d.bytes
	t.distributions[id] = &distribution{
		newest: d.newest, whole: mark{revision: d.newest},
		exact: map[string]mark{}, tags: map[string]mark{},
	}
	t.numbers.overflows.Add(1)
	return id
}

// add puts one order in.
func (d *distribution) add(o *Order, m mark) {
	d.newest = max(d.newest, m.revision)
	if o.Whole {
		d.whole = newer(d.whole, m)
	}
	for _, path := range o.Paths {
		before, wildcard := strings.CutSuffix(path, "*") // D25.2
		switch {
		case !wildcard:
			d.addExact(target(path), m)
		case before == "/": // D25.7
			d.whole = newer(d.whole, m)
		default:
			d.addPrefix(prefix(before), m)
		}
	}
	for _, tag := range o.Tags {
		d.addTag(strings.ToLower(tag), m)
	}
}

func (d *distribution) addExact(path string, m mark) {
	if _, known := d.exact[path]; !known {
		d.grow(path)
	}
	d.exact[path] = newer(d.exact[path], m)
}

func (d *distribution) addPrefix(prefix string, m mark) {
	if !d.prefixes.add(prefix, m) {
		d.grow(prefix)
	}
}

func (d *distribution) addTag(tag string, m mark) {
	if _, known := d.tags[tag]; !known {
		d.grow(tag)
	}
	d.tags[tag] = newer(d.tags[tag], m)
	d.tagged = max(d.tagged, m.revision)
}

func (d *distribution) grow(text string) {
	d.entries++
	d.bytes += entryBytes + len(text)
}

// above returns what is newer than floor.
func (d *distribution) above(floor int64) *distribution {
	out := &distribution{newest: d.newest, exact: map[string]mark{}, tags: map[string]mark{}}
	if d.whole.revision > floor {
		out.whole = d.whole
	}
	for path, m := range d.exact {
		if m.revision > floor {
			out.addExact(path, m)
		}
	}
	d.prefixes.each("", func(prefix string, m mark) {
		if m.revision > floor {
			out.addPrefix(prefix, m)
		}
	})
	for tag, m := range d.tags {
		if m.revision > floor {
			out.addTag(tag, m)
		}
	}
	return out
}
