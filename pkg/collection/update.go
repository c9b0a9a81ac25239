// SPDX-License-Identifier: Apache-2.0

package collection

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
)

// Update merges a change into what is stored and writes it (C6.16, C8.52). The etag of
// in, if any, is the version that the change is based on.
func (c *Collection[M]) Update(ctx context.Context, in M, mask *fieldmaskpb.FieldMask, o Options) (made M, warnings []string, err error) {
	if err := o.offered(); err != nil {
		return made, nil, err
	}
	if !in.ProtoReflect().IsValid() {
		return made, nil, required(c.kind.Field)
	}
	id, vs := rules.ParseName(c.kind.Field+".name", c.kind.Collection, in.GetName())
	if err := BadFields("", append(o.bad(), vs...)); err != nil {
		return made, nil, err
	}
	if _, ok := c.managed(id); ok {
		return made, nil, c.readOnly(id, rules.ReasonIllegalUpdate, "changed")
	}
	var written M
	err = records.Retry(ctx, func() (again bool, err error) {
		made, written, again, err = c.update(ctx, id, in, mask, o)
		return again, err
	})
	return made, c.warnings(written, err), err
}

// update is one attempt: existence before the etag, the etag before the fields (C2.1).
func (c *Collection[M]) update(ctx context.Context, id string, in M, mask *fieldmaskpb.FieldMask, o Options) (made, m M, again bool, err error) {
	request, done, err := o.recall(ctx, c.requests)
	if err != nil {
		return made, m, false, err
	}
	old, seen, err := c.load(ctx, id)
	if err != nil {
		return made, m, false, err
	}
	if done != "" {
		made, err = c.show(ctx, id, old, seen)
		return made, made, false, err
	}
	name := c.kind.Collection.Name(id)
	if err := ETag(c.kind.Field+".etag", in.GetEtag(), name, seen, false); err != nil {
		return made, m, false, err
	}
	m, err = c.merge(old, in, mask)
	if err != nil {
		return made, m, false, err
	}
	company, pins, err := c.company(ctx, id, m)
	if err != nil {
		return made, m, errors.Is(err, errMovedOn), err
	}
	set(m, "update_time", protoreflect.ValueOfMessage(timestamppb.Now().ProtoReflect()))
	rec := records.Next(ctx, seen)
	w := &Write{etcd.NewTx(c.kv), id, name, rec, c.kind.Collection}
	w.AtRevision(conditionVersion, c.kind.Key(id), seen.ModRevision)
	if err := c.rename(w, old, m); err != nil {
		return made, m, false, err
	}
	w.hold(c.refs(old), pins)
	if err := company.depend(w); err != nil {
		return made, m, false, err
	}
	stored, err := c.fill(ctx, w, rec, old, m, request)
	if err != nil {
		return made, m, false, err
	}
	if o.ValidateOnly {
		if err := records.Check(ctx, w.Tx); err != nil {
			again, err = c.refusedUpdate(ctx, w, err, in, m)
			return made, m, again, err
		}
		made, err = c.preview(ctx, stored, true)
		return made, m, false, err
	}
	v, err := records.Commit(ctx, c.kv, w.Tx, c.kind.Key(id), rec)
	if err != nil {
		again, err = c.refusedUpdate(ctx, w, err, in, m)
		return made, m, again, err
	}
	made, err = c.show(ctx, id, stored, v)
	return made, m, false, err
}

// merge makes what is to be stored, complete and valid by itself.
func (c *Collection[M]) merge(old, in M, mask *fieldmaskpb.FieldMask) (M, error) {
	m, vs := rules.Merge(old, in, mask, rules.Change{
		Resource: c.kind.Field, Updatable: c.kind.Updatable, Immutable: c.kind.Immutable, Reason: c.kind.Immovable,
	})
	if err := BadFields("", vs); err != nil {
		return m, err
	}
	if c.kind.Default != nil {
		c.kind.Default(m)
	}
	return m, BadFields(c.kind.Field+".", c.kind.Check(m))
}

// rename moves the claim of the unique name (C8.60).
func (c *Collection[M]) rename(w *Write, old, m M) error {
	if c.kind.Name == nil || c.kind.Name(old) == c.kind.Name(m) {
		return nil
	}
	w.Delete(keys.UniqueName(c.kind.Collection, c.kind.Name(old)))
	return c.name(w, c.kind.Name(m))
}

// refusedUpdate says why a change failed.
func (c *Collection[M]) refusedUpdate(ctx context.Context, w *Write, err error, in, m M) (again bool, _ error) {
	return c.refused(w, err, func(conflict *etcd.Conflict) (again bool, _ error) {
		switch {
		case slices.Contains(conflict.Failed, conditionVersion):
			return c.moved(ctx, w.ID, c.kind.Field+".etag", in.GetEtag(), err)
		case slices.Contains(conflict.Failed, conditionName):
			return false, c.taken(c.kind.NameField, c.kind.Name(m))
		}
		return true, moving(w.Name, err)
	})
}

// moved is for a record that was written while it was being changed: an error for a
// caller who named the version, another attempt for others (C3.12).
func (c *Collection[M]) moved(ctx context.Context, id, field, etag string, conflict error) (again bool, _ error) {
	_, now, err := c.load(ctx, id)
	if err != nil {
		return false, err // among others: deleted since
	}
	name := c.kind.Collection.Name(id)
	if etag == "" || etag == now.ETag() { // only its secrets have got another cluster key
		return true, moving(name, conflict)
	}
	return false, Stale(field, name, now)
}

// Delete removes a resource that nothing refers to (C8.51). With allowMissing, one
// that does not exist is as good as deleted.
func (c *Collection[M]) Delete(ctx context.Context, name, etag string, allowMissing bool, o Options) error {
	if err := o.offered(); err != nil {
		return err
	}
	id, vs := rules.ParseName("name", c.kind.Collection, name)
	if err := BadFields("", append(o.bad(), vs...)); err != nil {
		return err
	}
	if _, ok := c.managed(id); ok {
		return c.readOnly(id, ReasonIllegalDelete, "deleted")
	}
	return records.Retry(ctx, func() (again bool, err error) {
		again, err = c.remove(ctx, id, etag, o)
		if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.NotFound && allowMissing {
			return c.removeNothing(ctx, id, o) // also of what somebody else has just deleted
		}
		return again, err
	})
}

// removeNothing remembers that there was nothing to delete: when the request comes again,
// another resource may have the id.
func (c *Collection[M]) removeNothing(ctx context.Context, id string, o Options) (again bool, err error) {
	request, done, err := o.recall(ctx, c.requests)
	if err != nil || done != "" || request == nil {
		return false, err
	}
	w := &Write{etcd.NewTx(c.kv), id, c.kind.Collection.Name(id), nil, c.kind.Collection}
	w.Absent(conditionVersion, c.kind.Key(id))
	if err := request.Remember(w.Tx, w.Name); err != nil {
		return false, err
	}
	return c.refusedDelete(ctx, w, records.CommitDelete(ctx, c.kv, w.Tx, c.kind.Key(id)), "")
}

func (c *Collection[M]) remove(ctx context.Context, id, etag string, o Options) (again bool, err error) {
	request, done, err := o.recall(ctx, c.requests)
	if err != nil || done != "" {
		return false, err
	}
	old, seen, err := c.load(ctx, id)
	if err != nil {
		return false, err
	}
	name := c.kind.Collection.Name(id)
	if err := ETag("etag", etag, name, seen, false); err != nil {
		return false, err
	}
	prefix := keys.RefsTo(c.kind.Collection, id)
	// The transaction decides; a look beforehand keeps hopeless ones from making etcd
	// read every reference while it applies (C8.4).
	held, _, err := records.Names(ctx, c.kv, prefix, maxReferrers)
	if err != nil {
		return false, err
	}
	if len(held) > 0 {
		return false, c.held(name, held)
	}
	w := &Write{etcd.NewTx(c.kv), id, name, nil, c.kind.Collection}
	w.AtRevision(conditionVersion, c.kind.Key(id), seen.ModRevision)
	w.NoneUnder(conditionReferrers, prefix)
	w.Delete(c.kind.Key(id))
	if c.kind.Name != nil {
		w.Delete(keys.UniqueName(c.kind.Collection, c.kind.Name(old)))
	}
	w.hold(c.refs(old), nil)
	if c.kind.Add != nil {
		var none M
		if err := c.kind.Add(ctx, w, old, none); err != nil {
			return false, err
		}
	}
	if err := request.Remember(w.Tx, name); err != nil {
		return false, err
	}
	if o.ValidateOnly {
		err = records.Check(ctx, w.Tx)
	} else {
		err = records.CommitDelete(ctx, c.kv, w.Tx, c.kind.Key(id))
	}
	return c.refusedDelete(ctx, w, err, etag)
}

func (c *Collection[M]) refusedDelete(ctx context.Context, w *Write, err error, etag string) (again bool, _ error) {
	return c.refused(w, err, func(conflict *etcd.Conflict) (again bool, _ error) {
		switch {
		case slices.Contains(conflict.Failed, conditionVersion):
			return c.moved(ctx, w.ID, "etag", etag, err)
		case slices.Contains(conflict.Failed, conditionReferrers):
			return false, c.held(w.Name, conflict.Keys[conditionReferrers])
		}
		return true, moving(w.Name, err)
	})
}

func (c *Collection[M]) held(name string, refs []string) error {
	return HeldBy(c.kind.Held, name, "cannot be deleted while others refer to it", referrers(refs))
}
