// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"hash/crc32"
	"io"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// errDamaged is for bodies that are not what was written. The record is gone then.
var errDamaged = errors.New("a record of the disk cache is damaged")

// Ref is a record that Get or Peek found. It holds the record's file: it can be read until
// Release, whatever becomes of the record meanwhile. It is used by one goroutine.
type Ref struct {
	log      *Log
	seg      *segment
	hash     hash
	place    place
	h        header
	verified bool
	whole    []byte // the record, if it is not in its file yet
	lead     []byte // what is before the body
	buf      []byte // of lead
}

// Get returns what is stored under key. It waits while Config.Readers others read heads,
// and returns nothing when ctx ends meanwhile.
func (l *Log) Get(ctx context.Context, key string) (*Ref, bool) {
	r, ok := l.ref(ctx, key, 1)
	if ok {
		l.n.hits.Add(1)
	} else {
		l.n.misses.Add(1)
	}
	return r, ok
}

// Peek is Get that is not counted, and helps nothing to stay.
func (l *Log) Peek(ctx context.Context, key string) (*Ref, bool) { return l.ref(ctx, key, 0) }

func (l *Log) ref(ctx context.Context, key string, hits uint32) (*Ref, bool) {
	if state(l.state.Load()) != serving {
		return nil, false
	}
	h := l.id.hash(key)
	p, verified, seg := l.index.get(h, hits)
	if seg == nil {
		return nil, false
	}
	r, _ := l.refs.Get().(*Ref)
	if r == nil {
		r = &Ref{log: l}
	}
	r.seg, r.hash, r.place, r.verified = seg, h, p, verified
	if !r.open(ctx, key) {
		r.Release()
		return nil, false
	}
	return r, true
}

// Has says whether something is stored under key, as far as the index knows: it reads
// nothing, and counts as no use.
func (l *Log) Has(key string) bool {
	if state(l.state.Load()) != serving {
		return false
	}
	_, _, found := l.index.peek(l.id.hash(key))
	return found
}

// open reads what is before the body and holds it against the key.
func (r *Ref) open(ctx context.Context, key string) bool {
	l := r.log
	if r.place.at()+int64(r.place.length()) > r.seg.written.Load() {
		r.whole = l.pending(r.seg, r.place)
	}
	if r.whole != nil {
		r.h, _ = l.id.decode(r.whole)
		r.lead = r.whole[:r.h.lead()]
	} else {
		if r.place.at()+int64(r.place.length()) > r.seg.written.Load() {
			return false // it could not be written
		}
		b := grown(&r.buf, r.place.leadBytes())
		select {
		case l.readers <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		err := l.read(ctx, r.seg, b, r.place.at())
		<-l.readers
		if err != nil {
			r.drop()
			return false
		}
		h, ok := l.parse(r.seg, r.place, b)
		if !ok {
			l.n.failedChecks.Add(1)
			r.drop()
			return false
		}
		r.h, r.lead = h, b[:h.lead()]
	}
	return r.h.kind == kindPut && string(r.lead[headerBytes:headerBytes+r.h.keyLen]) == key
}

// parse reads the header of the record at p from b, which holds what is before the body
// at least, and says whether that is whole.
func (l *Log) parse(seg *segment, p place, b []byte) (h header, ok bool) {
	h, ok = l.id.decode(b)
	if !ok || h.size() != p.length() || h.lead() > len(b) {
		return h, false
	}
	return h, l.id.whole(seg.seq, p.at(), b[:h.lead()])
}

// read fills b from a segment. A file that is too short is damage, no failing disk.
func (l *Log) read(ctx context.Context, seg *segment, b []byte, at int64) error {
	l.n.reads.Add(1)
	err := readFull(seg.file, b, at)
	switch {
	case err == nil:
		l.n.bytesRead.Add(int64(len(b)))
	case errors.Is(err, io.ErrUnexpectedEOF):
		l.n.failedChecks.Add(1)
	default:
		l.fault(ctx, "read segment", err)
	}
	return err
}

// drop forgets a record that cannot be read.
func (r *Ref) drop() { r.log.index.removeAt(r.hash, r.place) }

// Head returns the head of the record, valid until Release and never written to.
func (r *Ref) Head() []byte { return r.h.view(r.lead, Stamp{}).Head }

// Stamp returns the record's stamp: what it was put with, or what it was raised to.
func (r *Ref) Stamp() Stamp { return r.seg.stampOf(r.h.stamp, r.place.at()) }

// Size returns the number of bytes of the body.
func (r *Ref) Size() int64 { return int64(r.h.bodyLen) }

// Cut is closed when the holder is to let go, because segments that are no longer in the
// directory take too much.
func (r *Ref) Cut() <-chan struct{} { return r.seg.cut }

// Body returns the body: a range of a file, or bytes while it is not written. It is valid
// until Release. The body of no bytes is the zero Piece.
//
// A body that was not checked since the start is checked first. That waits while
// Config.Verifiers others are checked, until ctx ends. When it fails the record is gone.
func (r *Ref) Body(ctx context.Context) (exchange.Piece, error) {
	if r.h.bodyLen == 0 {
		return exchange.Piece{}, nil
	}
	if r.whole != nil {
		return exchange.Piece{Bytes: r.whole[r.h.lead():][:r.h.bodyLen]}, nil
	}
	if err := r.verify(ctx); err != nil {
		return exchange.Piece{}, err
	}
	return exchange.Piece{File: r.seg.file.OS(), Offset: r.bodyAt(), Length: r.Size()}, nil
}

func (r *Ref) bodyAt() int64 { return r.place.at() + int64(r.h.lead()) }

// Append appends the body to b, checked as by Body.
func (r *Ref) Append(ctx context.Context, b []byte) ([]byte, error) {
	if r.whole != nil {
		return append(b, r.whole[r.h.lead():][:r.h.bodyLen]...), nil
	}
	start := len(b)
	if cap(b)-start < int(r.h.bodyLen) {
		b = append(make([]byte, 0, start+int(r.h.bodyLen)), b...)
	}
	body := b[start : start+int(r.h.bodyLen)]
	if err := r.enter(ctx); err != nil {
		return b[:start], err
	}
	err := r.log.read(ctx, r.seg, body, r.bodyAt())
	<-r.log.verifiers
	if err == nil && checksum(body) != r.h.bodyCheck {
		r.log.n.failedChecks.Add(1)
		err = errDamaged
	}
	if err != nil {
		r.drop()
		return b[:start], err
	}
	r.passed()
	return b[:start+len(body)], nil
}

// ReadAt reads bytes of the body, checked as by Body.
func (r *Ref) ReadAt(ctx context.Context, b []byte, offset int64) (int, error) {
	if offset < 0 || offset >= r.Size() {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), r.Size()-offset))
	err := error(nil)
	if n < len(b) {
		err = io.EOF
	}
	if r.whole != nil {
		return copy(b, r.whole[r.h.lead()+int(offset):][:n]), err
	}
	if err := r.verify(ctx); err != nil {
		return 0, err
	}
	if err := r.log.read(ctx, r.seg, b[:n], r.bodyAt()+offset); err != nil {
		return 0, err
	}
	return n, err
}

func (r *Ref) enter(ctx context.Context) error {
	select {
	case r.log.verifiers <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Ref) passed() {
	if !r.verified {
		r.verified = true
		r.log.index.verify(r.hash, r.place)
	}
}

// verify checks the body, unless that was done since the start.
func (r *Ref) verify(ctx context.Context) error {
	if r.verified {
		return nil
	}
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer func() { <-r.log.verifiers }()
	// Of many who waited for the same body one has read it.
	if p, flags, found := r.log.index.peek(r.hash); found && p == r.place && flags&flagVerified != 0 {
		r.verified = true
		return nil
	}
	buf := r.log.buffer()
	defer r.log.scratch.Put(buf)
	check := uint32(0)
	for at, left := r.bodyAt(), int(r.h.bodyLen); left > 0; {
		b := grown(buf, min(left, windowBytes))
		if err := r.log.read(ctx, r.seg, b, at); err != nil {
			r.drop()
			return err
		}
		check = crc32.Update(check, castagnoli(), b)
		at, left = at+int64(len(b)), left-len(b)
	}
	r.log.n.verified.Add(1)
	if check != r.h.bodyCheck {
		r.log.n.failedChecks.Add(1)
		r.drop()
		return errDamaged
	}
	r.passed()
	return nil
}

// Release ends the use of r and of all that it gave.
func (r *Ref) Release() {
	l, seg := r.log, r.seg
	buf := r.buf
	if cap(buf) > mostRefBuffer {
		buf = nil
	}
	*r = Ref{log: l, buf: buf}
	l.refs.Put(r)
	l.release(seg)
}

// mostRefBuffer is what a Ref that waits for its next use may keep.
const mostRefBuffer = 16 << 10

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli()) }

// buffer returns a buffer for reading, to be put back into scratch.
func (l *Log) buffer() *[]byte {
	if b, ok := l.scratch.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

// grown returns the first n bytes of a buffer, which it makes larger if need be.
func grown(buf *[]byte, n int) []byte {
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	*buf = (*buf)[:n]
	return *buf
}
