// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/binary"

	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/memory"
)

// SliceBytes is how much of a body lies in one slice, but for the last.
const SliceBytes = int(byterange.SliceSize)

// Slice is a slice that is held. It is used by one goroutine.
type Slice struct {
	piece exchange.Piece
	file  *disk.Ref
	mem   memory.Ref
}

// Section returns a part of the slice.
func (s *Slice) Section(from, length int64) exchange.Piece {
	p := s.piece
	if p.File == nil {
		return exchange.Piece{Bytes: p.Bytes[from : from+length]}
	}
	return exchange.Piece{File: p.File, Offset: p.Offset + from, Length: length}
}

// Size is the number of bytes in the slice.
func (s *Slice) Size() int64 { return s.piece.Size() }

// Cut is closed when whoever holds the slice is to let go; nil if that never happens.
func (s *Slice) Cut() <-chan struct{} {
	if s.file == nil {
		return nil
	}
	return s.file.Cut()
}

// Release ends the use of the slice and of what it gave. It may be called again.
func (s *Slice) Release() {
	if s.file != nil {
		s.file.Release()
	}
	s.mem.Release()
	*s = Slice{}
}

// Slice makes out the slice with that number of a body, to be released, and says whether
// there is one.
func (s *Store) Slice(ctx context.Context, body uint64, number int64, out *Slice) bool {
	var room [sliceKeyBytes]byte
	key := sliceKey(&room, body, number)
	if !s.disked() {
		r, ok := s.memory.Get(key)
		if ok {
			*out = Slice{piece: exchange.Piece{Bytes: r.Bytes()}, mem: r}
		}
		return ok
	}
	r, ok := s.disk.Get(ctx, string(key))
	if !ok {
		return false
	}
	piece, err := r.Body(ctx)
	if err != nil || piece.Size() == 0 {
		r.Release()
		return false
	}
	*out = Slice{piece: piece, file: r}
	return true
}

// disked says whether slices lie on disk: once that is out of service, they lie in memory.
func (s *Store) disked() bool { return s.disk != nil && s.disk.Serving() }

// HasSlices says whether these slices of a body are there, as far as is known without
// reading them. It counts as no use of them.
func (s *Store) HasSlices(body uint64, slices byterange.Slices) bool {
	for n := slices.First; n < slices.End; n++ {
		if !s.hasSlice(body, n) {
			return false
		}
	}
	return true
}

// RecallSlice says whether Slice finds a slice. It counts as no use of it.
func (s *Store) RecallSlice(ctx context.Context, body uint64, number int64) bool {
	if !s.disked() {
		return s.hasSlice(body, number)
	}
	var room [sliceKeyBytes]byte
	r, ok := s.disk.Peek(ctx, string(sliceKey(&room, body, number)))
	if !ok {
		return false
	}
	defer r.Release()
	piece, err := r.Body(ctx)
	return err == nil && piece.Size() > 0
}

// PutSlice stores a slice of a body whose request to the origin began at a moment, and
// says whether it could: a disk may be too slow for it, or memory too small.
func (s *Store) PutSlice(body uint64, number int64, at invalidation.Moment, b []byte) bool {
	var room [sliceKeyBytes]byte
	key := sliceKey(&room, body, number)
	if s.disked() {
		return s.disk.Put(string(key), disk.Stamp{Era: at.Era, Revision: at.Revision}, nil, b) == nil
	}
	return s.memory.Set(key, len(b), func(to []byte) { copy(to, b) })
}

// NewSlices names the slices of a new body.
func (s *Store) NewSlices() uint64 {
	for {
		if id := s.versions.Add(1); id != 0 {
			return id
		}
	}
}

// KeepsSlices says whether slices can be stored at all: memory alone may be too small.
func (s *Store) KeepsSlices() bool {
	return s.disked() || s.memory.MaxRecord() >= SliceBytes+sliceKeyBytes
}

// MaxSliced is the longest body that is stored in slices as a whole: one that is longer
// would push out everything else. Of longer ones slices are stored that are asked for.
// Where no slices are kept it is MaxInline.
func (s *Store) MaxSliced() int64 {
	switch {
	case s.disked():
		return s.limits.disk / share
	case s.KeepsSlices():
		return s.limits.memory / share
	default:
		return s.MaxInline()
	}
}

// share of a tier that one object may take at most.
const share = 8

// A slice has a key with which no key of an object begins: those begin with the length of
// an id, which is not 0.
const sliceKeyBytes = 17

func sliceKey(room *[sliceKeyBytes]byte, body uint64, number int64) []byte {
	room[0] = 0
	binary.BigEndian.PutUint64(room[1:], body)
	binary.BigEndian.PutUint64(room[9:], uint64(number))
	return room[:]
}

func isSlice(key []byte) bool { return len(key) == sliceKeyBytes && key[0] == 0 }
