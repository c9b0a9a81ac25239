// SPDX-License-Identifier: Apache-2.0

// Package fsck compares what is derived from resources with the resources: names that
// are unique, aliases, labels, caller references, references, versions, and what lies
// below a resource: invalidations with their completions, entries of key-value stores
// (C8.66). All of it is written in the transactions that write the resources, so a
// difference is a fault of a program or of a hand. Check reads one revision and changes
// nothing; Repair writes what Check found, and only where nobody has written since.
//
// What a later release has written is not understood and not touched: keys of and to
// collections that this one does not know, and keys of resources with fields that it does
// not know.
package fsck

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
)

// Fault is what is wrong with one key.
type Fault string

// The faults.
const (
	Missing    Fault = "missing"    // a resource asks for the key, and it is not there
	Orphan     Fault = "orphan"     // the key is there, and nothing asks for it
	Wrong      Fault = "wrong"      // the key names somebody else
	Clash      Fault = "clash"      // two resources ask for the key, which only one can have
	Dangling   Fault = "dangling"   // a resource refers to one that does not exist
	Unreadable Fault = "unreadable" // this release cannot read the record
)

// Problem is one difference.
type Problem struct {
	Fault Fault
	// Key is the derived key, or the record for Dangling and Unreadable.
	Key string
	// Resource is the name of the resource that it is about, empty when there is none.
	Resource string
	Detail   string

	seen  int64  // revision of Key, 0 for absent
	owner *mvcc  // the record that asks for it, or would; nil for none
	put   []byte // what Repair writes; nil: it deletes
	fixes bool   // Repair knows what to do
}

// mvcc is a key at a revision, 0 for absent.
type mvcc struct {
	key      string
	revision int64
}

// String is the problem in one line.
func (p Problem) String() string {
	return strings.TrimRight(fmt.Sprintf("%s %s %s %s", p.Fault, strings.TrimPrefix(p.Key, keys.Root), p.Resource, p.Detail), " ")
}

// Report is what Check found.
type Report struct {
	// Revision is the one that was read.
	Revision int64
	// Resources counts the records by collection, Derived the keys that follow from them.
	Resources map[keys.Collection]int
	Derived   int
	Problems  []Problem
}

// page is how many keys one request reads.
const page = 500

// callTimeout bounds one request.
const callTimeout = 10 * time.Second

// Check reads everything at revision, 0 for the newest.
func Check(ctx context.Context, kv clientv3.KV, revision int64) (Report, error) {
	w := newWorld(revision)
	for _, c := range collections() {
		w.known[c.of] = true
		if err := w.each(ctx, kv, c.prefix, func(pair *mvccpb.KeyValue) { w.resource(c, pair) }); err != nil {
			return w.report, err
		}
	}
	w.dangling()
	for _, prefix := range derivedPrefixes() {
		if err := w.each(ctx, kv, prefix, w.derived); err != nil {
			return w.report, err
		}
	}
	w.missing()
	w.tally()
	w.doubt()
	slices.SortFunc(w.report.Problems, func(a, b Problem) int { return cmp.Compare(a.Key, b.Key) })
	return w.report, nil
}

// Repair puts what is missing, deletes what is orphaned and corrects what is wrong, each
// only if neither the key nor the record that it follows from, or would, was written
// since Check.
// It returns what it left: what it cannot mend, and what was written since.
func Repair(ctx context.Context, kv clientv3.KV, r Report) (repaired int, left []Problem, err error) {
	for _, p := range r.Problems {
		if !p.fixes {
			left = append(left, p)
			continue
		}
		is := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(p.Key), "=", p.seen)}
		if p.owner != nil {
			is = append(is, clientv3.Compare(clientv3.ModRevision(p.owner.key), "=", p.owner.revision))
		}
		op := clientv3.OpDelete(p.Key)
		if p.put != nil {
			op = clientv3.OpPut(p.Key, string(p.put))
		}
		bound, cancel := context.WithTimeout(ctx, callTimeout)
		res, err := kv.Txn(bound).If(is...).Then(op).Commit()
		cancel()
		if err != nil {
			return repaired, left, fmt.Errorf("repair %s: %w", p.Key, err)
		}
		if res.Succeeded {
			repaired++
		} else {
			left = append(left, p)
		}
	}
	return repaired, left, nil
}
