// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/completion"
)

// The names of conditions. An id that is taken, and a key that another call with the
// same idempotency key or caller reference has taken since, are looked at again.
const (
	conditionParent    = "distribution"     // exists
	conditionReference = "caller reference" // is free
	conditionID        = "id"               // is free
)

// fieldPrefix leads from a request to the fields of its invalidation.
const fieldPrefix = "invalidation."

// CreateInvalidation checks and writes a new invalidation (C8.59), or returns the one
// that its caller reference has made before (C3.14, C8.58).
func (s *Server) CreateInvalidation(ctx context.Context, req *configv1.CreateInvalidationRequest) (*configv1.CreateInvalidationResponse, error) {
	parent, bad := rules.ParseName("parent", keys.Distributions, req.GetParent())
	for _, v := range records.CheckRequestID(req.GetRequestId()) {
		bad = append(bad, rules.Violation(v))
	}
	if req.GetInvalidation() == nil {
		bad = append(bad, rules.Violation{Field: "invalidation", Reason: rules.ReasonInvalid, Description: "is required"})
		return nil, collection.BadFields("", bad)
	}
	for _, v := range rules.CheckInvalidation(req.GetInvalidation(), s.limits) {
		v.Field = fieldPrefix + v.Field
		bad = append(bad, v)
	}
	if err := collection.BadFields("", bad); err != nil {
		return nil, err
	}
	o := &order{parent: parent, request: req, inv: &configv1.Invalidation{
		CallerReference: req.GetInvalidation().GetCallerReference(), Paths: req.GetInvalidation().GetPaths(), Tags: req.GetInvalidation().GetTags(),
	}}
	out := &configv1.CreateInvalidationResponse{}
	for _, w := range rules.InvalidationWarnings(o.inv) {
		out.Warnings = append(out.Warnings, fieldPrefix+w)
	}
	rules.CanonicalInvalidation(o.inv)
	err := records.Retry(ctx, func() (again bool, err error) {
		out.Invalidation, again, err = s.create(ctx, o)
		return again, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// order is what a caller wants, with paths and tags in canonical form.
type order struct {
	parent  string
	request *configv1.CreateInvalidationRequest
	inv     *configv1.Invalidation
}

// create is one attempt. again says that it failed for a reason that may have passed.
func (s *Server) create(ctx context.Context, o *order) (inv *configv1.Invalidation, again bool, err error) {
	var request *records.Request
	if !o.request.GetValidateOnly() { // which leaves no traces (C6.18)
		var made string
		request, made, err = s.requests.Recall(ctx, "CreateInvalidation", o.request.GetRequestId(), o.request)
		if err != nil {
			return nil, false, err
		}
		if made != "" {
			inv, err = s.repeated(ctx, made)
			return inv, false, err
		}
	}
	d, err := s.parent(ctx, o.parent)
	if err != nil {
		return nil, false, err
	}
	if len(o.inv.GetTags()) > 0 && d.GetConfig().GetCacheTagHeader() == "" { // C2.167
		return nil, false, collection.BadFields(fieldPrefix, []rules.Violation{{
			Field: "tags", Reason: rules.ReasonInvalid,
			Description: fmt.Sprintf("are given, and %s has no cache_tag_header: its objects have no tags", keys.Distributions.Name(o.parent)),
		}})
	}
	if st, err := s.referred(ctx, o); st != nil || err != nil {
		if err != nil {
			return nil, false, err
		}
		return s.show(ctx, st), false, nil
	}
	if err := s.withinQuota(o); err != nil {
		return nil, false, err
	}
	if o.request.GetValidateOnly() {
		o.inv.State = configv1.Invalidation_STATE_IN_PROGRESS
		return o.inv, false, nil
	}
	st, again, err := s.write(ctx, o, request)
	if err != nil {
		return nil, again, err
	}
	return s.show(ctx, st), false, nil
}

// repeated answers a request that has been made before (C3.17).
func (s *Server) repeated(ctx context.Context, name string) (*configv1.Invalidation, error) {
	id, err := parse(name, nil)
	if err != nil {
		return nil, internal(fmt.Errorf("remembered request: %w", err))
	}
	st, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.show(ctx, st), nil
}

// referred returns the invalidation that the caller reference has made, nil when there
// is none. One with other content is an error (C2.325, C2.365, C9.8). The reference and
// the invalidation expire together, so what it names exists, or is about to be gone
// with it: then the next attempt finds the reference free.
func (s *Server) referred(ctx context.Context, o *order) (*stored, error) {
	inner, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	key := keys.InvalidationReference(o.parent, o.inv.GetCallerReference())
	res, err := s.kv.Get(inner, key)
	if err != nil {
		if ctx.Err() == nil && inner.Err() != nil {
			return nil, behind("the store does not answer; try again")
		}
		return nil, etcd.Fault(fmt.Errorf("read %s: %w", key, err))
	}
	if len(res.Kvs) == 0 {
		return nil, nil
	}
	var was storev1.InvalidationReference
	if err := keys.Decode(res.Kvs[0].Value, &was); err != nil {
		return nil, internal(fmt.Errorf("%s: %w", key, err))
	}
	id := completion.ID{Distribution: o.parent, Invalidation: was.GetId()}
	if !bytes.Equal(was.GetContent(), content(o.inv)) {
		return nil, otherContent(o.inv.GetCallerReference(), keys.InvalidationName(id.Distribution, id.Invalidation))
	}
	return s.find(ctx, id)
}

// content is the same for the same paths and tags in any order (C3.15). It does not
// rest on how protobuf orders bytes (C9.41).
func content(inv *configv1.Invalidation) []byte {
	h := sha256.New()
	for _, set := range [][]string{inv.GetPaths(), inv.GetTags()} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(set))) // a hash takes everything
		for _, s := range slices.Sorted(slices.Values(set)) {
			_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
			h.Write([]byte(s))
		}
	}
	return h.Sum(nil)
}

// withinQuota refuses what does not fit beside what is in progress (C2.171). A server
// whose index is behind lets it pass: the quota protects edges from a flood, and is not
// worth an invalidation that does not come.
func (s *Server) withinQuota(o *order) error {
	load := s.index.InProgress(o.parent)
	paths, wildcards := rules.CountInvalidation(o.inv)
	if paths > 0 && load.Paths+paths > s.limits.Paths {
		return tooMany(o.parent, "paths and tags", paths, load.Paths, s.limits.Paths)
	}
	if wildcards > 0 && load.Wildcards+wildcards > s.limits.Wildcards {
		return tooMany(o.parent, "paths with a wildcard", wildcards, load.Wildcards, s.limits.Wildcards)
	}
	return nil
}

// write is the transaction (C8.59).
func (s *Server) write(ctx context.Context, o *order, request *records.Request) (st *stored, again bool, err error) {
	lease, err := s.retention.Current(ctx)
	if err != nil {
		return nil, false, err
	}
	now := time.Now()
	st = &stored{id: completion.ID{Distribution: o.parent, Invalidation: keys.NewInvalidationID(now)}, inv: o.inv}
	st.inv.Uid, st.inv.CreateTime = uuid.NewString(), timestamppb.New(now)
	reference, err := keys.Encode(&storev1.InvalidationReference{Id: st.id.Invalidation, Content: content(o.inv)})
	if err != nil {
		return nil, false, internal(err)
	}
	key := keys.Invalidation(st.id.Distribution, st.id.Invalidation)
	claim := keys.InvalidationReference(o.parent, o.inv.GetCallerReference())
	rec := records.Next(ctx, records.Version{})
	tx := etcd.NewTx(s.kv)
	tx.Exists(conditionParent, keys.Resource(keys.Distributions, o.parent))
	tx.Absent(conditionReference, claim)
	tx.Absent(conditionID, key)
	if err := records.Put(tx, key, rec, o.inv, clientv3.WithLease(lease)); err != nil {
		return nil, false, err
	}
	tx.Put(claim, reference, clientv3.WithLease(lease))
	if err := request.Remember(tx, st.name()); err != nil {
		return nil, false, err
	}
	st.version, err = records.Commit(ctx, s.kv, tx, key, rec)
	if refused, ok := errors.AsType[*etcd.Conflict](err); ok {
		return nil, true, refusedBy(refused, o.parent)
	}
	if err != nil {
		lost := s.retention.Lost(err) // one of the two: nobody knows which
		return nil, s.requests.Lost(err) || lost, err
	}
	return st, false, nil
}

// refusedBy is the error when attempts are over; but for a distribution that is gone,
// the next one finds out what is in the way.
func refusedBy(c *etcd.Conflict, parent string) error {
	if slices.Contains(c.Failed, conditionParent) {
		return noSuchDistribution(parent)
	}
	e := apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "the same invalidation is being made at the same time; try again")
	e.Cause = c
	return e
}
