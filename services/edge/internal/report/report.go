// SPDX-License-Identifier: Apache-2.0

// Package report tells the control plane about an edge: who it is, and, under a
// lease, what it serves (design 3.4, C8.39, C8.68).
//
// It promises: a status is written only for what Applied was told of, so never
// before it is served; whoever calls Applied is never held up; all edges together
// write a bounded number of statuses a second; a lost lease is replaced as soon as
// etcd answers; a clean stop takes the edge out at once; two edges with one name are
// told of. It does not judge whether anything is deployed: config does.
package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// Times of the lease and of calls.
const (
	leaseSeconds  = 30 // C8.68
	callTimeout   = 5 * time.Second
	revokeTimeout = 2 * time.Second
	retryPause    = 500 * time.Millisecond // and as much again at random
)

// Config says who the edge is.
type Config struct {
	Etcd *clientv3.Client
	// ID names the edge; the same one after a restart.
	ID string
	// Pop is the point of presence.
	Pop string
	// Addresses are where viewers reach the edge, host:port.
	Addresses []string
	// Labels are the operator's own.
	Labels map[string]string
	// Build names release and commit.
	Build string
	// Ended, when set, returns how many objects each of the newest invalidations has
	// ended, at most 100.
	Ended func() []invalidation.Ended
	Log   *slog.Logger
}

// Reporter writes identity and status. It is safe for concurrent use.
type Reporter struct {
	cfg   Config
	boot  string
	yield func(edges int) time.Duration
	wake  chan struct{} // holds one token: progress has changed

	mu       sync.Mutex // guards the rest
	progress Progress
	rings    bool // a call of ring is on its way
}

// New returns a Reporter with a new boot id. It starts nothing.
func New(cfg Config) *Reporter {
	return &Reporter{cfg: cfg, boot: uuid.NewString(), wake: make(chan struct{}, 1), yield: yield}
}

// Applied takes what the edge serves now. It does not wait, and leaves the report for
// later: others do not have the change yet.
func (r *Reporter) Applied(p Progress) {
	r.mu.Lock()
	r.progress = p
	waits := r.rings
	r.rings = true
	r.mu.Unlock()
	if !waits {
		time.AfterFunc(r.yield(p.Edges), r.ring)
	}
}

// ring wakes the reporting.
func (r *Reporter) ring() {
	r.mu.Lock()
	r.rings = false
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Reporter) current() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress
}

// Run registers the edge and reports until ctx ends; then it gives the lease back.
// Whatever etcd does is no error: the edge goes on without.
func (r *Reporter) Run(ctx context.Context) error {
	away := false
	for {
		err := r.session(ctx, func() {
			if away {
				r.cfg.Log.InfoContext(ctx, "status is reported again")
			}
			away = false
		})
		if ctx.Err() != nil {
			return nil
		}
		if !away {
			r.cfg.Log.WarnContext(ctx, "status cannot be reported", slog.Any("error", err))
		}
		away = true
		if !rest(ctx, retryPause+rand.N(retryPause)) {
			return nil
		}
	}
}

// rest waits; false means that ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Why a session ends although etcd answers. The next one registers anew.
var (
	errLeaseLost      = errors.New("lease is lost")
	errAnotherDataSet = errors.New("the store is another data set")
	errForgotten      = errors.New("the registration was deleted")
)

// session is one lease, from its grant to its loss or to the end of ctx. registered
// is called when the edge is known to etcd.
func (r *Reporter) session(ctx context.Context, registered func()) error {
	bound, cancel := context.WithTimeout(ctx, callTimeout)
	lease, err := r.cfg.Etcd.Grant(bound, leaseSeconds)
	cancel()
	if err != nil {
		return fmt.Errorf("grant lease: %w", err)
	}
	defer func() {
		if ctx.Err() != nil {
			r.revoke(ctx, lease.ID)
		}
	}()
	join, err := r.register(ctx)
	if err != nil {
		return err
	}
	registered()
	keeping, stop := context.WithCancel(ctx)
	defer stop()
	alive, err := r.cfg.Etcd.KeepAlive(keeping, lease.ID)
	if err != nil {
		return fmt.Errorf("keep lease: %w", err)
	}
	return r.publish(ctx, lease.ID, join, alive)
}

// revoke removes the status, so that a stopped edge does not count as one that is
// behind. Without etcd the lease runs out.
func (r *Reporter) revoke(ctx context.Context, lease clientv3.LeaseID) {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	if _, err := r.cfg.Etcd.Revoke(bound, lease); err != nil {
		r.cfg.Log.WarnContext(ctx, "lease cannot be given back and will run out", slog.Any("error", err))
	}
}

// register writes the identity and returns the revision of that, which the edge has
// to reach before it counts (C8.72). It is written although it rarely changes: the
// edge's own watch brings it back at once, and so proves in a quiet system that
// nothing is missing.
func (r *Reporter) register(ctx context.Context) (join int64, err error) {
	bound, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	identity, err := keys.Encode(&edgev1.Edge{
		Name: keys.Edges.Name(r.cfg.ID), Pop: r.cfg.Pop, Addresses: r.cfg.Addresses, Labels: r.cfg.Labels,
	})
	if err != nil {
		return 0, err
	}
	written, err := r.cfg.Etcd.Put(bound, keys.Edge(r.cfg.ID), string(identity))
	if err != nil {
		return 0, fmt.Errorf("write identity: %w", err)
	}
	return written.Header.GetRevision(), nil
}

// publish writes a status whenever there is something to tell, as often as allowed.
func (r *Reporter) publish(ctx context.Context, lease clientv3.LeaseID, join int64, alive <-chan *clientv3.LeaseKeepAliveResponse) error {
	var written Progress
	var last time.Time
	told := false // that the name is used twice
	epoch := ""   // under which this session has reported
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		if err := forgotten(r.current(), epoch, join); err != nil {
			return err
		}
		if wait := pause(written, r.current(), join); wait != never {
			timer.Reset(wait - time.Since(last))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-alive:
			if !ok {
				return errLeaseLost
			}
		case <-r.wake:
		case <-timer.C:
			p := r.current()
			last = time.Now()
			before, err := r.write(ctx, lease, r.status(p, join, last))
			if errors.Is(err, rpctypes.ErrLeaseNotFound) {
				return errLeaseLost
			}
			if written.Snapshot != nil && !told && before != nil && clientv3.LeaseID(before.Lease) != lease {
				r.tell(ctx, before.Value)
				told = true
			}
			if err == nil {
				written, epoch = p, p.Snapshot.Epoch
			} else if !rest(ctx, retryPause+rand.N(retryPause)) {
				return nil
			}
		}
	}
}

// write puts the status and returns what was there before, nil for nothing.
func (r *Reporter) write(ctx context.Context, lease clientv3.LeaseID, s *edgev1.EdgeStatus) (before *mvccpb.KeyValue, err error) {
	value, err := keys.Encode(s)
	if err != nil {
		return nil, err
	}
	bound, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	written, err := r.cfg.Etcd.Put(bound, keys.EdgeStatus(r.cfg.ID), string(value), clientv3.WithLease(lease), clientv3.WithPrevKV())
	if err != nil {
		return nil, fmt.Errorf("write status: %w", err)
	}
	return written.PrevKv, nil
}

// tell says that somebody else has overwritten the status. At the first write that is
// what an earlier run has left; later another process has the same name, and the
// control plane cannot know what either of them serves.
func (r *Reporter) tell(ctx context.Context, status []byte) {
	var other edgev1.EdgeStatus
	_ = keys.Decode(status, &other) // then it has no boot id
	r.cfg.Log.ErrorContext(ctx, "another edge reports under the same name; each edge needs its own --id",
		slog.String("id", r.cfg.ID), slog.String("boot_id", r.boot), slog.String("other_boot_id", other.GetBootId()))
}
