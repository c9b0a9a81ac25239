// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// pause is the least time between two sweeps.
const pause = 10 * time.Second

// Sweep removes every dead object and brings the stamps of the others up to date. So
// the invalidations up to the moment that it returns have done their work, and the
// table may forget them.
func (s *Store) Sweep() (to invalidation.Moment) {
	to = s.ended.Moment()
	for _, o := range s.objects.All() {
		s.lives(o)
	}
	return to
}

// Run sweeps at the start, and whenever the table has grown, until ctx ends. That is
// for the sake of the table's size alone: objects obey without. forgotten is told up to
// which revision the table has forgotten.
func (s *Store) Run(ctx context.Context, forgotten func(revision int64)) error {
	for {
		if to := s.Sweep(); to.Revision > 0 && s.ended.Forget(to) {
			forgotten(to.Revision)
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
