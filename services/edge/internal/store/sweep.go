// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// pause is the least time between two sweeps.
const pause = 10 * time.Second

// Sweep removes every dead object and brings the stamps of the others up to date. So
// the invalidations up to the revision that it returns have done their work, and the
// table may forget them.
func (s *Store) Sweep() (revision int64) {
	revision = s.ended.Newest()
	for _, o := range s.objects.All() {
		s.lives(o)
	}
	return revision
}

// Run sweeps at the start, and whenever the table has grown, until ctx ends. That is
// for the sake of the table's size alone: objects obey without. forgotten is told up to
// which revision the table has forgotten.
func (s *Store) Run(ctx context.Context, forgotten func(revision int64)) error {
	for {
		if floor := s.Sweep(); floor > 0 {
			s.ended.Forget(floor)
			forgotten(floor)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.ended.Grown():
		}
	}
}
