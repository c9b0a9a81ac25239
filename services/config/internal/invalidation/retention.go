// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd"
)

// bucket is for how long the invalidations of one server share a lease, unless they are
// kept for less than a day: one lease for each would not scale (C9.51), and one for a
// day would end in a burst of deletions (C8.87).
const bucket = time.Hour

// grantTimeout bounds the grant of a lease.
const grantTimeout = 5 * time.Second

// retention hands out the leases that keep invalidations. It is safe for concurrent
// use.
type retention struct {
	lease  clientv3.Lease
	length time.Duration

	mu    sync.Mutex // guards the rest, and is held during a grant: all wait for the one
	id    clientv3.LeaseID
	until time.Time // of the use of id
}

// current is the lease of the present bucket: what is put under it stays for length at
// least, and a bucket more at most. A change of etcd's leader begins a lease anew
// (C8.13).
func (r *retention) current(ctx context.Context) (clientv3.LeaseID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.until) {
		return r.id, nil
	}
	inner, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	share := min(bucket, r.length/24)
	granted, err := r.lease.Grant(inner, int64((r.length+share)/time.Second))
	if err != nil {
		if ctx.Err() == nil && inner.Err() != nil {
			return 0, behind("the store does not answer; try again")
		}
		return 0, etcd.Fault(fmt.Errorf("grant a lease for invalidations: %w", err))
	}
	r.id, r.until = granted.ID, time.Now().Add(share)
	return r.id, nil
}

// lost says whether err means that the lease id is gone, as after the restore of a
// backup, and forgets it then.
func (r *retention) lost(id clientv3.LeaseID, err error) bool {
	if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.id == id {
		r.until = time.Time{}
	}
	return true
}
