// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// ListConflictingAliases returns a page of the aliases that a name is the same as, or
// overlaps with (C3.54). The claims on host names lie in the order of their labels from
// the right, so that what a wildcard covers is one range, and what covers a name is a
// few keys (C8.45).
func (s *Server) ListConflictingAliases(ctx context.Context, req *configv1.ListConflictingAliasesRequest) (*configv1.ListConflictingAliasesResponse, error) {
	id, vs := rules.ParseName("parent", keys.Distributions, req.GetParent())
	vs = append(vs, checkAlias("alias", req.GetAlias(), s.limits.BaseDomain)...)
	size, bad := rules.PageSize(req.GetPageSize())
	listing := records.ListRequest{
		Method: "ListConflictingAliases", Prefix: keys.Hosts, PageSize: size, Token: req.GetPageToken(), Filter: req.GetAlias(),
	}
	var names []string // nil: whatever is in the range
	if strings.HasPrefix(req.GetAlias(), "*.") {
		listing.Prefix = keys.HostsBelow(req.GetAlias())
	} else {
		names = coveringKeys(req.GetAlias())
	}
	found := prefixed("", append(vs, bad...))
	if len(vs) == 0 {
		found = append(found, listing.Check()...)
	}
	if err := orNil(apierr.BadFields(found)); err != nil {
		return nil, err
	}
	if _, err := s.read(ctx, id); err != nil {
		return nil, err
	}
	page, next, err := records.ListPairs(ctx, s.kv, listing, names, conflicting)
	if err != nil {
		return nil, err
	}
	return &configv1.ListConflictingAliasesResponse{Conflicts: page, NextPageToken: next}, nil
}

// coveringKeys are the keys of an exact name and of every wildcard that covers it, in
// their order.
func coveringKeys(name string) []string {
	out := []string{keys.Host(name)}
	for parent := range hostname.Parents(name) {
		out = append(out, keys.Host("*."+parent))
	}
	slices.Sort(out)
	return out
}

func conflicting(p records.Pair) (*configv1.ConflictingAlias, error) {
	var claim storev1.Claim
	if err := keys.Decode(p.Value, &claim); err != nil {
		return nil, unreadable(p.Key, err)
	}
	alias, err := keys.ParseHost(p.Key)
	if err != nil {
		return nil, unreadable(p.Key, err)
	}
	return &configv1.ConflictingAlias{Alias: alias, Resource: keys.Distributions.Name(claim.GetDistribution())}, nil
}
