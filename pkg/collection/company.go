// SPDX-License-Identifier: Apache-2.0

package collection

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
)

// errMovedOn says that the state which was being looked at is no longer kept.
var errMovedOn = errors.New("the store has moved on")

// Write is a transaction on one resource under construction.
type Write struct {
	*etcd.Tx
	// ID and Name are those of the resource.
	ID, Name string
	// Record is the envelope of the write; nil at a deletion.
	Record Envelope

	collection keys.Collection
}

// Envelope is what a write knows of itself.
type Envelope interface {
	GetGeneration() int64
	GetWriteId() uint64
}

// Ref is the key by which the resource holds another.
func (w *Write) Ref(c keys.Collection, id string) string {
	return keys.Ref(c, id, w.collection, w.ID)
}

// Still is why, the reason for which a write is refused, if what was looked at is as it
// was; otherwise the conflict, after which the write is tried again (C8.64).
func (w *Write) Still(ctx context.Context, why error) error {
	return cmp.Or(records.Check(ctx, w.Tx), why)
}

// Company is those whom a resource refers to and those who refer to it, for Join.
type Company struct {
	// ID is that of the resource, empty while it has none.
	ID string
	// Targets are the records of what the resource refers to, by resource name.
	Targets map[string]records.Item

	kv     clientv3.KV
	refs   string // prefix of the references to the resource
	at     int64  // the revision at which referrers were looked at; 0: they were not
	beside []beside
}

// beside is a resource that a referrer refers to as well, and the key by which it does.
type beside struct {
	key, ref string
	revision int64
}

// Referrers visits the records of those who refer to the resource, as they are at one
// revision, and makes the write depend on nobody's having come since (C8.53). Those
// whose collection visit does not care for are its business to leave out: want says
// which it wants.
func (c *Company) Referrers(ctx context.Context, want func(keys.Collection) bool, visit func(keys.Collection, records.Item) error) error {
	refs, at, err := records.Names(ctx, c.kv, c.refs, 0)
	if err != nil {
		return err
	}
	c.at = at
	names := map[string]keys.Collection{}
	var wanted []string
	for _, ref := range refs {
		if of, id, err := keys.ParseRef(ref); err == nil && want(of) {
			key := keys.Resource(of, id)
			names[key] = of
			wanted = append(wanted, key)
		}
	}
	err = records.Each(ctx, c.kv, wanted, at, func(item records.Item) error { return visit(names[item.Key], item) })
	if errors.Is(err, rpctypes.ErrCompacted) { // it took longer than history is kept
		return fmt.Errorf("%w: %w", errMovedOn, err)
	}
	return err
}

// Beside reads the resource id of collection of, which the referrer holder of
// collection by refers to as well, as it is at the revision of Referrers. The write
// then depends on that resource being as it was, and writes holder's reference to it
// again: a change of it that looks at its referrers at the same moment and knows
// nothing of this one fails (C8.53).
func (c *Company) Beside(ctx context.Context, of keys.Collection, id string, by keys.Collection, holder string, m proto.Message) (found bool, err error) {
	err = records.Each(ctx, c.kv, []string{keys.Resource(of, id)}, c.at, func(item records.Item) error {
		found = true
		c.beside = append(c.beside, beside{item.Key, keys.Ref(of, id, by, holder), item.ModRevision})
		return item.Into(m)
	})
	if errors.Is(err, rpctypes.ErrCompacted) {
		return false, fmt.Errorf("%w: %w", errMovedOn, err)
	}
	return found, err
}

// depend makes the write depend on what Join has looked at.
func (c *Company) depend(w *Write) error {
	if c.at != 0 {
		w.NoneNewerUnder(conditionReferrers, c.refs, c.at)
	}
	for _, b := range c.beside {
		w.AtRevision(conditionTarget, b.key, b.revision)
		w.Exists(conditionTarget, b.ref)
		w.Put(b.ref, nil)
	}
	if n := w.Ops(); n > etcd.MaxOps { // C8.61
		return tooLarge(w.Name, n)
	}
	return nil
}

// company finds what the resource refers to (C2.1 step 10).
func (c *Collection[M]) company(ctx context.Context, id string, m M) (*Company, []pin, error) {
	company := &Company{ID: id, Targets: map[string]records.Item{}, kv: c.kv, refs: keys.RefsTo(c.kind.Collection, id)}
	var wanted []string
	refs := c.refs(m)
	for _, r := range refs {
		if !r.Managed {
			wanted = append(wanted, r.key())
		}
	}
	found := map[string]records.Item{}
	if err := records.Each(ctx, c.kv, wanted, 0, func(item records.Item) error {
		found[item.Key] = item
		return nil
	}); err != nil {
		return nil, nil, err
	}
	var absent, unfit []apierr.Violation
	var pins []pin
	for _, r := range refs {
		if r.Managed {
			continue
		}
		item, ok := found[r.key()]
		if !ok {
			absent = append(absent, apierr.Violation{
				Field: c.kind.Field + "." + r.Field, Reason: r.Reason,
				Description: fmt.Sprintf("names %s, which does not exist", r.Collection.Name(r.ID)),
			})
			continue
		}
		company.Targets[r.Collection.Name(r.ID)] = item
		pins = append(pins, pin{r, item.ModRevision})
		if r.Check == nil {
			continue
		}
		problem, err := r.Check(item)
		if err != nil {
			return nil, nil, err
		}
		if problem != "" {
			unfit = append(unfit, apierr.Violation{Field: c.kind.Field + "." + r.Field, Reason: r.Reason, Description: problem})
		}
	}
	if len(absent) > 0 {
		return nil, nil, missing(absent)
	}
	if e := apierr.BadFields(unfit); e != nil {
		return nil, nil, e
	}
	if c.kind.Join == nil {
		return company, pins, nil
	}
	vs, err := c.kind.Join(ctx, m, company)
	if err != nil {
		return nil, nil, err
	}
	return company, pins, BadFields(c.kind.Field+".", vs)
}

func (c *Collection[M]) refs(m M) []Ref {
	if c.kind.Refs == nil || !m.ProtoReflect().IsValid() {
		return nil
	}
	return c.kind.Refs(m)
}

// pin is a reference whose target was looked at.
type pin struct {
	ref      Ref
	revision int64
}

// hold puts the references of a resource: what was only looked for has to exist, what
// was looked at has to be as it was (C8.47, C8.48). References of before that are not
// among them go.
func (w *Write) hold(before []Ref, pins []pin) {
	kept := map[string]bool{}
	for _, p := range pins {
		if p.ref.Check != nil {
			w.AtRevision(conditionTarget, p.ref.key(), p.revision)
		} else {
			w.Exists(conditionTarget, p.ref.key())
		}
		key := w.Ref(p.ref.Collection, p.ref.ID)
		kept[key] = true
		w.Put(key, nil)
	}
	for _, r := range before {
		if key := w.Ref(r.Collection, r.ID); !r.Managed && !kept[key] {
			w.Delete(key)
		}
	}
}
