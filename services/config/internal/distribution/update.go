// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// UpdateDistribution checks and writes a change (C8.48, C8.49).
func (s *Server) UpdateDistribution(ctx context.Context, req *configv1.UpdateDistributionRequest) (*configv1.UpdateDistributionResponse, error) {
	if err := unsupported(req); err != nil {
		return nil, err
	}
	if req.GetDistribution() == nil {
		return nil, required("distribution")
	}
	id, err := parseName(fieldPrefix+"name", req.GetDistribution().GetName())
	if err != nil {
		return nil, err
	}
	var made *stored
	var warnings []string
	err = records.Retry(ctx, func() (again bool, err error) {
		made, warnings, again, err = s.update(ctx, id, req)
		return again, err
	})
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateDistributionResponse{Distribution: s.show(ctx, made, 0), Warnings: warnings}, nil
}

// update is one attempt: NOT_FOUND before the etag, the etag before the fields
// (C2.1). again says that it failed for a reason that the client has not named.
func (s *Server) update(ctx context.Context, id string, req *configv1.UpdateDistributionRequest) (made *stored, warnings []string, again bool, err error) {
	old, err := s.read(ctx, id)
	if err != nil {
		return nil, nil, false, err
	}
	if err := checkETag(fieldPrefix+"etag", req.GetDistribution().GetEtag(), old); err != nil {
		return nil, nil, false, err
	}
	d, vs := rules.MergeDistribution(old.d, req.GetDistribution(), req.GetUpdateMask())
	if err := badFields("", vs); err != nil {
		return nil, nil, false, err
	}
	if err := s.checkFields(d); err != nil {
		return nil, nil, false, err
	}
	var deps dependencies
	touched := touchesReferences(old.d, d)
	if touched {
		if deps, err = s.checkReferences(ctx, d); err != nil {
			return nil, nil, false, err
		}
	}
	d.UpdateTime = timestamppb.Now()
	if err := compile(id, d); err != nil {
		return nil, nil, false, err
	}
	rec := records.Next(ctx, old.version)
	w := s.write(id)
	w.tx.AtRevision(conditionVersion, w.key(), old.version.ModRevision)
	w.aliases(old.d.GetConfig().GetAliases(), d.GetConfig().GetAliases())
	if touched {
		w.pins(deps.pins)
		w.release(targets(old.d), targets(d))
	}
	w.record(rec, d)
	if err := w.ready(); err != nil {
		return nil, nil, false, err
	}
	version, err := records.Commit(ctx, s.kv, w.tx, w.key(), rec)
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		again, err = s.refused(ctx, conflict, fieldPrefix+"etag", old, d)
		return nil, nil, again, err
	}
	if err != nil {
		return nil, nil, false, err
	}
	return &stored{id, version, d}, advice(d, deps.origins), false, nil
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

// refused says why a change or deletion of old was refused: because it was written
// since, so that the etag at field is stale, because d wants what another distribution
// holds, or for what the client has not named.
func (s *Server) refused(ctx context.Context, c *etcd.Conflict, field string, old *stored, d *configv1.Distribution) (again bool, err error) {
	if slices.Contains(c.Failed, conditionVersion) {
		now, err := s.read(ctx, old.id)
		if err != nil {
			return false, err // among others: deleted since
		}
		return false, stale(field, now)
	}
	if err := taken(c, d); err != nil {
		return false, err
	}
	return true, moving(c)
}
