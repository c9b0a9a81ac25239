// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// CreateDistribution checks and writes a new distribution (C8.47).
func (s *Server) CreateDistribution(ctx context.Context, req *configv1.CreateDistributionRequest) (*configv1.CreateDistributionResponse, error) {
	if err := unsupported(req); err != nil {
		return nil, err
	}
	if req.GetDistribution() == nil {
		return nil, required("distribution")
	}
	d := proto.CloneOf(req.GetDistribution())
	clearOutput(d)
	d.Name, d.Uid, d.DomainName, d.CreateTime, d.UpdateTime = "", "", "", nil, nil
	if err := s.checkFields(d); err != nil {
		return nil, err
	}
	var made *stored
	var warnings []string
	err := records.Retry(ctx, func() (again bool, err error) {
		made, warnings, again, err = s.create(ctx, proto.CloneOf(d))
		return again, err
	})
	if err != nil {
		return nil, err
	}
	return &configv1.CreateDistributionResponse{Distribution: s.show(ctx, made, 0), Warnings: warnings}, nil
}

// create is one attempt to write d, which is valid by itself. again says that it
// failed for a reason that may have passed.
func (s *Server) create(ctx context.Context, d *configv1.Distribution) (made *stored, warnings []string, again bool, err error) {
	id, label, now := keys.NewDistributionID(), keys.NewLabel(), timestamppb.Now()
	d.Name, d.Uid, d.DomainName = keys.Distributions.Name(id), uuid.NewString(), label+"."+s.baseDomain
	d.CreateTime, d.UpdateTime = now, now
	deps, err := s.checkReferences(ctx, d) // knows by domain_name what is our own (C5.12)
	if err != nil {
		return nil, nil, false, err
	}
	if err := compile(id, d); err != nil {
		return nil, nil, false, err
	}
	if err := s.checkQuota(ctx); err != nil {
		return nil, nil, false, err
	}
	reference := keys.CallerReference(keys.Distributions, d.GetCallerReference())
	rec := records.Next(ctx, records.Version{})
	w := s.write(id)
	w.tx.Absent(conditionReference, reference)
	w.tx.Absent(conditionID, w.key())
	w.tx.Absent(conditionLabel, keys.Label(label))
	w.claim(reference, false)
	w.claim(keys.Label(label), false)
	w.aliases(nil, d.GetConfig().GetAliases())
	w.pins(deps.pins)
	w.record(rec, d)
	if err := w.ready(); err != nil {
		return nil, nil, false, err
	}
	version, err := records.Commit(ctx, s.kv, w.tx, w.key(), rec)
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		if err := taken(conflict, d); err != nil {
			return nil, nil, false, err
		}
		return nil, nil, true, moving(conflict)
	}
	if err != nil {
		return nil, nil, false, err
	}
	return &stored{id, version, d}, advice(d, deps.origins), false, nil
}

// required is the error for a message that has to be there.
func required(field string) error {
	return badFields("", []rules.Violation{{Field: field, Reason: apierr.ReasonInvalid, Description: "is required"}})
}
