// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"cmp"
	"os"
	"testing"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/fleet"
)

// The managed policies of the distributions under test, StandardHTTP and
// TransparentProxy. The environment may name others.
const (
	cachePolicy   = "cachePolicies/5eaf9111-0000-4000-8000-000000000001"
	requestPolicy = "originRequestPolicies/5eaf9110-0000-4000-8000-000000000001"
)

// edge is an edge with its control plane.
type edge struct {
	*fleet.Edge
	control *fleet.Control
}

// startEdge runs an edge with its default limits.
func startEdge(t *testing.T) *edge {
	t.Helper()
	c := fleet.Start(t, 0)
	return &edge{control: c, Edge: c.Edge(t, fleet.Spec{ID: "conformance", Env: []string{"SEAFRONT_LOG_LEVEL=warn"}})}
}

// site creates a distribution that passes on every method and header in front of the
// origin at address, and returns its host.
func (e *edge) site(t *testing.T, reference, address string) string {
	t.Helper()
	config := control.Site(fleet.Origin(t, address))
	b := config.GetDefaultCacheBehavior()
	b.AllowedMethods = configv1.MethodSet_METHOD_SET_ANY
	b.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: cmp.Or(os.Getenv("SEAFRONT_CACHE_POLICY"), cachePolicy)}
	b.OriginRequestPolicy = cmp.Or(os.Getenv("SEAFRONT_ORIGIN_REQUEST_POLICY"), requestPolicy)
	return e.control.Site(t, reference, config)
}
