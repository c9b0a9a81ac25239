// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"fmt"
)

// Why a record is not stored.
var (
	ErrTooLarge     = errors.New("the record is too large for the disk cache")
	ErrBusy         = errors.New("the disk cache is too slow for what it is to take")
	ErrNoRoom       = errors.New("the disk cache has no room")
	ErrOutOfService = errors.New("the disk cache is out of service")
	ErrClosed       = errors.New("the disk cache is closed")
)

// Put stores body, in parts, and head under key, in the place of what was there. It
// copies them, waits for no disk, and a Get that comes after it finds the record. When it
// fails, by one of the errors above, nothing is stored under key any more.
func (l *Log) Put(key string, at Stamp, head []byte, body ...[]byte) error {
	l.n.puts.Add(1)
	r := record{key: key, head: head, body: body}
	r.kind, r.stamp, r.hash = kindPut, at, l.id.hash(key)
	check, size := checkOf(body)
	err := error(nil)
	if len(key) > MaxKey || len(head) > MaxHead || size > MaxBody {
		err = ErrTooLarge
	} else {
		r.bodyCheck, r.bodyLen, r.headLen, r.keyLen = check, uint32(size), uint32(len(head)), uint32(len(key))
		err = l.put(&r)
	}
	if err != nil {
		l.n.drop(err)
		l.remove(r.hash)
	}
	return err
}

func (l *Log) put(r *record) error {
	if int64(r.size()) > l.cfg.SegmentBytes-segmentHead-blockBytes(1) {
		return ErrTooLarge
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		return err
	}
	if l.queued+r.size() > int(l.cfg.BufferBytes) {
		return ErrBusy
	}
	l.payOwed()
	p, ok := l.append(r)
	if !ok {
		return ErrNoRoom
	}
	l.index.set(r.hash, p, flagVerified)
	return nil
}

// refusal says why nothing is taken at all. mu is held.
func (l *Log) refusal() error {
	switch state(l.state.Load()) {
	case closed:
		return ErrClosed
	case out:
		return ErrOutOfService
	}
	if l.cfg.now().Before(l.resume) {
		return ErrNoRoom
	}
	return nil
}

// Delete removes what is stored under key. It is gone at once, and for good once Sync has
// returned without an error.
func (l *Log) Delete(key string) { l.remove(l.id.hash(key)) }

func (l *Log) remove(h hash) {
	l.mu.Lock()
	if matters := l.index.remove(h); matters && state(l.state.Load()) != closed {
		l.n.removals.Add(1)
		l.appendRemoval(h)
	}
	disown := l.givesUp()
	l.mu.Unlock()
	if disown {
		l.disown(context.Background(), "removals could not be written")
	}
}

// givesUp says whether there are removals that will never be written. mu is held.
func (l *Log) givesUp() bool {
	return len(l.owed) > mostOwed || len(l.owed) > 0 && state(l.state.Load()) == out
}

const (
	// overdraft is what removals may take beyond Config.BufferBytes.
	overdraft = 1 << 20
	// mostOwed is how many removals may wait for a disk that takes nothing.
	mostOwed = 1 << 16
)

// appendRemoval appends the removal of h, or keeps it for later. mu is held.
func (l *Log) appendRemoval(h hash) {
	r := record{header: header{kind: kindRemoval, hash: h}}
	if state(l.state.Load()) == serving && l.queued+r.size() <= int(l.cfg.BufferBytes)+overdraft {
		if _, ok := l.append(&r); ok {
			delete(l.owed, h)
			l.removed = true
			return
		}
	}
	if len(l.owed) <= mostOwed {
		l.owed[h] = struct{}{}
	}
}

// payOwed appends the removals that could not be written before. mu is held.
func (l *Log) payOwed() {
	for h := range l.owed {
		if l.appendRemoval(h); len(l.queue) > 0 && l.queued > int(l.cfg.BufferBytes) {
			return
		}
	}
}

// append gives r a place at the end of the log. mu is held.
func (l *Log) append(r *record) (p place, ok bool) {
	size := r.size()
	if l.active != nil && !l.active.fits(size, l.cfg.SegmentBytes) {
		l.rotate()
	}
	if l.active == nil && !l.begin() {
		return p, false
	}
	seg := l.active
	if l.current == nil || cap(l.current.buf)-len(l.current.buf) < size {
		l.closeChunk()
		l.current = l.newChunk(seg, size)
	}
	if r.kind == kindRemoval {
		seg.removals++
	}
	r.removals = seg.removals
	l.current.buf = l.id.append(l.current.buf, seg.seq, seg.end, r)
	p = place{
		offset: uint32(seg.end / align), size: uint32(size / align),
		lead: uint16(aligned(r.lead()) / align), slot: seg.slot,
	}
	seg.items = append(seg.items, item{hash: r.hash, offset: p.offset, size: p.size, lead: p.lead, kind: r.kind})
	switch r.kind {
	case kindPut:
		seg.note(r.stamp)
		delete(l.owed, r.hash) // what it is about is behind this record now
	case kindMark:
		seg.noteMark(r.mark())
	}
	seg.end += int64(size)
	l.queued += size
	if signal(l.wake); l.queued >= chunkBytes {
		signal(l.much)
	}
	return p, true
}

// begin makes a new segment the active one. Its file is created when its first chunk is
// written. mu is held.
func (l *Log) begin() bool {
	if len(l.free) == 0 {
		return false
	}
	slot := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	l.active = newSegment(l.nextSeq, slot)
	l.nextSeq++
	l.index.slots[slot].Store(l.active)
	return true
}

// rotate ends the active segment. mu is held.
func (l *Log) rotate() {
	if l.active != nil {
		l.closeChunk()
		l.active.full = true
		l.active = nil
	}
}

// Sync brings everything to disk that was put and deleted before it was called. After it
// has returned without an error, what was deleted stays deleted, come what may.
func (l *Log) Sync(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	err := l.refusal()
	if errors.Is(err, ErrNoRoom) {
		err = nil // removals are tried all the same
	}
	l.payOwed()
	if l.removed {
		m := mark{}.record()
		if _, ok := l.append(&m); ok {
			l.removed = false
		}
	}
	l.mu.Unlock()
	l.drain(ctx)
	if syncErr := l.syncAll(ctx); err == nil {
		err = syncErr
	}
	l.mu.Lock()
	owed, disowned := len(l.owed), l.disowned
	l.mu.Unlock()
	switch {
	case err != nil:
	case disowned:
		err = errors.New("it is given up")
	case owed > 0:
		err = fmt.Errorf("%d removals are not on disk", owed)
	}
	if err != nil {
		return fmt.Errorf("sync disk cache: %w", err)
	}
	return nil
}
