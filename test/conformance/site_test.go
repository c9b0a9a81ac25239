// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/fleet"
)

// Policies of the distributions under test. The environment may name others.
const (
	cachePolicyEnv   = "SEAFRONT_CACHE_POLICY"
	requestPolicyEnv = "SEAFRONT_ORIGIN_REQUEST_POLICY"
	allViewer        = "originRequestPolicies/216adef6-5c7f-47e4-b989-5492eafa07d3"
)

// edge is an edge with its control plane.
type edge struct {
	*fleet.Edge
	control *fleet.Control
	policy  string // a cache policy with the semantics of HTTP
}

// startEdge runs an edge with its default limits.
func startEdge(t *testing.T) *edge {
	t.Helper()
	c := fleet.Start(t, 0)
	e := &edge{control: c, Edge: c.Edge(t, fleet.Spec{ID: "conformance", Env: []string{"SEAFRONT_LOG_LEVEL=warn"}})}
	e.policy = os.Getenv(cachePolicyEnv)
	if e.policy == "" {
		e.policy = e.httpPolicy(t)
	}
	return e
}

// httpPolicy creates a cache policy with the semantics of HTTP, whole query strings and
// no lifetimes of its own.
func (e *edge) httpPolicy(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	res, err := e.control.API.Policies.CreateCachePolicy(ctx, &configv1.CreateCachePolicyRequest{CachePolicy: &configv1.CachePolicy{
		DisplayName: "conformance", Semantics: configv1.CacheSemantics_CACHE_SEMANTICS_HTTP,
		MinTtl: durationpb.New(0), DefaultTtl: durationpb.New(0), MaxTtl: durationpb.New(365 * 24 * time.Hour),
		QueryStrings: &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_ALL},
	}})
	if err != nil {
		t.Fatalf("a cache policy with the semantics of HTTP: %v", err)
	}
	return res.GetCachePolicy().GetName()
}

// site creates a distribution that passes on every method and header in front of the
// origin at address, with a cache policy, and returns its host.
func (e *edge) site(t *testing.T, reference, address, policy string) string {
	t.Helper()
	config := control.Site(fleet.Origin(t, address))
	b := config.GetDefaultCacheBehavior()
	b.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: policy}
	b.AllowedMethods = configv1.MethodSet_METHOD_SET_ANY
	if policy != e.policy { // other methods are for the semantics of HTTP
		b.AllowedMethods = configv1.MethodSet_METHOD_SET_ALL
	}
	if b.OriginRequestPolicy = os.Getenv(requestPolicyEnv); b.OriginRequestPolicy == "" {
		b.OriginRequestPolicy = allViewer
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := e.control.API.Distributions.CreateDistribution(ctx, &configv1.CreateDistributionRequest{
		ValidateOnly: true, Distribution: &configv1.Distribution{CallerReference: reference, Config: config},
	})
	if status.Code(err) == codes.Unimplemented {
		t.Logf("%s without an origin request policy: %v", reference, err)
		b.OriginRequestPolicy = ""
	}
	return e.control.Site(t, reference, config)
}
