// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
)

// NewEpoch gives the data set a new random name and returns it: after a restore, so that
// everybody who watches starts over (C8.88).
func NewEpoch(ctx context.Context, kv clientv3.KV) (string, error) {
	epoch := uuid.NewString()
	inner, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := kv.Put(inner, keys.Epoch, epoch); err != nil {
		return "", fault(ctx, etcd.Explain(err))
	}
	return epoch, nil
}
