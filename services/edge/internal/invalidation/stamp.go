// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
)

// Moment is how far an edge had come when something began: the revision that it had
// applied, of the cache that it had then.
type Moment struct {
	// Era names one life of the cache. A cache that is dropped begins another era, and
	// what bears an earlier one is dead.
	Era uint64
	// Revision is the etcd revision.
	Revision int64
}

// NewEra returns the name of a new era: a random number that is not 0.
func NewEra() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:]) // never fails
		if era := binary.BigEndian.Uint64(b[:]); era != 0 {
			return era
		}
	}
}

// Reaches says whether what began at m may be used behind a fence.
func (m Moment) Reaches(fence Moment) bool { return m.Era == fence.Era && m.Revision >= fence.Revision }

// Stamp returns the stamp of an object whose request to the origin began at m.
func (m Moment) Stamp() *Stamp {
	s := &Stamp{era: m.Era}
	s.revision.Store(m.Revision)
	return s
}

// Stamp is what a stored object bears: no invalidation up to its revision concerns the
// object. It begins as the moment at which the request to the origin began and is
// raised whenever a Table has found nothing newer. Its methods are safe for concurrent
// use. Nil is the stamp of an object older than everything.
type Stamp struct {
	era      uint64
	revision atomic.Int64
}

// Set makes s the stamp of m. Nobody else may know s yet.
func (s *Stamp) Set(m Moment) {
	s.era = m.Era
	s.revision.Store(m.Revision)
}

// Moment returns the present value.
func (s *Stamp) Moment() Moment {
	if s == nil {
		return Moment{}
	}
	return Moment{Era: s.era, Revision: s.revision.Load()}
}

// raise lifts the revision; it never falls.
func (s *Stamp) raise(to int64) {
	if s == nil {
		return
	}
	for {
		now := s.revision.Load()
		if now >= to || s.revision.CompareAndSwap(now, to) {
			return
		}
	}
}
