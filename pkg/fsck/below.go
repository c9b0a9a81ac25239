// SPDX-License-Identifier: Apache-2.0

package fsck

import (
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// below takes in what lies below a resource that exists.
func (w *world) below(key string, pair *mvccpb.KeyValue) {
	if d, id, ok := keys.ParseInvalidation(key); ok && w.has(keys.Distributions.Name(d)) {
		w.invalidation(d, id, pair)
	}
	if s, _, ok := keys.ParseEntry(key); ok && w.has(keys.KeyValueStores.Name(s)) {
		w.entry(keys.KeyValueStores.Name(s), pair)
	}
}

func (w *world) has(name string) bool {
	_, ok := w.records[name]
	return ok
}

// invalidation takes in an invalidation of a distribution that exists, and expects its
// caller reference. What that has to hold is the service's to say, and it lies under a
// lease, so a lost one is not mended.
func (w *world) invalidation(d, id string, pair *mvccpb.KeyValue) {
	name := keys.InvalidationName(d, id)
	owner := mvcc{string(pair.Key), pair.ModRevision}
	w.records[name] = record{mvcc: owner}
	var rec storev1.Record
	var m configv1.Invalidation
	if !w.read(name, pair, &rec, &m) {
		return
	}
	w.expect(keys.InvalidationReference(d, m.GetCallerReference()), expected{resource: name, owner: owner, wrong: func(value []byte) string {
		var claim storev1.InvalidationReference
		if err := keys.Decode(value, &claim); err != nil {
			return err.Error()
		}
		return differs(claim.GetId(), id)
	}})
}

// store is a key-value store: what its record says of its entries, and what there is.
type store struct {
	name   string
	seen   mvcc
	record *storev1.Record
	says   *configv1.KeyValueStore
	count  int64
	bytes  int64
}

// entry takes in an entry of a store that exists.
func (w *world) entry(of string, pair *mvccpb.KeyValue) {
	var rec storev1.Record
	var e configv1.KeyValueEntry
	s := w.stores[of]
	if s == nil || !w.read(of, pair, &rec, &e) {
		return
	}
	s.count++
	s.bytes += int64(len(e.GetKey()) + len(e.GetValue()))
}

// tally compares what stores say of their entries with the entries. A write of an entry
// writes the record of the store as well, so the record as it was is all that Repair has
// to ask for.
func (w *world) tally() {
	for _, s := range w.stores {
		if s.says.GetEntryCount() == s.count && s.says.GetTotalBytes() == s.bytes {
			continue
		}
		p := Problem{
			Fault: Wrong, Key: s.seen.key, Resource: s.name, seen: s.seen.revision,
			Detail: fmt.Sprintf("says %d entries of %d bytes, and there are %d of %d", s.says.GetEntryCount(), s.says.GetTotalBytes(), s.count, s.bytes),
		}
		s.says.EntryCount, s.says.TotalBytes = s.count, s.bytes
		if b, err := proto.Marshal(s.says); err == nil {
			s.record.Resource = b
			p.put = encoded(s.record)
		}
		p.fixes = p.put != nil
		w.problem(p)
	}
}
