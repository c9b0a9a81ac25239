// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"math"
	"slices"
)

// ErrLoading is what a sweep returns while an older log is being read.
var ErrLoading = errors.New("the disk cache is still being read")

// Range calls f with every record, those of older segments first, without their bodies.
// What is put meanwhile may be left out. A record for which f returns false is deleted,
// and so is one that cannot be read.
func (l *Log) Range(ctx context.Context, f func(Record) (keep bool)) error {
	if l.loading.Load() {
		return ErrLoading
	}
	l.mu.Lock()
	list := slices.Clone(l.segments)
	if l.active != nil && !slices.Contains(list, l.active) {
		list = append(list, l.active)
	}
	for _, c := range l.queue {
		if !slices.Contains(list, c.seg) {
			list = append(list, c.seg)
		}
	}
	for _, s := range list {
		s.refs.Add(1)
	}
	l.mu.Unlock()
	err := error(nil)
	for _, s := range list {
		if err == nil {
			err = l.rangeSegment(ctx, s, f)
		}
		l.release(s)
	}
	return err
}

// rangeSegment calls f with the records of one segment, in the order in which they lie.
func (l *Log) rangeSegment(ctx context.Context, seg *segment, f func(Record) bool) error {
	w := &window{from: seg.file, size: seg.written.Load()}
	for _, it := range l.putsOf(seg) {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := it.place(seg.slot)
		if _, is := l.index.at(it.hash, p); !is {
			continue
		}
		b := []byte(nil)
		if p.at()+int64(p.length()) > w.size {
			b = l.pending(seg, p)
		}
		if b == nil {
			w.size = max(w.size, seg.written.Load())
			w.from = l.fileOf(seg)
			var err error
			if b, err = w.get(p.at(), p.leadBytes()); err != nil {
				if known(err) != nil {
					l.fault(ctx, "read segment", err)
				}
				l.removeAt(it.hash, p) // nobody has been asked about it, so its stamp cannot be lifted
				continue
			}
		}
		h, ok := l.parse(seg, p, b)
		if !ok || h.hash != it.hash {
			l.n.failedChecks.Add(1)
			l.removeAt(it.hash, p)
			continue
		}
		if !f(h.view(b, seg.stampOf(h.stamp, p.at()))) {
			l.removeAt(it.hash, p)
		}
	}
	return nil
}

// fileOf returns the file of a segment, nil before it is created.
func (l *Log) fileOf(seg *segment) file {
	l.mu.Lock()
	defer l.mu.Unlock()
	return seg.file
}

// putsOf returns the records of a segment.
func (l *Log) putsOf(seg *segment) []item {
	l.mu.Lock()
	items, sealed := slices.Clone(seg.items), seg.sealed
	l.mu.Unlock()
	if sealed {
		items = l.itemsOf(seg)
	}
	items = slices.DeleteFunc(items, func(it item) bool { return it.kind != kindPut })
	slices.SortFunc(items, func(a, b item) int { return int(int64(a.offset) - int64(b.offset)) })
	return items
}

// removeAt deletes a record if it is still the one at p.
func (l *Log) removeAt(h hash, p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index.removeAt(h, p) {
		l.n.removals.Add(1)
		l.appendRemoval(h)
	}
}

// Sweep deletes every record that alive says no to, and lifts the stamps of all others to
// at, for good. So what the caller knows up to at has done its work. Records that are put
// while it runs keep their stamps. at has an era.
func (l *Log) Sweep(ctx context.Context, at Stamp, alive func(Record) bool) error {
	l.mu.Lock()
	m := mark{stamp: at, seq: l.nextSeq}
	if l.active != nil {
		m.seq, m.offset = l.active.seq, l.active.end
	}
	l.mu.Unlock()
	err := l.Range(ctx, func(r Record) bool {
		return r.Stamp.Era == at.Era && r.Stamp.Revision >= at.Revision || alive(r)
	})
	if err != nil {
		return err
	}
	r := m.record()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(&r) // lost with what is lost: stamps are lower then
	for _, s := range l.segments {
		s.raiseTo(m, false)
	}
	for _, c := range l.queue {
		c.seg.raiseTo(m, false)
	}
	if l.active != nil {
		l.active.raiseTo(m, false)
	}
	return nil
}

// Oldest returns the lowest stamp that a record of an era may have. It is too low rather
// than too high: records that are gone count as long as their segment is there. Without
// any it is the highest revision there is; while an older log is being read, the lowest.
func (l *Log) Oldest(era uint64) (revision int64) {
	if l.loading.Load() {
		return math.MinInt64
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	revision = math.MaxInt64
	see := func(s *segment) {
		if s == nil || s.sealed && l.index.live[s.slot].Load() == 0 {
			return
		}
		revision = min(revision, s.oldestOf(era))
	}
	for _, s := range l.segments {
		see(s)
	}
	for _, c := range l.queue {
		see(c.seg)
	}
	see(l.active)
	return revision
}

// oldestOf is Oldest of one segment. mu is held.
func (s *segment) oldestOf(era uint64) int64 {
	for _, o := range s.oldest {
		if o.Era != era {
			continue
		}
		if r := s.raised.Load(); r != nil && r.stamp.Era == era && r.upTo >= s.end {
			return max(o.Revision, r.stamp.Revision)
		}
		return o.Revision
	}
	return math.MaxInt64
}
