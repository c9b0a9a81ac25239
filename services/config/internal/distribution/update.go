// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// UpdateDistribution checks and writes a change.
func (s *Server) UpdateDistribution(ctx context.Context, req *configv1.UpdateDistributionRequest) (*configv1.UpdateDistributionResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	if req.GetDistribution() == nil {
		return nil, required("distribution")
	}
	id, err := parseName(fieldPrefix+"name", req.GetDistribution().GetName())
	if err != nil {
		return nil, err
	}
	out, err := s.run(ctx, "UpdateDistribution", fieldPrefix, req, func(c call) (*outcome, bool, error) {
		return s.change(ctx, c, change{
			id: id, etag: req.GetDistribution().GetEtag(), field: fieldPrefix + "etag",
			next: func(old *stored, _ *write) (*configv1.Distribution, error) {
				d, vs := rules.MergeDistribution(old.d, req.GetDistribution(), req.GetUpdateMask())
				return d, collection.BadFields("", vs)
			},
		})
	})
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateDistributionResponse{Distribution: s.result(ctx, out), Warnings: out.warnings}, nil
}
