// SPDX-License-Identifier: Apache-2.0

package originregistry

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// badRequestID says what is wrong with the idempotency key.
func badRequestID(req collection.Mutation) []rules.Violation {
	var out []rules.Violation
	for _, v := range records.CheckRequestID(req.GetRequestId()) {
		out = append(out, rules.Violation(v))
	}
	return out
}

// recall looks a request up by its idempotency key (C3.17); one that only checks uses
// none up (C6.18).
func (s *Service) recall(ctx context.Context, req collection.Mutation) (r *records.Request, done string, err error) {
	if req.GetValidateOnly() {
		return nil, "", nil
	}
	return s.requests.Recall(ctx, string(req.ProtoReflect().Descriptor().FullName()), req.GetRequestId(), req)
}

// done is the answer to a request that was made before: the origin as it is now.
func (s *Service) done(ctx context.Context, name string) (*originv1.Origin, error) {
	id, _ := rules.ParseName("", keys.Origins, name)
	stored, v, _, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	return present(id, v, stored), nil
}

// send writes rec at key, or only looks at the conditions. tx is complete.
func (s *Service) send(ctx context.Context, tx *etcd.Tx, req collection.Mutation, write func() (records.Version, error)) (records.Version, error) {
	if req.GetValidateOnly() {
		return records.Version{}, records.Check(ctx, tx)
	}
	return write()
}

// repeated says whether a write failed only because the same request has been made
// meanwhile, or because the lease of idempotency keys is gone: the next attempt knows.
func (s *Service) repeated(err error) bool {
	if s.requests.Lost(err) {
		return true
	}
	conflict, ok := errors.AsType[*etcd.Conflict](err)
	return ok && slices.Contains(conflict.Failed, records.ConditionRequest)
}

// preview is what would be stored as callers of a check see it (C6.18).
func preview(o *originv1.Origin, exists bool, id string) *originv1.Origin {
	out := proto.CloneOf(o)
	out.Etag, out.Name = "", ""
	if exists {
		out.Name = keys.Origins.Name(id)
	} else {
		out.Uid = ""
	}
	return out
}
