// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/memory"
)

// pause is the least time between two sweeps.
const pause = 10 * time.Second

// Sweep removes every dead object and brings the stamps of the others up to date, in
// both tiers. So the invalidations up to the moment that it returns have done their work,
// and the table may forget them. It fails while the disk cannot be read through. Of a disk
// that is out of service nothing is found any more, and after the next start what has an
// old stamp is dead.
func (s *Store) Sweep(ctx context.Context) (to invalidation.Moment, err error) {
	to = s.ended.Moment()
	for r := range s.memory.Range {
		if isSlice(r.Key()) {
			continue
		}
		var v View
		if s.viewOf(r.Retain(), &v) {
			s.sweep(&v)
			v.Release()
		}
	}
	if !s.disked() || to.Era == 0 {
		return to, nil
	}
	err = s.disk.Sweep(ctx, disk.Stamp{Era: to.Era, Revision: to.Revision}, func(r disk.Record) bool {
		_, ok := s.Keep(r)
		return ok
	})
	return to, err
}

// sweep holds one object in memory against the table.
func (s *Store) sweep(v *View) {
	if s.settles(&v.Object) {
		return
	}
	if by, dead := s.ended.Dead(v.Key, v.Stamp, v.tagList()); !dead {
		s.raise(v)
	} else if s.drop(v, memory.Invalidated) && by != nil {
		by.Met()
	}
}

// Keep says whether a record of the disk is alive, and the stamp that it may bear. Slices
// always are: without the head of their object nobody finds them.
func (s *Store) Keep(r disk.Record) (disk.Stamp, bool) { return Keep(s.ended, r) }

// Keep is what a disk cache is to be asked about its records.
func Keep(ended *invalidation.Table, r disk.Record) (disk.Stamp, bool) {
	if isSlice(r.Key) {
		return r.Stamp, r.Stamp.Era == ended.Era()
	}
	var stamp invalidation.Stamp
	stamp.Set(invalidation.Moment{Era: r.Stamp.Era, Revision: r.Stamp.Revision})
	var o View
	if o.decodeHead(cachekey.View(r.Key), r.Head) != nil {
		return r.Stamp, false
	}
	by, dead := ended.Dead(o.Key, &stamp, o.tagList())
	if dead {
		if by != nil {
			by.Met()
		}
		return r.Stamp, false
	}
	at := stamp.Moment()
	return disk.Stamp{Era: at.Era, Revision: at.Revision}, true
}

// Run sweeps once the disk has been read, and whenever the table has grown, until ctx
// ends; a sweep that fails is tried again. That is for the sake of the table's size alone:
// objects obey without. forgotten is told up to which revision the table has forgotten.
func (s *Store) Run(ctx context.Context, forgotten func(revision int64)) error {
	for {
		to, err := s.Sweep(ctx)
		if err == nil && to.Revision > 0 && s.ended.Forget(to) {
			forgotten(to.Revision)
		}
		if !s.due(ctx, err) {
			return nil
		}
	}
}

// due waits until the next sweep is due after one that has ended with err, and says
// whether ctx has not ended before. A disk that fails while it is read is never loaded.
func (s *Store) due(ctx context.Context, err error) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
	}
	var loaded <-chan struct{} // nil is never closed
	switch {
	case errors.Is(err, disk.ErrLoading):
		loaded = s.disk.Loaded()
	case err != nil:
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-loaded:
	case <-s.ended.Grown():
	}
	return true
}
