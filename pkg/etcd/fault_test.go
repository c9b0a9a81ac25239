// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

func TestFault(t *testing.T) {
	own := apierr.New(apierr.Stale, "PRECONDITION_FAILED", "read again")
	for _, tt := range []struct {
		name        string
		err         error
		unavailable bool
		want        apierr.Kind // 0: the error stays as it is
	}{
		{"nil", nil, false, 0},
		{"C8.20: no leader", rpctypes.ErrNoLeader, true, apierr.Unavailable},
		{"C8.20: leader changed", rpctypes.ErrLeaderChanged, true, apierr.Unavailable},
		{"C8.20: timed out in etcd", rpctypes.ErrTimeout, true, apierr.Unavailable},
		{"C8.20: leader lost", rpctypes.ErrTimeoutDueToLeaderFail, true, apierr.Unavailable},
		{"C8.20: stopped", rpctypes.ErrStopped, true, apierr.Unavailable},
		{"C8.20: too many requests", rpctypes.ErrTooManyRequests, true, apierr.Unavailable},
		{"C8.103: no space", rpctypes.ErrNoSpace, true, apierr.Unavailable},
		{"C8.103: no space, as the server sends it", rpctypes.Error(rpctypes.ErrGRPCNoSpace), true, apierr.Unavailable},
		{"no connection", status.Error(codes.Unavailable, "connection refused"), true, apierr.Unavailable},
		{"wrapped", fmt.Errorf("commit: %w", rpctypes.ErrNoLeader), true, apierr.Unavailable},
		{"C8.20: over the client's own limit", status.Error(codes.ResourceExhausted, "trying to send message larger than max"), false, apierr.Internal},
		{"C8.20: too many operations", rpctypes.ErrTooManyOps, false, apierr.Internal},
		{"C8.20: compacted", rpctypes.ErrCompacted, false, apierr.Internal},
		{"C8.20: lease gone", rpctypes.ErrLeaseNotFound, false, apierr.Internal},
		{"permission denied", rpctypes.ErrPermissionDenied, false, apierr.Internal},
		{"a conflict nobody asked about", &etcd.Conflict{}, false, apierr.Internal},
		{"anything else", errors.New("x"), false, apierr.Internal},
		{"the caller went away", fmt.Errorf("get: %w", context.Canceled), false, 0},
		{"the caller's time is up", context.DeadlineExceeded, false, 0},
		{"an answer already", fmt.Errorf("create: %w", own), false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := etcd.Unavailable(tt.err); got != tt.unavailable {
				t.Errorf("unavailable: %v, want %v", got, tt.unavailable)
			}
			got := etcd.Fault(tt.err)
			if tt.want == 0 {
				if got != tt.err {
					t.Errorf("fault %v, want it unchanged", got)
				}
				return
			}
			e, ok := errors.AsType[*apierr.Error](got)
			if !ok || e.Kind != tt.want || !errors.Is(got, tt.err) {
				t.Fatalf("fault %#v", got)
			}
			if want := map[bool]string{true: "STORE_UNAVAILABLE", false: "INTERNAL_ERROR"}[tt.unavailable]; e.Reason != want {
				t.Errorf("reason %s, want %s", e.Reason, want)
			}
		})
	}
}

func TestUnavailableForReal(t *testing.T) {
	m := etcdtest.Start(t)
	c := m.Client(t)
	put(t, c, "a")
	m.Stop()
	tx := etcd.NewTx(c)
	tx.Put("a", nil)
	if _, err := tx.Commit(t.Context()); !etcd.Unavailable(err) {
		t.Errorf("write without etcd: %v", err)
	}
	if _, err := c.Get(t.Context(), "a"); !etcd.Unavailable(err) {
		t.Errorf("read without etcd: %v", err)
	}
	m.Restart(t)
	for _, err := c.Get(t.Context(), "a"); err != nil; _, err = c.Get(t.Context(), "a") {
		if !etcd.Unavailable(err) {
			t.Fatal(err)
		}
	}
}

// limited is a store that takes at most 128 operations, as etcd by default.
type limited struct{ clientv3.KV }

func (l limited) Txn(ctx context.Context) clientv3.Txn { return &limitedTxn{Txn: l.KV.Txn(ctx)} }

type limitedTxn struct {
	clientv3.Txn
	over bool
}

func (x *limitedTxn) If(cmps ...clientv3.Cmp) clientv3.Txn {
	x.over = len(cmps) > 128
	x.Txn = x.Txn.If(cmps...)
	return x
}

func (x *limitedTxn) Commit() (*clientv3.TxnResponse, error) {
	if x.over {
		return nil, rpctypes.ErrTooManyOps
	}
	return x.Txn.Commit()
}

func TestProbe(t *testing.T) {
	c := etcdtest.Client(t)
	before := put(t, c, "a")
	if err := etcd.Probe(t.Context(), c); err != nil {
		t.Errorf("C8.61: %v", err)
	}
	if diff := content(t, c); len(diff) != 1 {
		t.Errorf("C8.61: the probe after revision %d wrote: %v", before, diff)
	}
	err := etcd.Probe(t.Context(), limited{c})
	if err == nil || !strings.Contains(err.Error(), "--max-txn-ops=1024") || etcd.Unavailable(err) {
		t.Errorf("C8.61: error %v does not say what to do", err)
	}
	m := etcdtest.Start(t)
	away := m.Client(t)
	m.Stop()
	if err := etcd.Probe(t.Context(), away); !etcd.Unavailable(err) {
		t.Errorf("C8.61: without etcd: %v", err)
	}
}

func TestDialDoesNotWait(t *testing.T) {
	m := etcdtest.Start(t)
	m.Stop()
	c := m.Client(t) // fails the test if it cannot be made
	m.Restart(t)
	for _, err := c.Get(t.Context(), "a"); err != nil; _, err = c.Get(t.Context(), "a") {
		if !etcd.Unavailable(err) {
			t.Fatal(err)
		}
	}
	if _, err := etcd.Dial(nil); err == nil {
		t.Error("a client of no endpoints was made")
	}
}
