// SPDX-License-Identifier: Apache-2.0

package collection

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// The names of conditions. Those of a target and of an id are tried again when they
// fail (C8.64); a caller hears of the others.
const (
	conditionVersion   = "version"
	conditionID        = "id"
	conditionName      = "name"
	conditionReference = "caller reference"
	conditionTarget    = "target"
	conditionReferrers = "referrers"
)

// Options are what every mutation can be told.
type Options struct {
	// Request is the request itself, Method the name of its method: what an
	// idempotency key is good for.
	Request proto.Message
	Method  string
	// RequestID is the idempotency key, empty for none.
	RequestID string
	// ValidateOnly checks everything and writes nothing (C6.18).
	ValidateOnly bool
	// Bad are violations that the service has found itself, with paths from the request.
	Bad []rules.Violation
}

// Mutation is a request that writes.
type Mutation interface {
	proto.Message
	GetRequestId() string
	GetValidateOnly() bool
}

// Of are the options in a request; bad are violations that the service has found
// itself.
func Of(req Mutation, bad ...rules.Violation) Options {
	return Options{
		Request: req, Method: strings.TrimSuffix(string(req.ProtoReflect().Descriptor().Name()), "Request"),
		RequestID: req.GetRequestId(), ValidateOnly: req.GetValidateOnly(), Bad: bad,
	}
}

// offered refuses a field without effect in this release (C2.185).
func (o Options) offered() error {
	if o.Request == nil {
		return nil
	}
	return Unsupported(rules.Unsupported(o.Request))
}

// recall looks the request up; with ValidateOnly nothing is remembered.
func (o Options) recall(ctx context.Context, r *records.Requests) (*records.Request, string, error) {
	if o.ValidateOnly {
		return nil, "", nil
	}
	return r.Recall(ctx, o.Method, o.RequestID, o.Request)
}

// bad adds what is wrong with the idempotency key.
func (o Options) bad() []rules.Violation {
	out := slices.Clone(o.Bad)
	for _, v := range records.CheckRequestID(o.RequestID) {
		out = append(out, rules.Violation(v))
	}
	return out
}

// Create checks and writes a new resource. id is the one that the client chose, for
// kinds without NewID; the service has checked it. What callers may not set is ignored.
func (c *Collection[M]) Create(ctx context.Context, in M, id string, o Options) (made M, warnings []string, err error) {
	if err := o.offered(); err != nil {
		return made, nil, err
	}
	if !in.ProtoReflect().IsValid() {
		return made, nil, required(c.kind.Field)
	}
	bad := o.bad()
	m := c.input(in)
	if c.kind.Default != nil {
		c.kind.Default(m)
	}
	for _, v := range c.kind.Check(m) {
		v.Field = c.kind.Field + "." + v.Field
		bad = append(bad, v)
	}
	if err := BadFields("", bad); err != nil {
		return made, nil, err
	}
	err = records.Retry(ctx, func() (again bool, err error) {
		made, again, err = c.create(ctx, proto.CloneOf(m), id, o)
		return again, err
	})
	return made, c.warnings(m, err), err
}

func (c *Collection[M]) warnings(m M, err error) []string {
	if c.kind.Warn == nil || err != nil {
		return nil
	}
	var out []string
	for _, w := range c.kind.Warn(m) {
		out = append(out, c.kind.Field+"."+w)
	}
	return out
}

// input is a copy of what a caller sent without what only the server sets.
func (c *Collection[M]) input(in M) M {
	m := proto.CloneOf(in)
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if n := fields.Get(i).Name(); !slices.Contains(c.kind.Updatable, n) && !slices.Contains(c.kind.Immutable, n) {
			remove(m, n)
		}
	}
	return m
}

// create is one attempt to write m, which is valid by itself.
func (c *Collection[M]) create(ctx context.Context, m M, id string, o Options) (made M, again bool, err error) {
	asked := proto.CloneOf(m)
	request, done, err := o.recall(ctx, c.requests)
	if err != nil {
		return made, false, err
	}
	if done == "" && c.kind.Reference != nil {
		done, err = c.replayed(ctx, m)
		if err != nil {
			return made, false, err
		}
	}
	if done != "" {
		made, err = c.Get(ctx, done)
		return made, false, err
	}
	if c.kind.NewID != nil {
		id = c.kind.NewID()
	}
	_, pins, err := c.company(ctx, id, m)
	if err != nil {
		return made, errors.Is(err, errMovedOn), err
	}
	if err := c.withinQuota(ctx); err != nil {
		return made, false, err
	}
	now := protoreflect.ValueOfMessage(timestamppb.Now().ProtoReflect())
	set(m, "uid", protoreflect.ValueOfString(uuid.NewString()))
	set(m, "create_time", now)
	set(m, "update_time", now)
	rec := records.Next(ctx, records.Version{})
	w := &Write{etcd.NewTx(c.kv), id, c.kind.Collection.Name(id), rec, c.kind.Collection}
	w.Absent(conditionID, c.kind.Key(id))
	if err := c.claim(w, m, asked); err != nil {
		return made, false, err
	}
	w.hold(nil, pins)
	var none M
	stored, err := c.fill(ctx, w, rec, none, m, request)
	if err != nil {
		return made, false, err
	}
	if o.ValidateOnly {
		if err := records.Check(ctx, w.Tx); err != nil {
			again, err = c.refusedCreate(w, err, asked)
			return made, again, err
		}
		made, err = c.preview(ctx, stored, false)
		return made, false, err
	}
	v, err := records.Commit(ctx, c.kv, w.Tx, c.kind.Key(id), rec)
	if err != nil {
		again, err = c.refusedCreate(w, err, asked)
		return made, again, err
	}
	made, err = c.show(ctx, id, stored, v)
	return made, false, err
}

// claim takes the name and the caller reference of a new resource.
func (c *Collection[M]) claim(w *Write, m, asked M) error {
	if c.kind.Name != nil {
		if err := c.name(w, c.kind.Name(m)); err != nil {
			return err
		}
	}
	if c.kind.Reference == nil {
		return nil
	}
	// The content after defaulting (C3.15).
	value, err := keys.Encode(&storev1.RequestMemory{Name: w.Name, Hash: records.Digest(asked)})
	if err != nil {
		return internal(err)
	}
	key := keys.CallerReference(c.kind.Collection, c.kind.Reference(m))
	w.Absent(conditionReference, key)
	w.Put(key, value)
	return nil
}

// name claims a unique name. Those of managed resources are taken, though no key says
// so: people could not tell the two apart.
func (c *Collection[M]) name(w *Write, name string) error {
	if slices.ContainsFunc(c.kind.Managed, func(m M) bool { return c.kind.Name(m) == name }) {
		return c.taken(c.kind.NameField, name)
	}
	value, err := keys.Encode(&storev1.NameClaim{Id: w.ID})
	if err != nil {
		return internal(err)
	}
	key := keys.UniqueName(c.kind.Collection, name)
	w.Absent(conditionName, key)
	w.Put(key, value)
	return nil
}

// fill puts the record, what the kind adds, and the memory of the request. It returns
// what is stored.
func (c *Collection[M]) fill(ctx context.Context, w *Write, rec *storev1.Record, old, now M, request *records.Request) (M, error) {
	if c.kind.Add != nil {
		if err := c.kind.Add(ctx, w, old, now); err != nil {
			return now, err
		}
	}
	bare := proto.CloneOf(now)
	remove(bare, "etag")
	set(bare, "name", protoreflect.ValueOfString(w.Name))
	if c.kind.Seal != nil {
		if err := c.kind.Seal(rec, c.kind.Key(w.ID), bare); err != nil {
			return now, err
		}
	}
	if err := records.Put(w.Tx, c.kind.Key(w.ID), rec, bare); err != nil {
		return now, err
	}
	return bare, request.Remember(w.Tx, w.Name)
}

// replayed finds the resource that was created with the same caller reference and
// content (C3.14); another content, or a resource that is gone, is an error.
func (c *Collection[M]) replayed(ctx context.Context, m M) (name string, err error) {
	claim, at, err := records.Lookup(ctx, c.kv, keys.CallerReference(c.kind.Collection, c.kind.Reference(m)))
	if err != nil || at == 0 {
		return "", err
	}
	var was storev1.RequestMemory
	if err := keys.Decode(claim.Value, &was); err != nil {
		return "", internal(err)
	}
	if bytes.Equal(records.Digest(m), was.GetHash()) {
		id, _ := rules.ParseName("", c.kind.Collection, was.GetName())
		if _, at, err := records.Lookup(ctx, c.kv, c.kind.Key(id)); err != nil || at != 0 {
			return was.GetName(), err
		}
	}
	return "", c.taken("caller_reference", c.kind.Reference(m))
}

// withinQuota is C2.1 step 12, without a lock (C8.63).
func (c *Collection[M]) withinQuota(ctx context.Context) error {
	if c.kind.Most == 0 {
		return nil
	}
	n, err := c.counter.Before(ctx, c.kind.Most)
	if err != nil {
		return err
	}
	if n >= c.kind.Most {
		return c.tooMany(n)
	}
	return nil
}

// refusedCreate says why a creation failed.
func (c *Collection[M]) refusedCreate(w *Write, err error, m M) (again bool, _ error) {
	return c.refused(w, err, func(conflict *etcd.Conflict) (again bool, _ error) {
		switch {
		case slices.Contains(conflict.Failed, conditionReference):
			return true, moving(w.Name, err) // made meanwhile: the next attempt finds it
		case slices.Contains(conflict.Failed, conditionName):
			return false, c.taken(c.kind.NameField, c.kind.Name(m))
		case slices.Contains(conflict.Failed, conditionID) && c.kind.NewID == nil:
			return false, c.taken("", w.ID)
		}
		return true, moving(w.Name, err)
	})
}

// refused says why a write failed: because the same request has been made meanwhile,
// or the lease of idempotency keys is gone, which the next attempt knows, or for what
// why says of the conditions.
func (c *Collection[M]) refused(w *Write, err error, why func(conflict *etcd.Conflict) (again bool, _ error)) (again bool, _ error) {
	conflict, ok := errors.AsType[*etcd.Conflict](err)
	switch {
	case c.requests.Lost(err):
		return true, err
	case !ok:
		return false, err
	case slices.Contains(conflict.Failed, records.ConditionRequest):
		return true, moving(w.Name, err)
	}
	return why(conflict)
}
