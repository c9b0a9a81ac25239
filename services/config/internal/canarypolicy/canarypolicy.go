// SPDX-License-Identifier: Apache-2.0

// Package canarypolicy is the ContinuousDeploymentPolicyService: it keeps the rules by
// which requests go to staging distributions (C1.3). One staging distribution has one
// policy (C8.56). Attaching a policy to a primary distribution is not offered yet.
package canarypolicy

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/canary"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Reasons of errors.
const (
	reasonMissing            = "NO_SUCH_CONTINUOUS_DEPLOYMENT_POLICY"        // C2.195
	reasonTaken              = "CONTINUOUS_DEPLOYMENT_POLICY_ALREADY_EXISTS" // C2.212
	reasonHeld               = "CONTINUOUS_DEPLOYMENT_POLICY_IN_USE"         // C1.53, C2.229
	reasonStagingInUse       = "STAGING_DISTRIBUTION_IN_USE"                 // C2.230
	reasonNoSuchDistribution = "NO_SUCH_DISTRIBUTION"                        // C2.188
	reasonTooMany            = "TOO_MANY_CONTINUOUS_DEPLOYMENT_POLICIES"     // C2.302
)

// field is the field of requests that holds the policy.
const field = "continuous_deployment_policy"

// Server is a configv1.ContinuousDeploymentPolicyServiceServer.
type Server struct {
	configv1.UnimplementedContinuousDeploymentPolicyServiceServer
	c  *collection.Collection[*configv1.ContinuousDeploymentPolicy]
	kv clientv3.KV
}

// New makes the service. most is how many policies there may be (C4.37), headerPrefix
// what the names of their headers begin with (C2.159).
func New(kv clientv3.KV, requests *records.Requests, most int64, headerPrefix string) *Server {
	return &Server{kv: kv, c: collection.New(kv, requests, collection.Kind[*configv1.ContinuousDeploymentPolicy]{
		Collection: keys.ContinuousDeploymentPolicies, Field: field, Noun: "continuous deployment policy",
		Missing: reasonMissing, Taken: reasonTaken, Held: reasonHeld, TooMany: reasonTooMany, Most: most,
		NewID: uuid.NewString,
		Check: func(p *configv1.ContinuousDeploymentPolicy) []rules.Violation {
			return canary.CheckPolicy(p, headerPrefix)
		},
		// One policy for each staging distribution (C8.56).
		Name:      (*configv1.ContinuousDeploymentPolicy).GetStagingDistribution,
		NameField: "staging_distribution",
		Warn:      canary.Warnings,
		Refs:      refs,
		Join:      join,
		Updatable: []protoreflect.Name{"labels", "staging_distribution", "enabled", "weight", "header"},
	})}
}

// GetContinuousDeploymentPolicy returns one.
func (s *Server) GetContinuousDeploymentPolicy(ctx context.Context, req *configv1.GetContinuousDeploymentPolicyRequest) (*configv1.GetContinuousDeploymentPolicyResponse, error) {
	m, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetContinuousDeploymentPolicyResponse{ContinuousDeploymentPolicy: m}, nil
}

// ListContinuousDeploymentPolicies returns a page.
func (s *Server) ListContinuousDeploymentPolicies(ctx context.Context, req *configv1.ListContinuousDeploymentPoliciesRequest) (*configv1.ListContinuousDeploymentPoliciesResponse, error) {
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.ContinuousDeploymentPolicy]{
		Method: "ListContinuousDeploymentPolicies", PageSize: req.GetPageSize(), Token: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListContinuousDeploymentPoliciesResponse{ContinuousDeploymentPolicies: page, NextPageToken: next}, nil
}

// CreateContinuousDeploymentPolicy checks and writes a new one.
func (s *Server) CreateContinuousDeploymentPolicy(ctx context.Context, req *configv1.CreateContinuousDeploymentPolicyRequest) (*configv1.CreateContinuousDeploymentPolicyResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetContinuousDeploymentPolicy(), "", collection.Of(req))
	if err != nil {
		return nil, s.inUse(ctx, err, req.GetContinuousDeploymentPolicy())
	}
	return &configv1.CreateContinuousDeploymentPolicyResponse{ContinuousDeploymentPolicy: made, Warnings: warnings}, nil
}

// UpdateContinuousDeploymentPolicy checks and writes a change.
func (s *Server) UpdateContinuousDeploymentPolicy(ctx context.Context, req *configv1.UpdateContinuousDeploymentPolicyRequest) (*configv1.UpdateContinuousDeploymentPolicyResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetContinuousDeploymentPolicy(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, s.inUse(ctx, err, nil)
	}
	return &configv1.UpdateContinuousDeploymentPolicyResponse{ContinuousDeploymentPolicy: made, Warnings: warnings}, nil
}

// DeleteContinuousDeploymentPolicy removes one that nothing refers to.
func (s *Server) DeleteContinuousDeploymentPolicy(ctx context.Context, req *configv1.DeleteContinuousDeploymentPolicyRequest) (*configv1.DeleteContinuousDeploymentPolicyResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteContinuousDeploymentPolicyResponse{}, nil
}

// refs is the staging distribution (C1.43).
func refs(p *configv1.ContinuousDeploymentPolicy) []collection.Ref {
	id, bad := rules.ParseName("", keys.Distributions, p.GetStagingDistribution())
	if len(bad) > 0 {
		return nil
	}
	return []collection.Ref{{Collection: keys.Distributions, ID: id, Field: "staging_distribution", Reason: reasonNoSuchDistribution}}
}

// join demands that the distribution is a staging one (C2.154), which never changes.
func join(_ context.Context, p *configv1.ContinuousDeploymentPolicy, c *collection.Company) ([]rules.Violation, error) {
	var d configv1.Distribution
	if err := c.Targets[p.GetStagingDistribution()].Into(&d); err != nil || d.GetStaging() {
		return nil, err
	}
	return []rules.Violation{{
		Field: "staging_distribution", Reason: rules.ReasonInvalid, Description: "is no staging distribution; CopyDistribution makes one",
	}}, nil
}

// inUse makes of the error that the staging distribution has a policy what callers
// know: its policy says the same (C2.212), or another thing (C2.230).
func (s *Server) inUse(ctx context.Context, err error, asked *configv1.ContinuousDeploymentPolicy) error {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Reason != reasonTaken {
		return err
	}
	holder, readErr := s.holder(ctx, e.Metadata["value"])
	if readErr != nil {
		return readErr
	}
	if holder == nil { // deleted meanwhile
		return apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "the policy of %s is being changed at the same time; try again", e.Metadata["value"])
	}
	if asked != nil && same(asked, holder) {
		return e.With("holder", holder.GetName())
	}
	return apierr.New(apierr.Precondition, reasonStagingInUse, "%s has the policy %s already", holder.GetStagingDistribution(), holder.GetName()).
		At(field+".staging_distribution").With("resource", holder.GetStagingDistribution()).With("holder", holder.GetName())
}

// holder is the policy of a staging distribution, nil when it has none.
func (s *Server) holder(ctx context.Context, staging string) (*configv1.ContinuousDeploymentPolicy, error) {
	res, err := s.kv.Get(ctx, keys.UniqueName(keys.ContinuousDeploymentPolicies, staging))
	if err != nil {
		return nil, etcd.Fault(err)
	}
	if len(res.Kvs) == 0 {
		return nil, nil
	}
	var claim storev1.NameClaim
	if err := keys.Decode(res.Kvs[0].Value, &claim); err != nil {
		return nil, fmt.Errorf("claim of %s: %w", staging, err)
	}
	p, err := s.c.Get(ctx, keys.ContinuousDeploymentPolicies.Name(claim.GetId()))
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.NotFound {
		return nil, nil
	}
	return p, err
}

func same(a, b *configv1.ContinuousDeploymentPolicy) bool {
	return a.GetEnabled() == b.GetEnabled() && proto.Equal(a.GetWeight(), b.GetWeight()) && proto.Equal(a.GetHeader(), b.GetHeader())
}
