// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// SharedLease hands out leases for short-lived keys. The keys of one server share a
// lease by time: one for each would not scale (C9.51). It is safe for concurrent use.
type SharedLease struct {
	lease       clientv3.Lease
	stay, share time.Duration

	mu    sync.Mutex // guards the rest, and is held during a grant: all wait for the one
	id    clientv3.LeaseID
	until time.Time // of the use of id
}

// NewSharedLease makes leases under which a key stays for stay at least, and for share
// more at most. A change of etcd's leader begins a lease anew (C8.13).
func NewSharedLease(lease clientv3.Lease, stay, share time.Duration) *SharedLease {
	return &SharedLease{lease: lease, stay: stay, share: share}
}

// Current is the lease for a key that is put now.
func (l *SharedLease) Current(ctx context.Context) (clientv3.LeaseID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// By both clocks: only that of the wall goes on while the machine is suspended.
	if now := time.Now(); now.Before(l.until) && now.Round(0).Before(l.until.Round(0)) {
		return l.id, nil
	}
	bound, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	granted, err := l.lease.Grant(bound, int64((l.stay+l.share)/time.Second))
	if err != nil {
		return 0, fault(ctx, fmt.Errorf("grant a lease: %w", err))
	}
	l.id, l.until = granted.ID, time.Now().Add(l.share)
	return l.id, nil
}

// Lost says whether err means that a lease is gone, as after the restore of a backup;
// then the next key gets another.
func (l *SharedLease) Lost(err error) bool {
	if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
	return true
}
