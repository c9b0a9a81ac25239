// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"syscall"
	"time"
)

const (
	// pauseAfterFull is how long nothing is taken after the file system was full.
	pauseAfterFull = 5 * time.Second
	// spaceTries is how many segments make room for one write on a full file system.
	spaceTries = 2
	// mostUnsynced is how many sealed segments may wait to be synced before no more is
	// written.
	mostUnsynced = 4
	// gatherTime is how long records wait for others to be written with them: of small
	// ones a write costs more than what it writes.
	gatherTime = 5 * time.Millisecond
)

// errAbandoned is for chunks of a segment in which an earlier write has failed.
var errAbandoned = errors.New("an earlier write to the segment has failed")

// write writes what is put, a little later, until ctx ends.
func (l *Log) write(ctx context.Context) {
	gathered := time.NewTimer(gatherTime)
	defer gathered.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		gathered.Reset(gatherTime)
		select {
		case <-ctx.Done():
			return
		case <-l.much:
		case <-gathered.C:
		}
		l.writing.Lock()
		l.drain(ctx)
		l.writing.Unlock()
	}
}

// drain writes all that is in the queue. writing is held.
func (l *Log) drain(ctx context.Context) {
	for c := l.next(); c != nil; c = l.next() {
		if err := l.writeChunk(ctx, c); err != nil {
			l.lose(ctx, c, err)
		}
	}
}

func (l *Log) writeChunk(ctx context.Context, c *chunk) error {
	if state(l.state.Load()) == out {
		return ErrOutOfService
	}
	if l.isFailed(c.seg) {
		return errAbandoned
	}
	if l.head != c.seg {
		l.seal(ctx)
		if err := l.create(ctx, c.seg); err != nil {
			return err
		}
	}
	err := l.withSpace(ctx, func() error {
		_, err := c.seg.file.WriteAt(c.buf, c.start)
		return err
	})
	if err != nil {
		return err
	}
	l.n.writes.Add(1)
	l.n.bytesWritten.Add(int64(len(c.buf)))
	l.mu.Lock()
	c.seg.written.Store(c.start + int64(len(c.buf)))
	l.done(c)
	l.mu.Unlock()
	return nil
}

func (l *Log) isFailed(s *segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.failed
}

// full says whether the file system has no room for us.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// withSpace does op, and again without the oldest segment when the file system is full.
func (l *Log) withSpace(ctx context.Context, op func() error) error {
	err := op()
	for range spaceTries {
		if !full(err) {
			break
		}
		l.setStarved(true)
		l.evicting.Lock()
		evicted := l.evictOldest(ctx, false)
		l.evicting.Unlock()
		l.setStarved(false)
		if !evicted {
			break
		}
		err = op()
	}
	return err
}

// create creates the file of a segment. writing is held.
func (l *Log) create(ctx context.Context, seg *segment) error {
	if !l.makeRoom(ctx) {
		return ErrNoRoom
	}
	l.mu.Lock()
	if n := len(l.segments); n > 0 {
		last := l.segments[n-1]
		if seg.before, seg.removalsBefore = last.seq, last.removals; last.unread {
			seg.removalsBefore = unknown
		}
	}
	l.mu.Unlock()
	name := seg.path(l.cfg.Dir)
	var f file
	err := l.withSpace(ctx, func() (err error) {
		if f, err = l.cfg.files.Open(name, true); err != nil {
			return err
		}
		if _, err = f.WriteAt(l.id.encodeHead(seg), 0); err == nil {
			err = l.cfg.files.SyncDir(l.cfg.Dir)
		}
		if err != nil {
			_ = f.Close()
			_ = l.cfg.files.Remove(name)
		}
		return err
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	seg.file = f
	seg.size = l.cfg.SegmentBytes
	seg.written.Store(segmentHead)
	l.segments = append(l.segments, seg)
	l.mu.Unlock()
	l.head = seg
	signal(l.tight)
	return nil
}

// seal ends the segment that was written to, with its index block. writing is held.
func (l *Log) seal(ctx context.Context) {
	seg := l.head
	if seg == nil {
		return
	}
	l.head = nil
	end := seg.written.Load()
	l.mu.Lock()
	if seg.failed { // what was never written is not there
		seg.items = slices.DeleteFunc(seg.items, func(it item) bool { return int64(it.offset)*align >= end })
		seg.removals = 0
		for i := range seg.items {
			if seg.items[i].kind == kindRemoval {
				seg.removals++
			}
		}
	}
	block := l.id.appendBlock(nil, seg.seq, end, &seg.summary, seg.items)
	failed := seg.failed
	l.mu.Unlock()
	err := error(nil)
	if failed {
		err = seg.file.Truncate(end)
	}
	if err == nil {
		err = l.withSpace(ctx, func() error {
			_, err := seg.file.WriteAt(block, end)
			return err
		})
	}
	if err != nil && !full(err) {
		l.fault(ctx, "seal segment", err)
	}
	l.mu.Lock()
	seg.sealed = true
	seg.items = nil
	seg.size = end + int64(len(block))
	seg.refs.Add(1) // until it is synced
	l.unsynced = append(l.unsynced, seg)
	much := len(l.unsynced) > mostUnsynced
	l.mu.Unlock()
	signal(l.settle)
	signal(l.tight)
	if much {
		_ = l.settleSealed(ctx) // counted as a fault
	}
}

// lose forgets a chunk that could not be written, and the rest of its segment with it.
func (l *Log) lose(ctx context.Context, c *chunk, err error) {
	switch {
	case full(err), errors.Is(err, ErrNoRoom):
		l.cfg.Log.WarnContext(ctx, "disk cache has no room, and takes nothing for a while",
			slog.String("directory", l.cfg.Dir), slog.Any("error", err))
	case !errors.Is(err, errAbandoned) && !errors.Is(err, ErrOutOfService):
		l.fault(ctx, "write segment", err)
	}
	l.mu.Lock()
	if full(err) || errors.Is(err, ErrNoRoom) {
		l.resume = l.cfg.now().Add(pauseAfterFull)
	}
	seg := c.seg
	if seg.failed = true; l.active == seg {
		l.rotate()
	}
	for i := range seg.items {
		if at := int64(seg.items[i].offset) * align; at >= c.start && at < c.start+int64(len(c.buf)) {
			l.loseItem(&seg.items[i], seg.slot)
		}
	}
	l.done(c)
	more := slices.ContainsFunc(l.queue, func(c *chunk) bool { return c.seg == seg })
	if seg.file == nil && !more {
		l.index.slots[seg.slot].Store(nil)
		l.free = append(l.free, seg.slot)
		defer l.release(seg)
	}
	disown := l.givesUp()
	l.mu.Unlock()
	if disown {
		l.disown(ctx, "removals could not be written")
	}
}

// loseItem forgets a record that could not be written. mu is held.
func (l *Log) loseItem(it *item, slot uint16) {
	gone := false
	switch it.kind {
	case kindPut:
		if gone = l.index.removeAt(it.hash, it.place(slot)); gone {
			l.n.lost.Add(1)
		}
	case kindRemoval:
		_, _, found := l.index.peek(it.hash)
		gone = !found
	case kindMark:
		l.removed = true
	}
	// What was before it must not come back in its place.
	if gone && len(l.owed) <= mostOwed {
		l.owed[it.hash] = struct{}{}
	}
}

// settleAll syncs what is sealed, until ctx ends.
func (l *Log) settleAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.settle:
			_ = l.settleSealed(ctx) // counted as a fault
		}
	}
}

// settleSealed makes sealed segments durable.
func (l *Log) settleSealed(ctx context.Context) error {
	l.settling.Lock()
	defer l.settling.Unlock()
	l.mu.Lock()
	some := l.unsynced
	l.unsynced = nil
	l.mu.Unlock()
	var errs []error
	for _, seg := range some {
		errs = append(errs, l.syncSegment(ctx, seg))
		l.release(seg)
	}
	return errors.Join(errs...)
}

// syncAll makes everything durable that was written. writing is held.
func (l *Log) syncAll(ctx context.Context) error {
	err := l.settleSealed(ctx)
	if l.head != nil {
		err = errors.Join(err, l.syncSegment(ctx, l.head))
	}
	return err
}

func (l *Log) syncSegment(ctx context.Context, seg *segment) error {
	err := seg.file.Sync()
	if err == nil {
		return nil
	}
	l.fault(ctx, "sync segment", err)
	l.mu.Lock()
	removals := seg.removals > 0
	l.mu.Unlock()
	if removals {
		// The system does not write again what it could not write once.
		l.disown(ctx, "removals may not have been written")
	}
	return err
}
