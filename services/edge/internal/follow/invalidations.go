// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
	"github.com/seafront-cdn/seafront/services/edge/internal/report"
)

// Bounds of an absence.
const (
	// retention is how long an invalidation is in etcd at least (C8.28). Who was away
	// for longer cannot know what was invalidated meanwhile (C8.86). The hour is for
	// clocks that differ.
	retention = 7*24*time.Hour - time.Hour
	// backwards is how far the clock of the machine may go back before it is not
	// believed any more.
	backwards = time.Minute
)

// away says whether the time between two contacts with etcd may have been too long.
// Neither clock alone tells: the one of the machine is set, the other stands still
// while the machine sleeps.
func away(before, now time.Time) bool {
	if before.IsZero() {
		return false
	}
	steady, wall := now.Sub(before), now.Round(0).Sub(before.Round(0))
	return max(steady, wall) > retention || steady < -backwards
}

// orders reads the invalidations among changes. That a key is gone means that it was
// old (C8.87).
func (f *Follower) orders(ctx context.Context, changes []snapshot.Change, s *snapshot.Snapshot) (orders []invalidation.Order, records []snapshot.Change, done snapshot.Report) {
	for _, c := range changes {
		distribution, id, ok := keys.ParseInvalidation(c.Key)
		if !ok || c.Deleted {
			continue
		}
		o, record, err := invalidation.Read(distribution, id, c.ModRevision, c.Value)
		if err != nil {
			f.cfg.Log.WarnContext(ctx, "invalidation is not understood; everything of its distribution is invalidated",
				slog.String("resource", keys.InvalidationName(distribution, id)), slog.Int64("revision", c.ModRevision), slog.Any("error", err))
		}
		// A list may bring an invalidation of / together with a new root object: it was
		// made for the one before.
		now, before := s.RootObject(distribution), f.current.Load().RootObject(distribution)
		if o.AddRoot(now); before != now {
			o.AddRoot(before)
		}
		orders, records = append(orders, o), append(records, c)
		done.Applied = append(done.Applied, snapshot.Applied{
			Key: c.Key, Resource: keys.InvalidationName(distribution, id), ModRevision: c.ModRevision,
			Traceparent: record.GetTraceparent(), Tracestate: record.GetTracestate(),
		})
	}
	return orders, records, done
}

// swap brings next into service, together with the invalidations of its batch (C8.85):
// they hold before, so no request has the configuration without them. A request that
// has them without the configuration brings nothing that is kept. It adds to step what
// has to be on disk before they are acknowledged.
func (f *Follower) swap(ctx context.Context, b mirror.Batch, changes []snapshot.Change, next *snapshot.Snapshot, absent bool, step *lastgood.Step) snapshot.Report {
	orders, records, done := f.orders(ctx, changes, next)
	drop := b.Reset || absent
	if len(orders) == 0 && !drop {
		f.current.Store(next)
		return done
	}
	first := b.Revision
	if drop {
		// The other way round: who sees the new era must see the new configuration too.
		// Until then what is dropped may be served, as nothing is acknowledged.
		f.current.Store(next)
		first, step.Era = 1, invalidation.NewEra()
		f.cfg.Invalidations.Drop(step.Era)
		f.cfg.Log.WarnContext(ctx, "the cache is dropped",
			slog.Bool("another_data_set", b.Reset), slog.Bool("away_too_long", absent), slog.Int64("revision", b.Revision))
	}
	for _, id := range f.cfg.Invalidations.Apply(orders) {
		f.cfg.Log.WarnContext(ctx, "too many invalidations to remember; everything of the distribution is invalidated", slog.String("distribution", id))
	}
	f.current.Store(next)
	for _, o := range orders {
		first = min(first, o.Revision)
	}
	step.Invalidations = records
	to := b.Revision
	step.Synced = func() { f.synced(to) }
	f.progress.wait(first, to)
	return done
}

// progress is what was acknowledged last, and what may not be acknowledged yet.
type progress struct {
	mu      sync.Mutex // guards the rest
	last    report.Progress
	waiting []span // invalidations that are not on disk
}

// span is a range of revisions, both included.
type span struct{ first, last int64 }

func (p *progress) wait(first, last int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, span{first, last})
}

// obeyed is the revision up to which every invalidation is on disk and obeyed. With mu
// held.
func (p *progress) obeyed() int64 {
	at := p.last.Snapshot.Revision
	for _, w := range p.waiting {
		at = min(at, w.first-1)
	}
	return at
}

// synced acknowledges what has come to the disk.
func (f *Follower) synced(revision int64) {
	p := &f.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.waiting, func(w span) bool { return w.last == revision })
	if i < 0 {
		return
	}
	p.waiting = slices.Delete(p.waiting, 0, i+1)
	if p.last.Snapshot == nil || p.last.Snapshot.Revision < revision {
		return // not in service yet
	}
	p.last.Changes++
	p.last.Obeyed, p.last.Met = p.obeyed(), f.cfg.Invalidations.Met()
	f.cfg.Report.Applied(p.last)
}
