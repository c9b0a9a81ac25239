// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
)

// How often the store is asked, and how long it may take to answer.
const (
	checkInterval = time.Second
	checkTimeout  = 2 * time.Second
)

// Available tells report whether the store answers: once it does, and on each change
// from then on. It asks every second, by a read that only a quorum can answer. It
// blocks until ctx ends, and returns nil then. An error means that this etcd will
// never do: it is set up for smaller transactions than Seafront needs (C8.61), or its
// user lacks rights (C8.101).
func Available(ctx context.Context, kv clientv3.KV, report func(bool)) error {
	ticks := time.NewTicker(checkInterval)
	defer ticks.Stop()
	fit, now := false, false
	for {
		var err error
		if !fit {
			err = bounded(ctx, func(ctx context.Context) error { return etcd.Probe(ctx, kv) })
			if err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) && !etcd.Unavailable(err) {
				return etcd.Explain(err)
			}
			fit = err == nil
		} else {
			err = bounded(ctx, func(ctx context.Context) error {
				_, err := kv.Get(ctx, keys.Epoch, clientv3.WithKeysOnly())
				return err
			})
		}
		if ctx.Err() != nil {
			return nil
		}
		if !now && errors.Is(err, rpctypes.ErrPermissionDenied) {
			return etcd.Explain(err) // it would never serve, and nobody would know why
		}
		if was := now; was != (err == nil) {
			now = err == nil
			report(now)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func bounded(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return call(ctx)
}
