// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
)

// load reads the older log into the index.
func (l *Log) load(ctx context.Context) {
	if !l.loading.Load() {
		return
	}
	began := l.cfg.now()
	clean := l.isClean()
	done := clean && l.loadSnapshot(ctx)
	if !done && l.goesOn(ctx) {
		done = l.loadSegments(ctx)
	}
	if !done {
		return // what is not read yet is read by the next start
	}
	l.index.expected()
	l.loading.Store(false)
	close(l.loaded)
	r := l.Recovery()
	level := slog.LevelInfo
	if r.Dropped > 0 || r.DamagedBytes > 0 {
		level = slog.LevelWarn
	}
	l.cfg.Log.Log(ctx, level, "disk cache is read",
		slog.String("directory", l.cfg.Dir), slog.Duration("after", l.cfg.now().Sub(began)), slog.Bool("clean_stop", r.Clean),
		slog.Int64("objects", l.index.objects.Load()), slog.Int("segments", r.Segments), slog.Int("scanned", r.Scanned),
		slog.Int("dropped", r.Dropped), slog.Int64("dropped_bytes", r.DroppedBytes),
		slog.Int64("torn_bytes", r.TornBytes), slog.Int64("damaged_bytes", r.DamagedBytes))
	signal(l.tight)
}

func (l *Log) isClean() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recovery.Clean
}

// goesOn says whether the older log is to be read further.
func (l *Log) goesOn(ctx context.Context) bool {
	return ctx.Err() == nil && state(l.state.Load()) == serving
}

// loadSnapshot takes the index of the last stop in. When it cannot, segments do.
func (l *Log) loadSnapshot(ctx context.Context) (done bool) {
	err := l.snapshot.entries(l.id, func(some []byte) error {
		if !l.goesOn(ctx) {
			return context.Canceled
		}
		return l.loadEntries(some)
	})
	if err == nil || !l.goesOn(ctx) {
		return err == nil
	}
	l.mu.Lock()
	l.recovery.Clean = false
	for _, s := range l.segments {
		if _, ok := l.snapshot.segments[s.seq]; ok {
			s.unread = true
		}
	}
	l.mu.Unlock()
	l.cfg.Log.WarnContext(ctx, "disk cache: the index of the last stop is damaged",
		slog.String("directory", l.cfg.Dir), slog.Any("error", err))
	return false
}

// loadEntries takes some entries of a snapshot in. Those of segments that have gone
// meanwhile are left out: evicting is held, so that none goes while they are.
func (l *Log) loadEntries(some []byte) error {
	l.evicting.Lock()
	defer l.evicting.Unlock()
	l.mu.Lock()
	there := map[uint64]*segment{}
	for _, s := range l.segments {
		there[s.seq] = s
	}
	l.mu.Unlock()
	order := l.snapshot.order
	if len(some) > 0 {
		l.index.grow(parseEntry(some).hash, len(some)/entryBytes)
	}
	for ; len(some) > 0; some = some[entryBytes:] {
		e := parseEntry(some)
		if int(e.slot) >= len(order) {
			return errMalformed
		}
		seg := there[order[e.slot]]
		if seg == nil {
			continue
		}
		p := e.place()
		p.slot = seg.slot
		it := item{offset: p.offset, size: p.size, lead: p.lead, kind: kindPut}
		if err := it.valid(seg.written.Load()); err != nil {
			return err
		}
		l.index.load(e.hash, p, e.bits&mostHits)
	}
	return nil
}

// loadSegments takes the segments in, the newest first, so that what is asked for most
// is there first and what is met first is what holds.
func (l *Log) loadSegments(ctx context.Context) (done bool) {
	l.mu.Lock()
	var list []*segment
	for _, s := range slices.Backward(l.segments) {
		if s.unread {
			list = append(list, s)
		}
	}
	l.mu.Unlock()
	var after *segment
	for i, seg := range list {
		if !l.goesOn(ctx) {
			return false
		}
		l.evicting.Lock()
		lost, err := l.removalsMissing(seg, after), error(nil)
		if lost {
			l.dropLost(ctx, list[i:])
		} else if lost, err = l.loadSegment(ctx, seg, after); lost {
			l.dropLost(ctx, list[i+1:])
		}
		l.evicting.Unlock()
		if err != nil {
			l.fault(ctx, "read segment", err)
		}
		if lost {
			break
		}
		after = seg
	}
	return l.goesOn(ctx)
}

// dropLost removes the segments, the newest first, that a lost removal may concern.
func (l *Log) dropLost(ctx context.Context, list []*segment) {
	if len(list) == 0 {
		return
	}
	l.cfg.Log.ErrorContext(ctx, "disk cache: removals are lost by damage, all that they may concern is dropped",
		slog.String("directory", l.cfg.Dir), slog.Int("segments", len(list)))
	for _, s := range slices.Backward(list) {
		if !l.isUnlinked(s) {
			l.drop(ctx, s)
		}
	}
}

func (l *Log) isUnlinked(s *segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.unlinked
}

// removalsMissing says whether there was a segment between seg and after, the one that
// was read before it, and removals in it.
func (l *Log) removalsMissing(seg, after *segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.snapshot != nil {
		for seq, k := range l.snapshot.segments {
			if seq > seg.seq && (after == nil || seq < after.seq) && k.removals > 0 &&
				!slices.ContainsFunc(l.segments, func(s *segment) bool { return s.seq == seq }) {
				return true
			}
		}
	}
	// Unknown is what a segment says that was begun before the last of the older log was
	// read; such a one is missing when there was nothing in it.
	return after != nil && after.before > seg.seq && after.removalsBefore > 0 && after.removalsBefore != unknown
}

// tellNext lets segments that were begun meanwhile know how many removals are in seg,
// which has been read.
func (l *Log) tellNext(seg *segment, removals uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.before == seg.seq && s.removalsBefore == unknown {
			s.removalsBefore = removals
		}
	}
}

// removalsOf returns how many removals there are in seg, by what others say of it.
func (l *Log) removalsOf(seg, after *segment) uint32 {
	if l.snapshot != nil {
		if k, ok := l.snapshot.segments[seg.seq]; ok {
			return k.removals
		}
	}
	if after != nil && after.before == seg.seq {
		return after.removalsBefore
	}
	return unknown
}

// loadSegment takes one segment in, and says whether removals in it are lost. evicting
// is held.
func (l *Log) loadSegment(ctx context.Context, seg, after *segment) (lost bool, err error) {
	if l.isUnlinked(seg) {
		return false, nil
	}
	sum, items, err := l.id.readBlock(seg.file, seg.seq, seg.size)
	flags := uint32(0)
	if err != nil {
		s, err := l.id.scan(seg.file, seg.seq, seg.size)
		if err != nil {
			l.drop(ctx, seg)
			return true, fmt.Errorf("%s: %w", segmentName(seg.seq), err)
		}
		l.readHead(seg, &s.summary)
		if want := l.removalsOf(seg, after); want != unknown && s.removals < want {
			s.lost, s.items = true, nil
		}
		l.countScan(seg, &s)
		if len(s.items) == 0 {
			l.tellNext(seg, 0)
			seg.summary = s.summary
			l.drop(ctx, seg)
			return s.lost, nil
		}
		l.reseal(ctx, seg, &s)
		sum, items, lost, flags = s.summary, s.items, s.lost, flagVerified
	}
	l.mu.Lock()
	seg.summary, seg.unread = sum, false
	l.mu.Unlock()
	l.tellNext(seg, sum.removals)
	for _, it := range slices.Backward(items) {
		switch it.kind {
		case kindPut:
			l.index.load(it.hash, it.place(seg.slot), flags)
		case kindRemoval:
			l.index.loadRemoval(it.hash)
		}
	}
	for _, m := range slices.Backward(sum.marks) {
		l.raise(m, true)
	}
	return lost, nil
}

// raise applies a mark to all segments.
func (l *Log) raise(m mark, older bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		s.raiseTo(m, older)
	}
}

// readHead reads what the head of a segment says of the one before it.
func (l *Log) readHead(seg *segment, into *summary) {
	var b [segmentHead]byte
	head := segment{seq: seg.seq}
	if readFull(seg.file, b[:], 0) != nil || l.id.parseHead(b[:], &head) != nil {
		head.before, head.removalsBefore = 0, unknown
	}
	into.before, into.removalsBefore = head.before, head.removalsBefore
}

func (l *Log) countScan(seg *segment, s *scanned) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recovery.Scanned++
	l.recovery.DamagedBytes += s.damaged
	l.recovery.TornBytes += seg.size - s.end
}

// reseal gives a segment that was scanned its index block, so that it is not scanned
// again. When it cannot, it is.
func (l *Log) reseal(ctx context.Context, seg *segment, s *scanned) {
	block := l.id.appendBlock(nil, seg.seq, s.end, &s.summary, s.items)
	err := seg.file.Truncate(s.end)
	if err == nil {
		_, err = seg.file.WriteAt(block, s.end)
	}
	if err == nil {
		err = seg.file.Sync()
	}
	if err != nil && !full(err) {
		l.fault(ctx, "seal segment", err)
	}
	l.mu.Lock()
	seg.size = s.end + int64(len(block))
	l.mu.Unlock()
}
