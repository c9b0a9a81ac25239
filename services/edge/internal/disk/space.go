// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
)

// ahead is how many segments of room are kept, so that the writer need not wait for
// reinsertion.
const ahead = 2

// heldShare is the part of the limit that unlinked segments may take before those who
// read them are told to let go.
const heldShare = 20

// used is what counts against the limit. mu is held.
func (l *Log) used() int64 {
	n := l.heldSize + l.foreign + snapshotBytes(int(l.index.objects.Load()), len(l.segments)) + identityBytes
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// hasRoom says whether there is room ahead.
func (l *Log) hasRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used()+ahead*l.cfg.SegmentBytes <= l.cfg.Limit && len(l.free) >= ahead
}

// makeRoom makes room for a segment at once. What it evicts is not appended anew: the
// writer, who would write it, is waiting.
func (l *Log) makeRoom(ctx context.Context) bool {
	if l.enough() {
		return true
	}
	l.setStarved(true)
	defer l.setStarved(false)
	l.evicting.Lock()
	defer l.evicting.Unlock()
	for !l.enough() {
		if !l.evictOldest(ctx, false) {
			return false
		}
	}
	return true
}

// enough says whether there is room for a segment that has its slot already.
func (l *Log) enough() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used()+l.cfg.SegmentBytes <= l.cfg.Limit
}

func (l *Log) setStarved(v bool) {
	l.mu.Lock()
	l.starved = v
	l.written.Broadcast()
	l.mu.Unlock()
}

// relieve keeps room for the next segments, until ctx ends.
func (l *Log) relieve(ctx context.Context) {
	for {
		for ctx.Err() == nil && state(l.state.Load()) == serving && !l.hasRoom() {
			l.evicting.Lock()
			evicted := l.hasRoom() || l.evictOldest(ctx, true)
			l.evicting.Unlock()
			if !evicted {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-l.tight:
		}
	}
}

// evictOldest removes the oldest segment and says whether there was one that could be
// removed. evicting is held.
func (l *Log) evictOldest(ctx context.Context, reinsert bool) bool {
	l.mu.Lock()
	if len(l.segments) == 0 || !l.segments[0].sealed {
		l.mu.Unlock()
		return false
	}
	seg := l.segments[0]
	l.mu.Unlock()
	items := l.itemsOf(seg)
	if reinsert && l.cfg.ReinsertPercent > 0 {
		l.reinsert(ctx, seg, items)
	}
	return l.evict(ctx, seg, items)
}

// evict takes a segment out of index and directory. The directory is synced each time:
// a segment must not be gone while one before it, which it has removals for, is still
// there.
func (l *Log) evict(ctx context.Context, seg *segment, items []item) bool {
	evicted := 0
	for i := range items {
		if items[i].kind == kindPut && l.index.removeAt(items[i].hash, items[i].place(seg.slot)) {
			evicted++
		}
	}
	if l.index.live[seg.slot].Load() != 0 { // what its index block does not name
		l.index.each(int(seg.slot), func(h hash, p place, _ uint32) {
			if l.index.removeAt(h, p) {
				evicted++
			}
		})
	}
	l.n.evicted.Add(int64(evicted))
	err := l.cfg.files.Remove(seg.path(l.cfg.Dir))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = l.cfg.files.SyncDir(l.cfg.Dir)
	}
	if err != nil {
		// Neither is its space to be had again, nor may a later segment go before it.
		l.fault(ctx, "remove segment", err)
		l.stop(ctx, "a segment cannot be removed")
		return false
	}
	l.mu.Lock()
	l.segments = slices.DeleteFunc(l.segments, func(s *segment) bool { return s == seg })
	l.index.slots[seg.slot].Store(nil)
	l.free = append(l.free, seg.slot)
	seg.unlinked = true
	l.held = append(l.held, seg)
	l.heldSize += seg.size
	l.mu.Unlock()
	l.n.segmentsEvicted.Add(1)
	l.release(seg)
	l.cutReaders()
	return true
}

// itemsOf returns what is in a segment: by its index block, and where that cannot be
// read what the index knows.
func (l *Log) itemsOf(seg *segment) []item {
	l.mu.Lock()
	size := seg.size
	l.mu.Unlock()
	if _, items, err := l.id.readBlock(seg.file, seg.seq, size); err == nil {
		return items
	}
	var items []item
	l.index.each(int(seg.slot), func(h hash, p place, _ uint32) {
		items = append(items, item{hash: h, offset: p.offset, size: p.size, lead: p.lead, kind: kindPut})
	})
	return items
}

// release gives a reference back. The last one closes the file. mu is not needed.
func (l *Log) release(seg *segment) {
	if seg.refs.Add(-1) != 0 {
		return
	}
	seg.close()
	if !seg.unlinked { // nobody else has it any more
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = slices.DeleteFunc(l.held, func(s *segment) bool { return s == seg })
	l.heldSize -= seg.size
	signal(l.tight)
}

// close closes the file of a segment that nobody uses any more.
func (s *segment) close() {
	if s.file != nil {
		_ = s.file.Close() // it was only read since it was synced
	}
}

// cutReaders tells those to let go who hold more than may be held, the readers of the
// oldest segments first.
func (l *Log) cutReaders() {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := int64(0)
	for _, s := range l.held {
		if !s.isCut {
			size += s.size
		}
	}
	for _, s := range l.held {
		if size <= l.cfg.Limit/heldShare {
			return
		}
		if !s.isCut {
			s.isCut = true
			close(s.cut)
			size -= s.size
			l.n.cut.Add(1)
		}
	}
}

// reinsert appends what is still wanted of a segment anew, within the budget: what was
// asked for since it was written, most often asked for first.
func (l *Log) reinsert(ctx context.Context, seg *segment, items []item) {
	type wanted struct {
		item
		hits uint32
	}
	var list []wanted
	for i := range items {
		if items[i].kind != kindPut {
			continue
		}
		if hits, is := l.index.at(items[i].hash, items[i].place(seg.slot)); is && hits > 0 {
			list = append(list, wanted{items[i], hits})
		}
	}
	slices.SortStableFunc(list, func(a, b wanted) int { return cmp.Compare(b.hits, a.hits) })
	budget := l.cfg.SegmentBytes * int64(l.cfg.ReinsertPercent) / 100
	buf := l.buffer()
	defer l.scratch.Put(buf)
	for i := range list {
		size := int64(list[i].size) * align
		if ctx.Err() != nil || state(l.state.Load()) != serving {
			return
		}
		if size > budget {
			continue
		}
		if l.reinsertRecord(ctx, seg, &list[i].item, list[i].hits, buf) {
			budget -= size
			l.n.reinserted.Add(1)
			l.n.reinsertedBytes.Add(size)
		}
	}
}

// reinsertRecord appends one record anew, if it is whole and alive. It keeps half of its
// hits: what is not asked for again does not stay for ever.
func (l *Log) reinsertRecord(ctx context.Context, seg *segment, it *item, hits uint32, buf *[]byte) bool {
	from := it.place(seg.slot)
	b := grown(buf, from.length())
	if err := l.read(ctx, seg, b, from.at()); err != nil {
		return false
	}
	h, ok := l.parse(seg, from, b)
	if !ok || h.hash != it.hash || checksum(b[h.lead():h.lead()+int(h.bodyLen)]) != h.bodyCheck {
		l.n.failedChecks.Add(1)
		return false
	}
	seen := h.view(b, seg.stampOf(h.stamp, from.at()))
	r := record{header: h, key: string(seen.Key), head: seen.Head, body: [][]byte{b[h.lead():][:h.bodyLen]}}
	r.stamp = seen.Stamp
	if l.cfg.Alive != nil {
		alive := false
		if r.stamp, alive = l.cfg.Alive(seen); !alive {
			return false
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.queued > int(l.cfg.BufferBytes)/2 && !l.starved && ctx.Err() == nil {
		l.written.Wait()
	}
	if _, is := l.index.at(it.hash, from); !is || l.refusal() != nil || l.queued+r.size() > int(l.cfg.BufferBytes) {
		return false
	}
	to, ok := l.append(&r)
	if ok {
		l.index.move(it.hash, from, to, hits/2|flagVerified)
	}
	return ok
}
