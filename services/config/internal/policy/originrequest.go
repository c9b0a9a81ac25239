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

// OriginRequest is a configv1.OriginRequestPolicyServiceServer.
type OriginRequest struct {
	configv1.UnimplementedOriginRequestPolicyServiceServer
	c *collection.Collection[*configv1.OriginRequestPolicy]
}

// NewOriginRequest makes the service. most is how many custom policies there may be (C4.29),
// limits how much each may hold.
func NewOriginRequest(kv clientv3.KV, requests *records.Requests, most int64, limits fields.Items) *OriginRequest {
	return &OriginRequest{c: collection.New(kv, requests, collection.Kind[*configv1.OriginRequestPolicy]{
		Collection: keys.OriginRequestPolicies, Field: "origin_request_policy", Noun: "origin request policy", Most: most,
		Missing: "NO_SUCH_ORIGIN_REQUEST_POLICY",        // C2.193
		Taken:   "ORIGIN_REQUEST_POLICY_ALREADY_EXISTS", // C2.210
		Held:    "ORIGIN_REQUEST_POLICY_IN_USE",         // C2.227
		TooMany: "TOO_MANY_ORIGIN_REQUEST_POLICIES",     // C2.300
		NewID:   uuid.NewString,
		Name:    (*configv1.OriginRequestPolicy).GetDisplayName, NameField: "display_name",
		Default:   fields.DefaultOriginRequest,
		Check:     func(p *configv1.OriginRequestPolicy) []rules.Violation { return fields.CheckOriginRequest(p, limits) },
		Warn:      fields.OriginRequestWarnings,
		Updatable: []protoreflect.Name{"labels", "display_name", "comment", "headers", "cookies", "query_strings"},
		Show: func(_ context.Context, p *configv1.OriginRequestPolicy, _ records.Version) error {
			p.Type = configv1.OriginRequestPolicy_TYPE_CUSTOM
			return nil
		},
		Managed: managed.OriginRequestPolicies(),
	})}
}

// GetOriginRequestPolicy returns one policy.
func (s *OriginRequest) GetOriginRequestPolicy(ctx context.Context, req *configv1.GetOriginRequestPolicyRequest) (*configv1.GetOriginRequestPolicyResponse, error) {
	p, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetOriginRequestPolicyResponse{OriginRequestPolicy: p}, nil
}

// ListOriginRequestPolicies returns a page.
func (s *OriginRequest) ListOriginRequestPolicies(ctx context.Context, req *configv1.ListOriginRequestPoliciesRequest) (*configv1.ListOriginRequestPoliciesResponse, error) {
	only, bad := origin(req.GetType())
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.OriginRequestPolicy]{
		Method: "ListOriginRequestPolicies", PageSize: req.GetPageSize(), Token: req.GetPageToken(), Only: only, Bad: bad,
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListOriginRequestPoliciesResponse{OriginRequestPolicies: page, NextPageToken: next}, nil
}

// CreateOriginRequestPolicy checks and writes a new policy.
func (s *OriginRequest) CreateOriginRequestPolicy(ctx context.Context, req *configv1.CreateOriginRequestPolicyRequest) (*configv1.CreateOriginRequestPolicyResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetOriginRequestPolicy(), "", collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.CreateOriginRequestPolicyResponse{OriginRequestPolicy: made, Warnings: warnings}, nil
}

// UpdateOriginRequestPolicy checks and writes a change.
func (s *OriginRequest) UpdateOriginRequestPolicy(ctx context.Context, req *configv1.UpdateOriginRequestPolicyRequest) (*configv1.UpdateOriginRequestPolicyResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetOriginRequestPolicy(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateOriginRequestPolicyResponse{OriginRequestPolicy: made, Warnings: warnings}, nil
}

// DeleteOriginRequestPolicy removes a policy that nothing refers to (C1.55).
func (s *OriginRequest) DeleteOriginRequestPolicy(ctx context.Context, req *configv1.DeleteOriginRequestPolicyRequest) (*configv1.DeleteOriginRequestPolicyResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteOriginRequestPolicyResponse{}, nil
}
