// SPDX-License-Identifier: Apache-2.0

package collection

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
)

// Change makes a new version of a resource by a method of its kind that is no update of
// fields: apply edits m, which is the stored resource, and adds to the transaction what
// else changes with it. It may run several times; what it refuses because of more than m
// goes through Write.Still. References and the unique name have to stay as they are.
func (c *Collection[M]) Change(ctx context.Context, name, etag string, o Options, apply func(ctx context.Context, tx *Write, m M) error) (made M, err error) {
	if err := o.offered(); err != nil {
		return made, err
	}
	id, vs := rules.ParseName("name", c.kind.Collection, name)
	if err := BadFields("", append(o.bad(), vs...)); err != nil {
		return made, err
	}
	err = records.Retry(ctx, func() (again bool, err error) {
		made, again, err = c.change(ctx, id, etag, o, apply)
		return again, err
	})
	return made, err
}

func (c *Collection[M]) change(ctx context.Context, id, etag string, o Options, apply func(context.Context, *Write, M) error) (made M, again bool, err error) {
	request, done, err := o.recall(ctx, c.requests)
	if err != nil {
		return made, false, err
	}
	m, seen, err := c.load(ctx, id)
	if err != nil {
		return made, false, err
	}
	if done != "" {
		made, err = c.show(ctx, id, m, seen)
		return made, false, err
	}
	name := c.kind.Collection.Name(id)
	if err := ETag("etag", etag, name, seen, false); err != nil {
		return made, false, err
	}
	rec := records.Next(ctx, seen)
	w := &Write{etcd.NewTx(c.kv), id, name, rec, c.kind.Collection}
	w.AtRevision(conditionVersion, c.kind.Key(id), seen.ModRevision)
	if err := apply(ctx, w, m); err != nil {
		again, err = c.refusedDelete(ctx, w, err, etag)
		return made, again, err
	}
	set(m, "update_time", protoreflect.ValueOfMessage(timestamppb.Now().ProtoReflect()))
	if err := records.Put(w.Tx, c.kind.Key(id), rec, m); err != nil {
		return made, false, err
	}
	if err := request.Remember(w.Tx, name); err != nil {
		return made, false, err
	}
	if o.ValidateOnly {
		if err := records.Check(ctx, w.Tx); err != nil {
			again, err = c.refusedDelete(ctx, w, err, etag)
			return made, again, err
		}
		made, err = c.preview(ctx, proto.CloneOf(m), true)
		return made, false, err
	}
	v, err := records.Commit(ctx, c.kv, w.Tx, c.kind.Key(id), rec)
	if err != nil {
		again, err = c.refusedDelete(ctx, w, err, etag)
		return made, again, err
	}
	made, err = c.show(ctx, id, m, v)
	return made, false, err
}
