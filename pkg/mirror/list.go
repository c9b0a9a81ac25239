// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// list makes the batch that brings the copy to the present.
func (c *copier) list(ctx context.Context) (Batch, error) {
	now, err := c.present(ctx)
	if err != nil {
		return Batch{}, fmt.Errorf("read the present revision: %w", err)
	}
	batch := Batch{Revision: now.Revision, Epoch: now.Epoch}
	if c.at.Revision > 0 {
		// A store that was set back without a new name is another one too.
		batch.Reset = another(c.at.Epoch, now.Epoch) || now.Revision < c.at.Revision
	}
	if c.at.Revision == 0 || batch.Reset {
		batch.Events, err = c.all(ctx, now.Revision)
	} else {
		batch.Events, err = c.differences(ctx, now.Revision)
	}
	if err != nil {
		return Batch{}, fmt.Errorf("list at revision %d: %w", now.Revision, err)
	}
	slices.SortStableFunc(batch.Events, func(a, b Event) int { return cmp.Compare(a.ModRevision, b.ModRevision) })
	return batch, nil
}

// another says that an epoch means another data set than before.
func another(before, now string) bool { return before != "" && before != now }

// present reads the epoch, linearizably, and so pins the revision at which the rest
// of the list is read: all of it shows one moment.
func (c *copier) present(ctx context.Context) (Point, error) {
	key := cmp.Or(c.config.EpochKey, c.config.From)
	res, err := c.get(ctx, key)
	if err != nil {
		return Point{}, err
	}
	p := Point{Revision: res.Header.Revision}
	if c.config.EpochKey != "" && len(res.Kvs) > 0 {
		p.Epoch = string(res.Kvs[0].Value)
	}
	return p, nil
}

// all lists every record (C8.81).
func (c *copier) all(ctx context.Context, revision int64) ([]Event, error) {
	var events []Event
	err := c.pages(ctx, func(kvs []*mvccpb.KeyValue) {
		for _, kv := range kvs {
			events = append(events, put(kv))
		}
	}, clientv3.WithRev(revision), clientv3.WithLimit(c.limits.page))
	return events, err
}

// differences lists what was written or deleted since the last batch (C8.82). One
// list of keys shows both, as it tells each key's revision; the values that changed
// are then read by name. A list with a least revision instead would make etcd read
// every value, for each page anew, and would not show deletions (C8.6, C9.50).
func (c *copier) differences(ctx context.Context, revision int64) ([]Event, error) {
	present := map[string]struct{}{}
	var changed []string
	err := c.pages(ctx, func(kvs []*mvccpb.KeyValue) {
		for _, kv := range kvs {
			key := string(kv.Key)
			present[key] = struct{}{}
			if kv.ModRevision > c.at.Revision {
				changed = append(changed, key)
			}
		}
	}, clientv3.WithRev(revision), clientv3.WithLimit(c.limits.keys), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	var events []Event
	for keys := range slices.Chunk(changed, c.limits.gets) {
		if events, err = c.read(ctx, revision, keys, events); err != nil {
			return nil, err
		}
	}
	if c.config.Keys == nil {
		return events, nil
	}
	for key := range c.config.Keys() {
		if _, ok := present[key]; !ok {
			events = append(events, Event{Key: key, ModRevision: revision, Deleted: true})
		}
	}
	return events, nil
}

// read appends the records of keys, which exist at revision.
func (c *copier) read(ctx context.Context, revision int64, keys []string, events []Event) ([]Event, error) {
	ops := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		ops[i] = clientv3.OpGet(key, clientv3.WithRev(revision))
	}
	ctx, cancel := context.WithTimeout(ctx, c.limits.request)
	defer cancel()
	res, err := c.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return nil, err
	}
	for _, r := range res.Responses {
		for _, kv := range r.GetResponseRange().GetKvs() {
			events = append(events, put(kv))
		}
	}
	return events, nil
}

// pages lists the range, page by page.
func (c *copier) pages(ctx context.Context, each func([]*mvccpb.KeyValue), opts ...clientv3.OpOption) error {
	opts = append(opts, clientv3.WithRange(c.config.To))
	for from := c.config.From; ; {
		res, err := c.get(ctx, from, opts...)
		if err != nil {
			return err
		}
		each(res.Kvs)
		if !res.More || len(res.Kvs) == 0 {
			return nil
		}
		from = string(res.Kvs[len(res.Kvs)-1].Key) + "\x00" // the key after it
	}
}

func (c *copier) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limits.request)
	defer cancel()
	return c.client.Get(ctx, key, opts...)
}

func put(kv *mvccpb.KeyValue) Event {
	return Event{Key: string(kv.Key), Value: kv.Value, ModRevision: kv.ModRevision}
}
