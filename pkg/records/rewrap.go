// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/secret"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Rewrapped says what Rewrap has found and done.
type Rewrapped struct {
	// Records is how many records there are, Sealed how many of them hold secrets.
	Records, Sealed int
	// Changed is how many got the primary cluster key; Left how many have another one
	// still, by its id.
	Changed int
	Left    map[string]int
	// Failed says of each record that could not be changed why, in one line.
	Failed []string
}

// Rewrap gives the secrets of every record, former versions and drafts included, the
// primary cluster key, without decrypting any (C8.102). Everything goes on meanwhile:
// a record is written only if nobody has written it since it was read, and keeps its
// etag. Done again, or after it was interrupted, it does what is left. A record that
// fails holds up nothing else. The error is that of the store.
func Rewrap(ctx context.Context, kv clientv3.KV, keyring *secret.Keyring) (Rewrapped, error) {
	r := Rewrapped{Left: map[string]int{}}
	for _, prefix := range keys.SecretPrefixes() {
		end := clientv3.GetPrefixRangeEnd(prefix)
		for from := prefix; from != ""; {
			res, err := read(ctx, kv, from, clientv3.WithRange(end), clientv3.WithLimit(chunk))
			if err != nil {
				return r, err
			}
			for _, pair := range res.Kvs {
				if keys.IsSetting(string(pair.Key)) {
					continue
				}
				if err := r.record(ctx, kv, keyring, pair); err != nil {
					return r, err
				}
			}
			from = ""
			if res.More {
				from = string(res.Kvs[len(res.Kvs)-1].Key) + "\x00"
			}
		}
	}
	return r, nil
}

// record does one record, anew if it was written meanwhile.
func (r *Rewrapped) record(ctx context.Context, kv clientv3.KV, keyring *secret.Keyring, pair *mvccpb.KeyValue) error {
	r.Records++
	key, again := string(pair.Key), 0
	for {
		rec, changed, err := rewrap(keyring, pair)
		if err != nil {
			r.failed(key, rec, err)
			return nil
		}
		if again == 0 && len(rec.GetSecrets().GetValues()) > 0 {
			r.Sealed++
		}
		if !changed {
			return nil
		}
		value, err := keys.Encode(rec)
		if err != nil {
			r.failed(key, rec, err)
			return nil
		}
		written, now, err := replace(ctx, kv, pair, value)
		if err != nil {
			return err
		}
		if written {
			r.Changed++
			return nil
		}
		if now == nil { // deleted
			return nil
		}
		if again++; again == attempts {
			r.failed(key, rec, fmt.Errorf("is being written all the time"))
			return nil
		}
		pair = now
	}
}

func (r *Rewrapped) failed(key string, rec *storev1.Record, err error) {
	if id := rec.GetSecrets().GetKeyId(); id != "" {
		r.Left[id]++
	}
	r.Failed = append(r.Failed, fmt.Sprintf("%s: %v", key, err))
}

// rewrap returns the record with the primary cluster key. Without secrets nothing is
// changed.
func rewrap(keyring *secret.Keyring, pair *mvccpb.KeyValue) (rec *storev1.Record, changed bool, err error) {
	rec = &storev1.Record{}
	if err := keys.Decode(pair.Value, rec); err != nil {
		return nil, false, err
	}
	s := rec.GetSecrets()
	if len(s.GetValues()) == 0 {
		return rec, false, nil
	}
	sealed := &secret.Sealed{KeyID: s.GetKeyId(), DataKey: s.GetDataKey(), Values: s.GetValues()}
	if changed, err = keyring.Rewrap(sealed); err != nil || !changed {
		return rec, false, err
	}
	out := proto.CloneOf(rec)
	out.Secrets.KeyId, out.Secrets.DataKey = sealed.KeyID, sealed.DataKey
	return out, true, nil
}

// replace writes a record if it is as it was read. Otherwise it returns what is there
// now, nil for nothing.
func replace(ctx context.Context, kv clientv3.KV, pair *mvccpb.KeyValue, value []byte) (written bool, now *mvccpb.KeyValue, err error) {
	inner, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	key := string(pair.Key)
	res, err := kv.Txn(inner).If(clientv3.Compare(clientv3.ModRevision(key), "=", pair.ModRevision)).
		Then(clientv3.OpPut(key, string(value), clientv3.WithIgnoreLease())).
		Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return false, nil, fault(ctx, fmt.Errorf("write %s: %w", key, etcd.Fault(err)))
	}
	if res.Succeeded {
		return true, nil, nil
	}
	if kvs := res.Responses[0].GetResponseRange().GetKvs(); len(kvs) > 0 {
		return false, kvs[0], nil
	}
	return false, nil, nil
}
