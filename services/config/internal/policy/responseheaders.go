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

// ResponseHeaders is a configv1.ResponseHeadersPolicyServiceServer.
type ResponseHeaders struct {
	configv1.UnimplementedResponseHeadersPolicyServiceServer
	c *collection.Collection[*configv1.ResponseHeadersPolicy]
}

// NewResponseHeaders makes the service. most is how many custom policies there may be (C4.29),
// limits how much each may hold.
func NewResponseHeaders(kv clientv3.KV, requests *records.Requests, most int64, limits fields.Response) *ResponseHeaders {
	return &ResponseHeaders{c: collection.New(kv, requests, collection.Kind[*configv1.ResponseHeadersPolicy]{
		Collection: keys.ResponseHeadersPolicies, Field: "response_headers_policy", Noun: "response headers policy", Most: most,
		Missing: "NO_SUCH_RESPONSE_HEADERS_POLICY",        // C2.194
		Taken:   "RESPONSE_HEADERS_POLICY_ALREADY_EXISTS", // C2.211
		Held:    "RESPONSE_HEADERS_POLICY_IN_USE",         // C2.228
		TooMany: "TOO_MANY_RESPONSE_HEADERS_POLICIES",     // C2.301
		NewID:   uuid.NewString,
		Name:    (*configv1.ResponseHeadersPolicy).GetDisplayName, NameField: "display_name",
		Check: func(p *configv1.ResponseHeadersPolicy) []rules.Violation {
			return fields.CheckResponseHeaders(p, limits)
		},
		Warn: fields.ResponseHeadersWarnings,
		Updatable: []protoreflect.Name{
			"labels", "display_name", "comment", "cors", "security", "custom_headers", "remove_headers", "server_timing",
		},
		Show: func(_ context.Context, p *configv1.ResponseHeadersPolicy, _ records.Version) error {
			p.Type = configv1.ResponseHeadersPolicy_TYPE_CUSTOM
			return nil
		},
		Managed: managed.ResponseHeadersPolicies(),
	})}
}

// GetResponseHeadersPolicy returns one policy.
func (s *ResponseHeaders) GetResponseHeadersPolicy(ctx context.Context, req *configv1.GetResponseHeadersPolicyRequest) (*configv1.GetResponseHeadersPolicyResponse, error) {
	p, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetResponseHeadersPolicyResponse{ResponseHeadersPolicy: p}, nil
}

// ListResponseHeadersPolicies returns a page.
func (s *ResponseHeaders) ListResponseHeadersPolicies(ctx context.Context, req *configv1.ListResponseHeadersPoliciesRequest) (*configv1.ListResponseHeadersPoliciesResponse, error) {
	only, bad := origin(req.GetType())
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.ResponseHeadersPolicy]{
		Method: "ListResponseHeadersPolicies", PageSize: req.GetPageSize(), Token: req.GetPageToken(), Only: only, Bad: bad,
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListResponseHeadersPoliciesResponse{ResponseHeadersPolicies: page, NextPageToken: next}, nil
}

// CreateResponseHeadersPolicy checks and writes a new policy.
func (s *ResponseHeaders) CreateResponseHeadersPolicy(ctx context.Context, req *configv1.CreateResponseHeadersPolicyRequest) (*configv1.CreateResponseHeadersPolicyResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetResponseHeadersPolicy(), "", collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.CreateResponseHeadersPolicyResponse{ResponseHeadersPolicy: made, Warnings: warnings}, nil
}

// UpdateResponseHeadersPolicy checks and writes a change.
func (s *ResponseHeaders) UpdateResponseHeadersPolicy(ctx context.Context, req *configv1.UpdateResponseHeadersPolicyRequest) (*configv1.UpdateResponseHeadersPolicyResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetResponseHeadersPolicy(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateResponseHeadersPolicyResponse{ResponseHeadersPolicy: made, Warnings: warnings}, nil
}

// DeleteResponseHeadersPolicy removes a policy that nothing refers to (C1.56).
func (s *ResponseHeaders) DeleteResponseHeadersPolicy(ctx context.Context, req *configv1.DeleteResponseHeadersPolicyRequest) (*configv1.DeleteResponseHeadersPolicyResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteResponseHeadersPolicyResponse{}, nil
}
