// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// ExportDistribution returns a distribution in the company of what it refers to
// (C6.21). What is deleted between two of its reads is left out.
func (s *Server) ExportDistribution(ctx context.Context, req *configv1.ExportDistributionRequest) (*configv1.ExportDistributionResponse, error) {
	id, err := parseName("name", req.GetName())
	if err != nil {
		return nil, err
	}
	st, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	deps, err := s.readReferences(ctx, st.d)
	if err != nil {
		return nil, err
	}
	d := s.show(ctx, st, 0)
	clearOutput(d)
	d.Etag = st.version.ETag()
	out := &configv1.ExportDistributionResponse{Distribution: d}
	for _, id := range slices.Sorted(maps.Keys(deps.policies)) {
		p := proto.CloneOf(deps.policies[id])
		p.Name = keys.CachePolicies.Name(id)
		out.CachePolicies = append(out.CachePolicies, p)
	}
	for _, id := range slices.Sorted(maps.Keys(deps.requests)) {
		p := proto.CloneOf(deps.requests[id])
		p.Name = keys.OriginRequestPolicies.Name(id)
		out.OriginRequestPolicies = append(out.OriginRequestPolicies, p)
	}
	for _, id := range slices.Sorted(maps.Keys(deps.origins)) {
		out.Origins = append(out.Origins, deps.origins[id])
	}
	return out, nil
}
