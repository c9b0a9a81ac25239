// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/query"
)

// ListDistributions returns a page of the distributions that a filter takes. A filter
// by alias is one read; by reference it goes through those who hold it; any other looks
// at every distribution, page by page.
func (s *Server) ListDistributions(ctx context.Context, req *configv1.ListDistributionsRequest) (*configv1.ListDistributionsResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	size, vs := rules.PageSize(req.GetPageSize())
	q, bad := query.Parse(req.GetFilter())
	vs = append(vs, bad...)
	listing := records.ListRequest{
		Method: "ListDistributions", Prefix: keys.Distributions.Prefix(), PageSize: size, Token: req.GetPageToken(), Filter: q.String(),
	}
	if prefix := q.Referrers(); prefix != "" {
		listing.Prefix = prefix
	}
	found := prefixed("", vs)
	if len(bad) == 0 {
		found = append(found, listing.Check()...)
	}
	if err := orNil(apierr.BadFields(found)); err != nil {
		return nil, err
	}
	if err := q.CheckTargets(ctx, s.kv); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, indexPatience) // for the page, not for each
	defer cancel()
	build := func(item records.Item) (*configv1.Distribution, error) {
		d := &configv1.Distribution{}
		if err := item.Into(d); err != nil {
			return nil, err
		}
		if !q.Takes(d) {
			return nil, records.ErrSkip
		}
		_, id := keys.Parse(item.Key)
		shown := s.show(waiting, &stored{id: id, version: item.Version, d: d}, 0)
		if !q.TakesState(shown.GetDeployment().GetState()) {
			return nil, records.ErrSkip
		}
		return shown, nil
	}
	page, next, err := s.list(ctx, q, listing, build)
	if err != nil {
		return nil, err
	}
	return &configv1.ListDistributionsResponse{Distributions: page, NextPageToken: next}, nil
}

func (s *Server) list(ctx context.Context, q query.Query, listing records.ListRequest, build func(records.Item) (*configv1.Distribution, error)) (page []*configv1.Distribution, next string, err error) {
	switch {
	case q.Alias() != "":
		return s.listHolder(ctx, q.Alias(), listing, build)
	case q.Referrers() != "":
		return records.ListNamed(ctx, s.kv, listing, func(key string) string {
			collection, id, err := keys.ParseRef(key)
			if err != nil || collection != keys.Distributions {
				return ""
			}
			return keys.Resource(keys.Distributions, id)
		}, build)
	}
	return records.List(ctx, s.kv, listing, build)
}

// listHolder is the listing of the one distribution that has an alias.
func (s *Server) listHolder(ctx context.Context, alias string, listing records.ListRequest, build func(records.Item) (*configv1.Distribution, error)) (page []*configv1.Distribution, next string, err error) {
	if listing.Token != "" { // there is one page
		return nil, "", nil
	}
	id, _, err := s.claimant(ctx, alias)
	if err != nil || id == "" {
		return nil, "", err
	}
	err = records.Each(ctx, s.kv, []string{keys.Resource(keys.Distributions, id)}, 0, func(item records.Item) error {
		d, err := build(item)
		if err == nil {
			page = append(page, d)
		}
		if errors.Is(err, records.ErrSkip) {
			return nil
		}
		return err
	})
	return page, "", err
}
