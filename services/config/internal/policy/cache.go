// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	fields "github.com/seafront-cdn/seafront/pkg/cdn/rules/policy"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Cache is a configv1.CachePolicyServiceServer.
type Cache struct {
	configv1.UnimplementedCachePolicyServiceServer
	c *collection.Collection[*configv1.CachePolicy]
}

// NewCache makes the service. most is how many custom policies there may be (C4.29),
// limits how much each may hold.
func NewCache(kv clientv3.KV, requests *records.Requests, most int64, limits fields.Items) *Cache {
	return &Cache{c: collection.New(kv, requests, collection.Kind[*configv1.CachePolicy]{
		Collection: keys.CachePolicies, Field: "cache_policy", Noun: "cache policy", Most: most,
		Missing: "NO_SUCH_CACHE_POLICY",        // C2.192
		Taken:   "CACHE_POLICY_ALREADY_EXISTS", // C2.209
		Held:    "CACHE_POLICY_IN_USE",         // C2.226
		TooMany: "TOO_MANY_CACHE_POLICIES",     // C2.299
		NewID:   uuid.NewString,
		Name:    (*configv1.CachePolicy).GetDisplayName, NameField: "display_name",
		Default: fields.DefaultCache,
		Check:   func(p *configv1.CachePolicy) []rules.Violation { return fields.CheckCache(p, limits) },
		Warn:    fields.CacheWarnings,
		Join:    checkReferrers,
		Updatable: []protoreflect.Name{
			"labels", "display_name", "comment", "min_ttl", "default_ttl", "max_ttl", "accept_encoding_gzip",
			"accept_encoding_brotli", "headers", "cookies", "query_strings", "semantics", "heuristic_freshness", "cache_status",
		},
		Show: func(_ context.Context, p *configv1.CachePolicy, _ records.Version) error {
			p.Type = configv1.CachePolicy_TYPE_CUSTOM
			return nil
		},
		Managed: managed.CachePolicies(),
	})}
}

// GetCachePolicy returns one policy.
func (s *Cache) GetCachePolicy(ctx context.Context, req *configv1.GetCachePolicyRequest) (*configv1.GetCachePolicyResponse, error) {
	p, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetCachePolicyResponse{CachePolicy: p}, nil
}

// ListCachePolicies returns a page.
func (s *Cache) ListCachePolicies(ctx context.Context, req *configv1.ListCachePoliciesRequest) (*configv1.ListCachePoliciesResponse, error) {
	only, bad := origin(req.GetType())
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.CachePolicy]{
		Method: "ListCachePolicies", PageSize: req.GetPageSize(), Token: req.GetPageToken(), Only: only, Bad: bad,
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListCachePoliciesResponse{CachePolicies: page, NextPageToken: next}, nil
}

// CreateCachePolicy checks and writes a new policy.
func (s *Cache) CreateCachePolicy(ctx context.Context, req *configv1.CreateCachePolicyRequest) (*configv1.CreateCachePolicyResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetCachePolicy(), "", collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.CreateCachePolicyResponse{CachePolicy: made, Warnings: warnings}, nil
}

// UpdateCachePolicy checks and writes a change.
func (s *Cache) UpdateCachePolicy(ctx context.Context, req *configv1.UpdateCachePolicyRequest) (*configv1.UpdateCachePolicyResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetCachePolicy(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateCachePolicyResponse{CachePolicy: made, Warnings: warnings}, nil
}

// DeleteCachePolicy removes a policy that nothing refers to (C1.54).
func (s *Cache) DeleteCachePolicy(ctx context.Context, req *configv1.DeleteCachePolicyRequest) (*configv1.DeleteCachePolicyResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteCachePolicyResponse{}, nil
}
