// SPDX-License-Identifier: Apache-2.0

// Package fsck compares what is derived from resources with the resources: names that
// are unique, aliases, labels, caller references, references, versions (C8.66). All of
// it is written in the transactions that write the resources, so a difference is a
// fault of a program or of a hand. Check reads one revision and changes nothing; Repair
// writes what Check found, and only where nobody has written since.
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
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Fault is what is wrong with one key.
type Fault string

// The faults.
const (
	Missing    Fault = "missing"    // a resource asks for the key, and it is not there
	Orphan     Fault = "orphan"     // the key is there, and nothing asks for it
	Wrong      Fault = "wrong"      // the key names somebody else
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
	owner *mvcc  // the record that asks for it, nil for none
	put   []byte // what Repair writes; nil: it deletes
	fixes bool   // Repair knows what to do
}

// mvcc is a key at a revision.
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
	w := &world{
		report:    Report{Revision: revision, Resources: map[keys.Collection]int{}},
		known:     map[keys.Collection]bool{},
		resources: map[string]bool{}, expected: map[string]expected{},
	}
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
	w.doubt()
	slices.SortFunc(w.report.Problems, func(a, b Problem) int { return cmp.Compare(a.Key, b.Key) })
	return w.report, nil
}

// each visits the keys with a prefix at the pinned revision.
func (w *world) each(ctx context.Context, kv clientv3.KV, prefix string, visit func(*mvccpb.KeyValue)) error {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		bound, cancel := context.WithTimeout(ctx, callTimeout)
		res, err := kv.Get(bound, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(w.report.Revision))
		cancel()
		if err != nil {
			return fmt.Errorf("read from %s on: %w", from, err)
		}
		if w.report.Revision == 0 {
			w.report.Revision = res.Header.Revision
		}
		for _, pair := range res.Kvs {
			visit(pair)
		}
		if !res.More {
			return nil
		}
		from = string(res.Kvs[len(res.Kvs)-1].Key) + "\x00"
	}
}

// world is everything at one revision.
type world struct {
	report    Report
	known     map[keys.Collection]bool // those of this release
	resources map[string]bool          // by name
	expected  map[string]expected
	targets   []Problem // a Dangling for each reference, until its target is found
}

// expected is a key that a resource asks for.
type expected struct {
	resource string
	owner    mvcc
	value    []byte
	// wrong says what is wrong with a value, empty for nothing.
	wrong func(value []byte) string
	found bool
}

// resource takes in a record.
func (w *world) resource(c collection, pair *mvccpb.KeyValue) {
	key := string(pair.Key)
	id := keys.ID(key)
	name := c.of.Name(id)
	w.report.Resources[c.of]++
	w.resources[name] = true
	var rec storev1.Record
	m := c.message()
	err := keys.Decode(pair.Value, &rec)
	if err == nil {
		err = proto.Unmarshal(rec.GetResource(), m)
	}
	if err != nil {
		w.report.Problems = append(w.report.Problems, Problem{Fault: Unreadable, Key: key, Resource: name, Detail: err.Error()})
		return
	}
	owner := mvcc{key, pair.ModRevision}
	for _, d := range c.derive(id, m, &rec) {
		w.expected[d.key] = expected{resource: name, owner: owner, value: d.value, wrong: d.wrong}
		if d.target != "" {
			w.targets = append(w.targets, Problem{Fault: Dangling, Key: key, Resource: name, Detail: d.target})
		}
	}
}

func (w *world) dangling() {
	for _, p := range w.targets {
		if !w.resources[p.Detail] {
			p.Detail = "refers to " + p.Detail + ", which does not exist"
			w.report.Problems = append(w.report.Problems, p)
		}
	}
	w.targets = nil
}

// derived takes in a derived key.
func (w *world) derived(pair *mvccpb.KeyValue) {
	key := string(pair.Key)
	w.report.Derived++
	e, ok := w.expected[key]
	if !ok {
		if why, put, fault := orphan(w, key, pair.Value); fault {
			w.report.Problems = append(w.report.Problems, Problem{
				Fault: Orphan, Key: key, Detail: why, seen: pair.ModRevision, put: put, fixes: true,
			})
		}
		return
	}
	e.found = true
	w.expected[key] = e
	if e.wrong == nil {
		return
	}
	if why := e.wrong(pair.Value); why != "" {
		w.report.Problems = append(w.report.Problems, Problem{
			Fault: Wrong, Key: key, Resource: e.resource, Detail: why, seen: pair.ModRevision, owner: &e.owner, put: e.value, fixes: e.value != nil,
		})
	}
}

func (w *world) missing() {
	for key, e := range w.expected {
		if !e.found {
			w.report.Problems = append(w.report.Problems, Problem{
				Fault: Missing, Key: key, Resource: e.resource, owner: &e.owner, put: e.value, fixes: e.value != nil,
			})
		}
	}
}

// doubt leaves orphans alone while there is a record that cannot be read: they may be
// its own.
func (w *world) doubt() {
	if !slices.ContainsFunc(w.report.Problems, func(p Problem) bool { return p.Fault == Unreadable }) {
		return
	}
	for i, p := range w.report.Problems {
		if p.Fault == Orphan {
			w.report.Problems[i].fixes = false
		}
	}
}

// Repair puts what is missing, deletes what is orphaned and corrects what is wrong, each
// only if neither the key nor the record that it follows from was written since Check.
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
