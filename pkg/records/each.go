// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// batch is how many records one transaction of Each reads: with the largest, 25 MiB.
const batch = 100

// Each reads the records at names and hands over those that exist, in the order of
// names. All are read at one revision of the store; 0 is the newest.
func Each(ctx context.Context, kv clientv3.KV, names []string, revision int64, visit func(Item) error) error {
	for len(names) > 0 {
		n := min(batch, len(names))
		res, err := readAll(ctx, kv, names[:n], revision)
		if err != nil {
			return err
		}
		names, revision = names[n:], at(revision, res)
		for _, r := range res.Responses {
			for _, pair := range r.GetResponseRange().GetKvs() {
				i, err := item(pair)
				if err != nil {
					return err
				}
				if err := visit(i); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// at is the revision at which a listing that began with revision goes on.
func at(revision int64, res *clientv3.TxnResponse) int64 {
	if revision != 0 {
		return revision
	}
	return res.Header.Revision
}

func readAll(ctx context.Context, kv clientv3.KV, names []string, revision int64) (*clientv3.TxnResponse, error) {
	inner, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ops := make([]clientv3.Op, 0, len(names))
	for _, name := range names {
		ops = append(ops, clientv3.OpGet(name, clientv3.WithRev(revision)))
	}
	res, err := kv.Txn(inner).Then(ops...).Commit()
	if err != nil {
		return nil, fault(ctx, fmt.Errorf("read %d keys: %w", len(names), err))
	}
	return res, nil
}

// Names returns the keys with a prefix, in order, and the revision of the store at
// which they were read. limit is how many at most; 0 is all.
func Names(ctx context.Context, kv clientv3.KV, prefix string, limit int64) (names []string, revision int64, err error) {
	res, err := read(ctx, kv, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(limit))
	if err != nil {
		return nil, 0, err
	}
	for _, pair := range res.Kvs {
		names = append(names, string(pair.Key))
	}
	return names, res.Header.Revision, nil
}

// Count returns how many keys have a prefix (C8.63).
func Count(ctx context.Context, kv clientv3.KV, prefix string) (int64, error) {
	res, err := read(ctx, kv, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return res.Count, nil
}
