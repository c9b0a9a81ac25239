// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// call is one attempt to do what a request asks for.
type call struct {
	// dry writes nothing (C6.18).
	dry bool
	// memory makes the request known by its idempotency key; nil without one.
	memory *records.Request
	// prefix leads from the request to the fields of a distribution. It is empty for
	// requests that hold none: their field paths begin at the distribution.
	prefix string
	// bad is what is wrong with the request beside the fields of a distribution, for a
	// caller to hear of together with those.
	bad []rules.Violation
}

// outcome is what became of a request.
type outcome struct {
	st       *stored
	source   *stored // that an alias was taken from; nil for none
	warnings []string
	dry      bool
}

// run makes attempts until one succeeds or fails for good. again says that an attempt
// failed for a reason that may have passed. A request that was made before with the
// same idempotency key is not made again: its answer is read anew (C3.17).
func (s *Server) run(ctx context.Context, method, prefix string, req collection.Mutation, attempt func(c call) (out *outcome, again bool, err error)) (out *outcome, err error) {
	err = records.Retry(ctx, func() (again bool, err error) {
		c, done, err := s.begin(ctx, method, prefix, req)
		if err != nil {
			return false, err
		}
		if done != "" {
			out, err = s.repeated(ctx, done)
			return false, err
		}
		out, again, err = attempt(c)
		return s.end(again, err)
	})
	return out, err
}

// begin starts an attempt. done is the name of the distribution that the same request
// has been made for before, empty for none.
func (s *Server) begin(ctx context.Context, method, prefix string, req collection.Mutation) (c call, done string, err error) {
	c = call{dry: req.GetValidateOnly(), prefix: prefix, bad: checkRequestID(req)}
	if c.dry || len(c.bad) > 0 { // a dry run never uses a key up (C6.18)
		return c, "", nil
	}
	c.memory, done, err = s.requests.Recall(ctx, method, req.GetRequestId(), req)
	return c, done, err
}

// end says whether another attempt may help.
func (s *Server) end(again bool, err error) (bool, error) {
	return again || s.requests.Lost(err), err
}

// repeated is the outcome of a request that was made before.
func (s *Server) repeated(ctx context.Context, name string) (*outcome, error) {
	id, err := parseName("name", name)
	if err != nil {
		return nil, internal(err)
	}
	st, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return &outcome{st: st}, nil
}

// commit sends the transaction of a call on the distribution of w, whose record is
// rec, or only looks at its conditions. A *etcd.Conflict is returned as it is.
func (s *Server) commit(ctx context.Context, c call, w *write, rec recordOf) (records.Version, error) {
	if err := c.memory.Remember(w.tx, keys.Distributions.Name(w.id)); err != nil {
		return records.Version{}, err
	}
	if err := w.ready(c.prefix); err != nil {
		return records.Version{}, err
	}
	if c.dry {
		return records.Version{}, records.Check(ctx, w.tx)
	}
	return records.Commit(ctx, s.kv, w.tx, w.key(), rec)
}

// change is what a request makes of a distribution that is there.
type change struct {
	id string
	// etag is the one that the caller has seen, at field of the request.
	etag, field string
	// next makes the new state of what is stored; it may add conditions to the
	// transaction, and say by refused why one of them failed. Secrets that the new state
	// leaves out are kept from the old one, unless it says otherwise by w.keeps.
	next    func(old *stored, w *write) (*configv1.Distribution, error)
	refused func(c *etcd.Conflict) error
}

// change is one attempt at a change (C8.48, C8.49): NOT_FOUND before the etag, the etag
// before the fields (C2.1).
func (s *Server) change(ctx context.Context, c call, ch change) (out *outcome, again bool, err error) {
	old, err := s.read(ctx, ch.id)
	if err != nil {
		return nil, false, err
	}
	if err := checkETag(ch.field, ch.etag, old); err != nil {
		return nil, false, err
	}
	w := s.write(ch.id).keeps(old.d, old.secrets)
	d, err := ch.next(old, w)
	if err != nil {
		return nil, false, err
	}
	if err := c.checkFields(d, w.limits(s.limits.Allowing(old.d))); err != nil {
		return nil, false, err
	}
	var deps dependencies
	touched := touchesReferences(old.d, d)
	if touched {
		if deps, err = s.checkReferences(ctx, c.prefix, d); err != nil {
			return nil, false, err
		}
	}
	d.UpdateTime = timestamppb.Now()
	if err := compile(c.prefix, ch.id, d); err != nil {
		return nil, false, err
	}
	if err := s.checkSharing(ctx, c.prefix, old.d, d); err != nil {
		return nil, false, err
	}
	rec := records.Next(ctx, old.version)
	w.tx.AtRevision(conditionVersion, w.key(), old.version.ModRevision)
	w.aliases(old.d.GetConfig().GetAliases(), d.GetConfig().GetAliases())
	if touched {
		w.pins(deps.pins)
		w.release(targets(old.d), targets(d))
	}
	w.record(rec, d, s.versions)
	version, err := s.commit(ctx, c, w, rec)
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		if err := ch.why(conflict); err != nil {
			return nil, false, err
		}
		again, err = s.refused(ctx, c.prefix, conflict, ch.field, old, d)
		return nil, again, err
	}
	if err != nil {
		return nil, false, err
	}
	return &outcome{&stored{id: ch.id, version: version, d: d}, nil, advice(c.prefix, d, deps), c.dry}, false, nil
}

func (ch change) why(c *etcd.Conflict) error {
	if ch.refused == nil || slices.Contains(c.Failed, records.ConditionRequest) || slices.Contains(c.Failed, conditionVersion) {
		return nil
	}
	return ch.refused(c)
}

// touchesReferences says whether d has to be looked at in the company of what it
// refers to. Enabling, disabling, labels and the comment have nothing to do with it:
// they are one compare and one put (C8.49), and work without the origin registry.
func touchesReferences(old, d *configv1.Distribution) bool {
	before, after := proto.CloneOf(old.GetConfig()), proto.CloneOf(d.GetConfig())
	for _, c := range []*configv1.DistributionConfig{before, after} {
		c.Enabled, c.Comment = false, ""
	}
	return !proto.Equal(before, after)
}

// refused says why a change or deletion of old was refused: because the same request
// was made meanwhile, because old was written since, so that the etag at field is
// stale, because d wants what another distribution holds, or for what the client has
// not named.
func (s *Server) refused(ctx context.Context, prefix string, c *etcd.Conflict, field string, old *stored, d *configv1.Distribution) (again bool, err error) {
	if slices.Contains(c.Failed, records.ConditionRequest) {
		return true, moving(c)
	}
	if slices.Contains(c.Failed, conditionVersion) {
		now, err := s.read(ctx, old.id)
		if err != nil {
			return false, err // among others: deleted since
		}
		if now.version.WriteID == old.version.WriteID {
			return true, moving(c) // only its secrets have got another cluster key
		}
		return false, collection.Stale(field, keys.Distributions.Name(now.id), now.version)
	}
	if err := taken(prefix, c, d); err != nil {
		return false, err
	}
	return true, moving(c)
}
