// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
)

// The snapshot is the index of a clean stop: a head, what is known of each segment, and
// the entries, shard by shard. It is unlinked before anything else is written: one that
// is there is that of the last stop.
const (
	snapshotMagic   = "SEAFINDX"
	snapshotHead    = 8 + 4 + 4 + 8 + 4
	snapshotSegment = 5*8 + summaryBytes
	entryBytes      = 28
)

// snapshotBytes is the most that a snapshot takes.
func snapshotBytes(objects, segments int) int64 {
	return snapshotHead + 4 + int64(segments)*snapshotSegment + shards*8 + int64(objects)*entryBytes
}

// snapshot is one that is being read.
type snapshot struct {
	file file
	at   int64 // where the entries begin
	size int64
	// segments says what is known of each segment, by number.
	segments map[uint64]account
	order    []uint64
}

// account is what a snapshot knows of a segment.
type account struct {
	summary
	size   int64
	raised *raise
}

// writeSnapshot writes the index. No segment is open for writing any more.
func (l *Log) writeSnapshot(ctx context.Context) error {
	l.mu.Lock()
	ordinal := map[uint16]int{}
	b := append(make([]byte, 0, 1<<20), snapshotMagic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(l.segments)))
	b = binary.LittleEndian.AppendUint64(b, uint64(l.index.objects.Load()))
	for i, s := range l.segments {
		ordinal[s.slot] = i
		b = appendKnown(b, s)
	}
	l.mu.Unlock()
	b = binary.LittleEndian.AppendUint32(b, l.id.check(0, 0, b))
	path := l.path(snapshotName)
	f, err := l.cfg.files.Open(path+temporary, true)
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	err = l.writeEntries(f, b, ordinal)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = l.cfg.files.Rename(path+temporary, path)
	}
	if err == nil {
		err = l.cfg.files.SyncDir(l.cfg.Dir)
	}
	if err != nil {
		_ = l.cfg.files.Remove(path + temporary)
		return fmt.Errorf("write index: %w", err)
	}
	l.cfg.Log.DebugContext(ctx, "disk cache: index is written")
	return nil
}

func appendKnown(b []byte, s *segment) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.size))
	r := s.raised.Load()
	if r == nil {
		r = &raise{}
	}
	b = binary.LittleEndian.AppendUint64(b, r.stamp.Era)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.stamp.Revision))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.upTo))
	return appendSummary(b, &s.summary)
}

// writeEntries writes b and what is in the index behind it.
func (l *Log) writeEntries(f file, b []byte, ordinal map[uint16]int) error {
	at := int64(0)
	flush := func() error {
		_, err := f.WriteAt(b, at)
		at += int64(len(b))
		b = b[:0]
		return err
	}
	for i := range l.index.shards {
		s := &l.index.shards[i]
		start := len(b)
		s.mu.Lock()
		b = binary.LittleEndian.AppendUint32(b, uint32(s.count))
		b = binary.LittleEndian.AppendUint32(b, 0)
		for j := range s.table {
			e := s.table[j]
			if e.bits == 0 {
				continue
			}
			e.slot = uint16(ordinal[e.slot])
			b = appendEntry(b, &e)
		}
		s.mu.Unlock()
		binary.LittleEndian.PutUint32(b[start+4:], l.id.check(uint64(i)+1, 0, b[start+8:]))
		if len(b) >= 1<<20 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func appendEntry(b []byte, e *entry) []byte {
	b = append(b, e.hash[:]...)
	b = binary.LittleEndian.AppendUint32(b, e.offset)
	b = binary.LittleEndian.AppendUint32(b, e.bits&^flagVerified)
	b = binary.LittleEndian.AppendUint16(b, e.slot)
	return binary.LittleEndian.AppendUint16(b, e.lead)
}

func parseEntry(b []byte) entry {
	return entry{
		hash: hash(b[:16]), offset: binary.LittleEndian.Uint32(b[16:]), bits: binary.LittleEndian.Uint32(b[20:]),
		slot: binary.LittleEndian.Uint16(b[24:]), lead: binary.LittleEndian.Uint16(b[26:]),
	}
}

// readSnapshot reads the head of a snapshot.
func (id *identity) readSnapshot(f file) (*snapshot, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	w := &window{from: f, size: size}
	b, err := w.get(0, snapshotHead-4)
	if err != nil {
		return nil, err
	}
	n := int(binary.LittleEndian.Uint32(b[12:]))
	if string(b[:8]) != snapshotMagic || binary.LittleEndian.Uint32(b[8:]) != format || n > 2*mostSegments {
		return nil, errMalformed
	}
	s := &snapshot{file: f, size: size, segments: map[uint64]account{}}
	head := min(int64(snapshotHead+n*snapshotSegment), size)
	if b, err = w.get(0, int(head)); err != nil {
		return nil, err
	}
	rest := b[snapshotHead-4:]
	for range n {
		if rest, err = s.parseKnown(rest); err != nil {
			return nil, err
		}
	}
	at := len(b) - len(rest)
	if len(rest) < 4 || id.check(0, 0, b[:at]) != binary.LittleEndian.Uint32(rest) {
		return nil, errors.New("damaged")
	}
	s.at = int64(at) + 4
	return s, nil
}

func (s *snapshot) parseKnown(b []byte) (rest []byte, err error) {
	const fixed = 5 * 8
	if len(b) < fixed {
		return nil, errMalformed
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	k := account{size: int64(word(1))}
	if word(2) != 0 {
		k.raised = &raise{stamp: Stamp{Era: word(2), Revision: int64(word(3))}, upTo: int64(word(4))}
	}
	k.summary, rest, err = parseSummary(b[fixed:])
	s.segments[word(0)] = k
	s.order = append(s.order, word(0))
	return rest, err
}

// entries calls f with the entries of each shard in turn. The bytes are valid until f
// returns.
func (s *snapshot) entries(id *identity, f func(some []byte) error) error {
	w := &window{from: s.file, size: s.size}
	at := s.at
	for i := range shards {
		b, err := w.get(at, 8)
		if err != nil {
			return err
		}
		n, check := int64(binary.LittleEndian.Uint32(b))*entryBytes, binary.LittleEndian.Uint32(b[4:])
		if at += 8; n > s.size-at {
			return errMalformed
		}
		if b, err = w.get(at, int(n)); err != nil {
			return err
		}
		if id.check(uint64(i)+1, 0, b) != check {
			return errors.New("damaged")
		}
		if err := f(b); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// path returns the name of a file of the log.
func (l *Log) path(name string) string { return filepath.Join(l.cfg.Dir, name) }
