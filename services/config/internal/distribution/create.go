// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// CreateDistribution checks and writes a new distribution (C8.47).
func (s *Server) CreateDistribution(ctx context.Context, req *configv1.CreateDistributionRequest) (*configv1.CreateDistributionResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	if req.GetDistribution() == nil {
		return nil, required("distribution")
	}
	out, err := s.run(ctx, "CreateDistribution", fieldPrefix, req, func(c call) (*outcome, bool, error) {
		return s.create(ctx, c, proto.CloneOf(req.GetDistribution()), nil)
	})
	if err != nil {
		return nil, err
	}
	return &configv1.CreateDistributionResponse{Distribution: s.result(ctx, out), Warnings: out.warnings}, nil
}

// CopyDistribution makes a staging distribution of another one (C3.56).
func (s *Server) CopyDistribution(ctx context.Context, req *configv1.CopyDistributionRequest) (*configv1.CopyDistributionResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	id, vs := rules.ParseName("source", keys.Distributions, req.GetSource())
	vs = append(vs, rules.CheckCallerReference("caller_reference", req.GetCallerReference())...)
	if err := collection.BadFields("", append(vs, checkRequestID(req)...)); err != nil {
		return nil, err
	}
	out, err := s.run(ctx, "CopyDistribution", "", req, func(c call) (*outcome, bool, error) {
		source, err := s.read(ctx, id)
		if err != nil {
			return nil, false, err
		}
		if err := checkOptionalETag("source_etag", req.GetSourceEtag(), source); err != nil {
			return nil, false, err
		}
		config := proto.CloneOf(source.d.GetConfig())
		config.Aliases, config.ContinuousDeploymentPolicy = nil, ""
		config.Enabled = req.Enabled == nil || req.GetEnabled()
		return s.create(ctx, c, &configv1.Distribution{
			Labels: source.d.GetLabels(), CallerReference: req.GetCallerReference(), Staging: true, Config: config,
		}, source)
	})
	if err != nil {
		return nil, err
	}
	return &configv1.CopyDistributionResponse{Distribution: s.result(ctx, out), Warnings: out.warnings}, nil
}

// create is one attempt to write d, which becomes its own. Its secrets are those of
// source if that is not nil.
func (s *Server) create(ctx context.Context, c call, d *configv1.Distribution, source *stored) (out *outcome, again bool, err error) {
	clearOutput(d)
	d.Name, d.Uid, d.DomainName, d.CreateTime, d.UpdateTime = "", "", "", nil, nil
	id, label, now := keys.NewDistributionID(), keys.NewLabel(), timestamppb.Now()
	w := s.write(id)
	if err := w.keepsThoseOf(source); err != nil {
		return nil, false, err
	}
	if err := c.checkFields(d, w.limits(s.limits)); err != nil {
		return nil, false, err
	}
	d.Name, d.Uid, d.DomainName = keys.Distributions.Name(id), uuid.NewString(), label+"."+s.limits.BaseDomain
	d.CreateTime, d.UpdateTime = now, now
	deps, err := s.checkReferences(ctx, c.prefix, d) // knows by domain_name what is our own (C5.12)
	if err != nil {
		return nil, false, err
	}
	if err := compile(c.prefix, id, d); err != nil {
		return nil, false, err
	}
	if err := s.checkQuota(ctx, d.GetStaging()); err != nil {
		return nil, false, err
	}
	if err := s.checkSharing(ctx, c.prefix, nil, d); err != nil {
		return nil, false, err
	}
	reference := keys.CallerReference(keys.Distributions, d.GetCallerReference())
	rec := records.Next(ctx, records.Version{})
	w.tx.Absent(conditionReference, reference)
	w.tx.Absent(conditionID, w.key())
	w.tx.Absent(conditionLabel, keys.Label(label))
	w.claim(reference, false)
	w.claim(keys.Label(label), false)
	w.aliases(nil, d.GetConfig().GetAliases())
	w.pins(deps.pins)
	w.record(rec, d, s.versions)
	version, err := s.commit(ctx, c, w, rec)
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		if !slices.Contains(conflict.Failed, records.ConditionRequest) {
			if err := taken(c.prefix, conflict, d); err != nil {
				return nil, false, err
			}
		}
		return nil, true, moving(conflict)
	}
	if err != nil {
		return nil, false, err
	}
	if c.dry { // what only a write gives
		d.Name, d.Uid, d.DomainName, d.CreateTime, d.UpdateTime = "", "", "", nil, nil
	}
	return &outcome{&stored{id: id, version: version, d: d}, nil, advice(c.prefix, d, deps), c.dry}, false, nil
}

// required is the error for a message that has to be there.
func required(field string) error {
	return collection.BadFields("", []rules.Violation{{Field: field, Reason: apierr.ReasonInvalid, Description: "is required"}})
}
