// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
)

// Recovery says what a start has found, and grows while an older log is read.
type Recovery struct {
	// Clean: the last stop was one, and the index was on disk.
	Clean bool
	// Loading: not everything is read yet.
	Loading bool
	// Segments and Bytes were found.
	Segments int
	Bytes    int64
	// Scanned segments had no index block, and were read from end to end.
	Scanned int
	// TornBytes were at the end of those and not written in full; DamagedBytes between
	// whole records.
	TornBytes, DamagedBytes int64
	// Dropped are segments that were removed at the start or while reading: because the
	// limit is lower now, because they could not be read, or because a removal that
	// concerns them is lost. DroppedBytes is their size.
	Dropped      int
	DroppedBytes int64
	// Foreign are files in the directory that are not the cache's. They are left alone and
	// their size, ForeignBytes, counts against the limit.
	Foreign      int
	ForeignBytes int64
	// Refused says why everything was dropped, if it was.
	Refused string
}

// found is a segment file in the directory.
type found struct {
	seq  uint64
	size int64
}

// open takes in what is in the directory, without reading it.
func (l *Log) open() error {
	ctx := context.Background()
	list, hasSnapshot, err := l.list()
	if err != nil {
		return err
	}
	if l.foreign > l.cfg.Limit/2 {
		return fmt.Errorf("disk cache %s: %d bytes of its %d are taken by files of others", l.cfg.Dir, l.foreign, l.cfg.Limit)
	}
	id, refused, err := readIdentity(l.cfg.files, l.cfg.Dir)
	if err != nil {
		return err
	}
	l.nextSeq = 1
	if len(list) > 0 {
		l.nextSeq = list[len(list)-1].seq + 1
	}
	if id == nil {
		if refused != nil || len(list) > 0 {
			l.refuse(ctx, refused, list)
			list = nil
		}
		if id, err = writeIdentity(l.cfg.files, l.cfg.Dir); err != nil {
			return fmt.Errorf("identity of the disk cache: %w", err)
		}
		if hasSnapshot {
			_ = l.cfg.files.Remove(l.path(snapshotName)) // it is of nothing
			hasSnapshot = false
		}
	}
	l.id = id
	slots := int(2*l.cfg.Limit/l.cfg.SegmentBytes) + 64
	l.index = newIndex(slots)
	for i := slots - 1; i >= 0; i-- {
		l.free = append(l.free, uint16(i))
	}
	if len(list) == 0 {
		close(l.loaded)
		return nil
	}
	l.loading.Store(true)
	l.index.expect()
	l.openSegments(ctx, list)
	if hasSnapshot {
		l.openSnapshot(ctx)
	}
	for l.used() > l.cfg.Limit && state(l.state.Load()) == serving && len(l.segments) > 0 {
		l.drop(ctx, l.segments[0])
	}
	return nil
}

// list reads the directory.
func (l *Log) list() (segments []found, snapshot bool, err error) {
	entries, err := l.cfg.files.List(l.cfg.Dir)
	if err != nil {
		return nil, false, fmt.Errorf("disk cache: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		seq, ours := parseName(name)
		switch {
		case name == lockName, name == identityName:
		case name == identityName+temporary, name == snapshotName+temporary:
			_ = l.cfg.files.Remove(l.path(name)) // of a stop that did not get further
		case name == snapshotName && info.Mode().IsRegular():
			snapshot = true
		case ours && info.Mode().IsRegular():
			segments = append(segments, found{seq: seq, size: info.Size()})
		default:
			l.takeForeign(name, info)
		}
	}
	slices.SortFunc(segments, func(a, b found) int { return cmp.Compare(a.seq, b.seq) })
	for _, s := range segments {
		l.recovery.Segments++
		l.recovery.Bytes += s.size
	}
	return segments, snapshot, nil
}

func (l *Log) takeForeign(name string, info fs.FileInfo) {
	if info.Mode().IsRegular() {
		l.foreign += info.Size()
		l.recovery.ForeignBytes += info.Size()
	}
	if l.recovery.Foreign++; l.recovery.Foreign == 1 {
		l.cfg.Log.WarnContext(context.Background(), "disk cache: a file that is not the cache's is left alone",
			slog.String("directory", l.cfg.Dir), slog.String("name", name))
	}
}

// refuse removes segments that are of another cache.
func (l *Log) refuse(ctx context.Context, why error, list []found) {
	l.recovery.Refused = "it has no identity"
	if why != nil {
		l.recovery.Refused = "its identity is refused: " + why.Error()
	}
	for _, f := range list {
		// One that stays is met again, and refused again, at the next start: the identity
		// to come is not its own.
		if err := l.cfg.files.Remove(l.path(segmentName(f.seq))); err == nil {
			l.recovery.Dropped++
			l.recovery.DroppedBytes += f.size
		} else {
			l.foreign += f.size
		}
	}
	l.cfg.Log.ErrorContext(ctx, "disk cache begins empty", slog.String("directory", l.cfg.Dir),
		slog.String("reason", l.recovery.Refused), slog.Int("segments", len(list)))
}

// openSegments opens the files of the older log, as many as there may be.
func (l *Log) openSegments(ctx context.Context, list []found) {
	for n := len(list) - (len(l.free) - ahead - 8); n > 0; n-- {
		l.removeUnopened(ctx, list[0], nil)
		list = list[1:]
	}
	for _, f := range list {
		file, err := l.cfg.files.Open(l.path(segmentName(f.seq)), false)
		if err != nil {
			l.removeUnopened(ctx, f, err)
			continue
		}
		seg := newSegment(f.seq, l.free[len(l.free)-1])
		l.free = l.free[:len(l.free)-1]
		seg.file, seg.size, seg.full, seg.sealed, seg.unread = file, f.size, true, true, true
		seg.written.Store(f.size)
		seg.end = f.size
		l.index.slots[seg.slot].Store(seg)
		l.segments = append(l.segments, seg)
	}
}

// removeUnopened removes a segment that cannot be opened, or for which there is no place.
func (l *Log) removeUnopened(ctx context.Context, f found, why error) {
	if why != nil {
		l.fault(ctx, "open segment", why)
	}
	if err := l.cfg.files.Remove(l.path(segmentName(f.seq))); err != nil {
		l.stop(ctx, "a segment can be neither opened nor removed")
		return
	}
	l.recovery.Dropped++
	l.recovery.DroppedBytes += f.size
}

// openSnapshot takes the index of the last stop, if it is of just the segments that are
// there, and unlinks it. One that is not still says which removals there were.
func (l *Log) openSnapshot(ctx context.Context) {
	name := l.path(snapshotName)
	f, err := l.cfg.files.Open(name, false)
	if err == nil {
		l.snapshot, err = l.id.readSnapshot(f)
		if err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		l.cfg.Log.WarnContext(ctx, "disk cache: the index of the last stop is refused",
			slog.String("directory", l.cfg.Dir), slog.Any("error", err))
	}
	// Durable is that when the next segment is created, before anything is written.
	if err = l.cfg.files.Remove(name); err != nil { // it would be taken for that of the next stop
		l.fault(ctx, "remove index", err)
		l.stop(ctx, "the index of the last stop cannot be removed")
	}
	if l.snapshot == nil {
		return
	}
	same := len(l.segments) == len(l.snapshot.segments)
	for _, s := range l.segments {
		k, ok := l.snapshot.segments[s.seq]
		same = same && ok && k.size == s.size
	}
	if !same {
		return
	}
	l.recovery.Clean = true
	for _, s := range l.segments {
		k := l.snapshot.segments[s.seq]
		s.summary, s.unread = k.summary, false
		if k.raised != nil {
			s.raised.Store(k.raised)
		}
	}
}

// drop removes a segment of the older log.
func (l *Log) drop(ctx context.Context, seg *segment) {
	l.mu.Lock()
	l.recovery.Dropped++
	l.recovery.DroppedBytes += seg.size
	l.mu.Unlock()
	l.evict(ctx, seg, nil)
}
