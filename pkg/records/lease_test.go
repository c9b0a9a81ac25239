// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/records"
)

// granting counts the leases that it gives.
type granting struct {
	clientv3.Lease
	given clientv3.LeaseID
	ttl   int64
}

// Grant gives the next one.
func (g *granting) Grant(_ context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	g.given++
	g.ttl = ttl
	return &clientv3.LeaseGrantResponse{ID: g.given, TTL: ttl}, nil
}

func TestSharedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &granting{}
		l := records.NewSharedLease(g, time.Hour, time.Minute)
		expect := func(what string, want clientv3.LeaseID) {
			t.Helper()
			if id, err := l.Current(t.Context()); id != want || err != nil {
				t.Errorf("C9.51: %s: lease %d, %v, want %d", what, id, err, want)
			}
		}
		expect("the first", 1)
		if g.ttl != 3660 {
			t.Errorf("C9.51: a key that is put last would stay for less than an hour: %d s", g.ttl)
		}
		time.Sleep(59 * time.Second)
		expect("within the share", 1)
		time.Sleep(2 * time.Second)
		expect("after it", 2)
		if l.Lost(context.Canceled) || l.Lost(nil) {
			t.Error("other errors are no loss")
		}
		expect("not lost", 2)
		if !l.Lost(fmt.Errorf("commit: %w", rpctypes.ErrLeaseNotFound)) {
			t.Error("a loss is not noticed")
		}
		expect("lost", 3)
	})
}
