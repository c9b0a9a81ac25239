// SPDX-License-Identifier: Apache-2.0

package fsck

import (
	"context"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

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
	report   Report
	known    map[keys.Collection]bool // those of this release
	records  map[string]record        // by the name of the resource
	expected map[string]expected
	targets  []Problem // a Dangling for each reference, until its target is found
	stores   map[string]*store
}

// record is where a resource lies.
type record struct {
	mvcc
	later bool // it has fields of a later release
}

func newWorld(revision int64) *world {
	return &world{
		report: Report{Revision: revision, Resources: map[keys.Collection]int{}},
		known:  map[keys.Collection]bool{}, records: map[string]record{},
		expected: map[string]expected{}, stores: map[string]*store{},
	}
}

// expected is a key that a resource asks for.
type expected struct {
	resource string
	owner    mvcc
	value    []byte
	// wrong says what is wrong with a value, empty for nothing; nil: nothing ever is.
	wrong func(value []byte) string
	found bool
}

func (w *world) problem(p Problem) { w.report.Problems = append(w.report.Problems, p) }

// resource takes in a record.
func (w *world) resource(c collection, pair *mvccpb.KeyValue) {
	key := string(pair.Key)
	id := keys.ID(key)
	name := c.name(id)
	owner := mvcc{key, pair.ModRevision}
	w.report.Resources[c.of]++
	w.records[name] = record{mvcc: owner}
	var rec storev1.Record
	m := c.message()
	if !w.read(name, pair, &rec, m) {
		return
	}
	w.records[name] = record{owner, later(m.ProtoReflect())}
	for _, d := range c.derive(id, m, &rec) {
		if d.target != "" {
			w.targets = append(w.targets, Problem{Fault: Dangling, Key: key, Resource: name, Detail: d.target})
		}
		if d.key != "" {
			w.expect(d.key, expected{resource: name, owner: owner, value: d.value, wrong: d.wrong})
		}
	}
	if s, ok := m.(*configv1.KeyValueStore); ok {
		w.stores[name] = &store{name: name, seen: owner, record: &rec, says: s}
	}
}

// read takes a record apart; one that cannot be read is a problem.
func (w *world) read(name string, pair *mvccpb.KeyValue, rec *storev1.Record, m proto.Message) bool {
	err := keys.Decode(pair.Value, rec)
	if err == nil {
		err = proto.Unmarshal(rec.GetResource(), m)
	}
	if err != nil {
		w.problem(Problem{Fault: Unreadable, Key: string(pair.Key), Resource: name, Detail: err.Error()})
	}
	return err == nil
}

// later says whether a message has fields that this release does not know, anywhere.
func later(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				found = found || later(v.List().Get(i).Message())
			}
		default:
			found = found || later(v.Message())
		}
		return !found
	})
	return found
}

// expect notes that a resource asks for a key. Of two who ask for one, it is not known
// who is right, so the key stays as it is.
func (w *world) expect(key string, e expected) {
	if first, ok := w.expected[key]; ok && first.resource != e.resource {
		w.problem(Problem{Fault: Clash, Key: key, Resource: e.resource, Detail: "is claimed by " + first.resource + " as well"})
		e.value, e.wrong = nil, nil
	}
	w.expected[key] = e
}

func (w *world) dangling() {
	for _, p := range w.targets {
		if !w.has(p.Detail) {
			p.Detail = "refers to " + p.Detail + ", which does not exist"
			w.problem(p)
		}
	}
	w.targets = nil
}

// derived takes in a derived key.
func (w *world) derived(pair *mvccpb.KeyValue) {
	key := string(pair.Key)
	w.report.Derived++
	w.below(key, pair)
	e, ok := w.expected[key]
	if !ok {
		w.unexpected(key, pair)
		return
	}
	e.found = true
	w.expected[key] = e
	if e.wrong == nil {
		return
	}
	if why := e.wrong(pair.Value); why != "" {
		w.problem(Problem{
			Fault: Wrong, Key: key, Resource: e.resource, Detail: why, seen: pair.ModRevision, owner: &e.owner, put: e.value, fixes: e.value != nil,
		})
	}
}

// unexpected takes in a key that no resource asks for.
func (w *world) unexpected(key string, pair *mvccpb.KeyValue) {
	h := holderOf(key, pair.Value)
	if h.collection != "" && !w.known[h.collection] || h.target != "" && !w.known[h.target] || w.records[h.name].later {
		return // of a later release
	}
	why, put := w.orphan(key, h, pair)
	if why == "" {
		return
	}
	p := Problem{Fault: Orphan, Key: key, Detail: why, seen: pair.ModRevision, put: put, fixes: true}
	if h.key != "" { // who would ask for it may begin to
		p.owner = &mvcc{h.key, w.records[h.name].revision}
	}
	w.problem(p)
}

func (w *world) missing() {
	for key, e := range w.expected {
		if !e.found {
			w.problem(Problem{
				Fault: Missing, Key: key, Resource: e.resource, owner: &e.owner, put: e.value, fixes: e.value != nil,
			})
		}
	}
}

// doubt leaves what is there alone while there is a record that cannot be read: it may be
// the record's own.
func (w *world) doubt() {
	if !slices.ContainsFunc(w.report.Problems, func(p Problem) bool { return p.Fault == Unreadable }) {
		return
	}
	for i, p := range w.report.Problems {
		if p.Fault == Orphan || p.Fault == Wrong {
			w.report.Problems[i].fixes = false
		}
	}
}
