// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
)

// Pair is one key that holds no record.
type Pair struct {
	Key   string
	Value []byte
}

// Lookup returns the pair at a key, with the revision of its write, 0 when there is
// none.
func Lookup(ctx context.Context, kv clientv3.KV, key string) (found Pair, revision int64, err error) {
	res, err := read(ctx, kv, key)
	if err != nil || len(res.Kvs) == 0 {
		return Pair{}, 0, err
	}
	return Pair{key, res.Kvs[0].Value}, res.Kvs[0].ModRevision, nil
}

// ListPairs is List for keys that hold no records. With names, which are sorted and at
// most 1000, only what lies there is listed.
func ListPairs[M proto.Message](ctx context.Context, kv clientv3.KV, req ListRequest, names []string, build func(Pair) (M, error)) (page []M, next string, err error) {
	read := rangeOf(ctx, kv, req.Prefix)
	if len(names) > 0 {
		read = oneByOne(ctx, kv, names)
	}
	return list(req, read, func(pairs []*mvccpb.KeyValue, _ int64) ([]entry[Pair], error) {
		var out []entry[Pair]
		for _, pair := range pairs {
			out = append(out, entry[Pair]{string(pair.Key), Pair{string(pair.Key), pair.Value}})
		}
		return out, nil
	}, build)
}

// oneByOne reads the keys at names, all at once.
func oneByOne(ctx context.Context, kv clientv3.KV, names []string) reader {
	return func(after string, revision int64) (*clientv3.GetResponse, error) {
		i, found := slices.BinarySearch(names, after)
		if found {
			i++
		}
		res, err := readAll(ctx, kv, names[i:], revision)
		if err != nil {
			return nil, err
		}
		out := &clientv3.GetResponse{Header: res.Header}
		for _, r := range res.Responses {
			out.Kvs = append(out.Kvs, r.GetResponseRange().GetKvs()...)
		}
		return out, nil
	}
}

// ListNamed is List for the records that other keys lead to. of makes the name of the
// record of a listed key, empty for a key that leads to none; a record that does not
// exist is left out. Keys and records are read at one revision.
func ListNamed[M proto.Message](ctx context.Context, kv clientv3.KV, req ListRequest, of func(key string) string, build func(Item) (M, error)) (page []M, next string, err error) {
	return list(req, rangeOf(ctx, kv, req.Prefix), func(pairs []*mvccpb.KeyValue, revision int64) ([]entry[Item], error) {
		var names []string
		from := map[string]string{}
		for _, pair := range pairs {
			if name := of(string(pair.Key)); name != "" {
				names, from[name] = append(names, name), string(pair.Key)
			}
		}
		var out []entry[Item]
		visit := func(i Item) error {
			out = append(out, entry[Item]{from[i.Key], i})
			return nil
		}
		err := Each(ctx, kv, names, revision, visit)
		if errors.Is(err, rpctypes.ErrCompacted) { // as the keys of the next page will
			out, err = nil, Each(ctx, kv, names, 0, visit)
		}
		return out, err
	}, build)
}
