// SPDX-License-Identifier: Apache-2.0

package completion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// How completions are written: that many at once, each within timeout; after a
// failure not before pause is over.
const (
	parallel = 8
	timeout  = 2 * time.Second
	pause    = time.Second
)

// outsiders is how many edges that do not count are compared one by one; with more,
// any report of an edge sends the server back to look again.
const outsiders = 500

// Latcher writes completions. Every server runs one; the condition that there is none
// yet lets one of them through.
type Latcher struct {
	KV    clientv3.KV
	Index *Index
	Log   *slog.Logger
}

// Run completes what can be completed until ctx ends.
func (l *Latcher) Run(ctx context.Context) {
	for ctx.Err() == nil {
		due, moved := l.Index.due()
		if l.all(ctx, due) == nil {
			select {
			case <-ctx.Done():
			case <-moved:
			}
			continue
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// all returns an error when one of them could not be tried.
func (l *Latcher) all(ctx context.Context, due []ID) error {
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, id := range due {
		g.Go(func() error {
			err := l.latch(ctx, id)
			if err != nil && ctx.Err() == nil {
				l.Log.LogAttrs(ctx, slog.LevelWarn, "invalidation not completed",
					slog.String("invalidation", keys.InvalidationName(id.Distribution, id.Invalidation)), slog.Any("error", err))
			}
			return err
		})
	}
	return g.Wait()
}

// latch tries to complete one invalidation. A refusal is no error: the index will
// move on to what the refusal was about, and then it is looked at again.
func (l *Latcher) latch(ctx context.Context, id ID) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	record := keys.Invalidation(id.Distribution, id.Invalidation)
	found, err := l.KV.Get(ctx, record) // etcd answers for keys alone without their leases
	if err != nil {
		return fmt.Errorf("read the lease of %s: %w", record, err)
	}
	tx := etcd.NewTx(l.KV)
	done, at, ok := l.Index.conditions(tx, id)
	if !ok {
		return nil
	}
	if len(found.Kvs) == 0 { // expired, or deleted with its distribution
		l.Index.attempted(id, at)
		return nil
	}
	var opts []clientv3.OpOption
	if lease := clientv3.LeaseID(found.Kvs[0].Lease); lease != 0 {
		opts = append(opts, clientv3.WithLease(lease)) // they expire together
	}
	key := keys.Completion(id.Distribution, id.Invalidation)
	if err := records.Put(tx, key, records.Next(ctx, records.Version{}), done, opts...); err != nil {
		return err
	}
	revision, err := tx.Commit(ctx)
	if _, refused := errors.AsType[*etcd.Conflict](err); refused {
		l.Index.attempted(id, at)
		return nil
	}
	if err != nil {
		return fmt.Errorf("complete %s: %w", record, err)
	}
	l.Index.attempted(id, revision)
	return nil
}

// conditions fills tx with what has to hold for the completion that is returned: that
// the invalidation is still there and not completed, and that the edges are those
// that the index knows. An edge that is live has acknowledged, and does not take that
// back; one that does not count must not have come, come back or caught up unseen. at
// is the revision of that knowledge. ok is false when the index has moved on and the
// invalidation is no longer due.
func (x *Index) conditions(tx *etcd.Tx, id ID) (done *storev1.Completion, at int64, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	e := x.pending[id]
	if e == nil || e.revision > x.floor() {
		return nil, 0, false
	}
	tx.AtRevision("invalidation", keys.Invalidation(id.Distribution, id.Invalidation), e.revision)
	tx.Absent("completion", keys.Completion(id.Distribution, id.Invalidation))
	tx.NoneNewerUnder("identities", keys.EdgeFrom, x.revision) // and what operators want of them
	tx.NoneCreatedUnder("returned", keys.EdgeStatusPrefix, x.revision)
	outside := 0
	for _, r := range x.fleet {
		known := x.edges[r.ID]
		if r.Live() || known == nil || known.written == 0 {
			continue
		}
		if outside++; outside > outsiders {
			tx.NoneNewerUnder("outsiders", keys.EdgeStatusPrefix, x.revision)
			break
		}
		tx.AtRevision("outsiders", keys.EdgeStatus(r.ID), known.written)
	}
	v := x.look(id, e.revision)
	return &storev1.Completion{Time: timestamppb.Now(), Acknowledgements: v.Acknowledgements(), Unreached: v.Waiting(false)}, x.revision, true
}
