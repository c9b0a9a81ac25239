// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// Tier is a place where objects lie. The zero value is unknown.
type Tier uint8

// The tiers.
const (
	_ Tier = iota
	// Memory holds what is in use.
	Memory
	// Disk holds all that is stored, if there is one.
	Disk
)

// String returns the word for pages and logs.
func (t Tier) String() string {
	switch t {
	case Memory:
		return "memory"
	case Disk:
		return "disk"
	default:
		return "unknown"
	}
}

// Find returns the object of that key, be it dead, without its body and as a value of its
// own, and the fastest tier that has it. It brings nothing into memory, removes nothing, helps
// no object to stay, and is not counted.
func (s *Store) Find(ctx context.Context, key cachekey.Key) (o *Object, in Tier, ok bool) {
	var v View
	if r, ok := s.memory.Peek([]byte(key)); ok && s.viewOf(r, &v) {
		defer v.Release()
		v.bytes = nil
		return v.Own(), Memory, true
	}
	if s.disk == nil {
		return nil, 0, false
	}
	r, ok := s.disk.Peek(ctx, string(key))
	if !ok {
		return nil, 0, false
	}
	defer r.Release()
	if v.decodeHead(key, r.Head()) != nil {
		return nil, 0, false
	}
	at := r.Stamp()
	v.stamp.Set(invalidation.Moment{Era: at.Era, Revision: at.Revision})
	v.bytes = nil
	return v.Own(), Disk, true
}

// mostCounted bounds the slices that CountSlices looks for, which is a body of 1 TiB.
const mostCounted = 1 << 20

// CountSlices returns how many slices of an object are stored, and how many there are of
// its body; 0 of 0 where the body is not in slices. Of a body beyond 1 TiB it counts those
// of the beginning. It stops when ctx ends.
func (s *Store) CountSlices(ctx context.Context, o *Object) (stored, all int64) {
	if o.Slices == 0 {
		return 0, 0
	}
	all = (o.Size + int64(SliceBytes) - 1) / int64(SliceBytes)
	for n := range min(all, mostCounted) {
		if ctx.Err() != nil {
			return stored, all
		}
		if s.hasSlice(o.Slices, n) {
			stored++
		}
	}
	return stored, all
}

// hasSlice says whether there is a slice, without any use of it.
func (s *Store) hasSlice(body uint64, number int64) bool {
	var room [sliceKeyBytes]byte
	key := sliceKey(&room, body, number)
	if s.disked() {
		return s.disk.Has(text(key))
	}
	r, ok := s.memory.Peek(key)
	if ok {
		r.Release()
	}
	return ok
}
