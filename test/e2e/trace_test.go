// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
	"github.com/seafront-cdn/seafront/test/otlp"
)

// traceTimeout bounds the way of the last span of a trace to the sink.
const traceTimeout = 30 * time.Second

// The span trees of design 3.6 and 3.10, by name.
const (
	missTree = `request
  receive
  match
  admit
  key
  lookup
  fetch
    origin fetch
  deliver
  record
`
	hitTree = `request
  receive
  match
  admit
  key
  lookup
  deliver
  record
`
)

// TestTracesOfViewers follows a miss to the origin, and a hit.
func TestTracesOfViewers(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	d := f.site(t, "traces-of-viewers")
	e := f.edges[0]
	for _, tt := range []struct{ cache, want string }{{"Miss", missTree}, {"Hit", hitTree}} {
		id, parent := newTrace()
		a := viewer.Get(t, e.http, d.GetDomainName(), "/page", "traceparent: "+parent)
		viewer.Want(t, tt.cache, a, 200, tt.cache)
		tree := f.sink.Await(t, id, traceTimeout, func(tree *otlp.Tree) bool {
			return len(tree.All("request")) == 1 && len(tree.All("record")) == 1 && (tt.cache == "Hit" || len(tree.All("origin fetch")) == 1)
		})
		t.Logf("a %s:\n%s", tt.cache, tree)
		if diff := cmp.Diff(tt.want, tree.Outline()); diff != "" {
			t.Errorf("%s: span tree (-want +got):\n%s", tt.cache, diff)
		}
		request := tree.Roots[0]
		if got := request.Attributes["distribution"]; "distributions/"+got != d.GetName() {
			t.Errorf("%s: attribute distribution = %q, want that of %s", tt.cache, got, d.GetName())
		}
		if request.Attributes["outcome"] != strings.ToLower(tt.cache) || request.Instance != "edge-1" {
			t.Errorf("%s: outcome %q of instance %q", tt.cache, request.Attributes["outcome"], request.Instance)
		}
		if tt.cache == "Miss" {
			fetch := tree.All("origin fetch")[0]
			if want := "00-" + id + "-" + fetch.ID + "-01"; f.origin.traceparent("/page") != want {
				t.Errorf("the origin got traceparent %q, want %q", f.origin.traceparent("/page"), want)
			}
		}
	}
}

// TestTraceOfAnUpdate follows one update from the RPC through the registry and etcd
// into every edge.
func TestTraceOfAnUpdate(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	d := f.shared(t, "trace-of-an-update")
	id, parent := newTrace()
	f.api.Update(traced(t.Context(), parent), t, d.GetName(), func(c *configv1.DistributionConfig) {
		c.CacheBehaviors = []*configv1.CacheBehavior{control.Behavior("/news/*", "site", control.CachingDisabled)}
	}, "cache_behaviors")
	f.api.Watch(t, d.GetName(), deployTimeout)
	const update, resolve = "seafront.config.v1.DistributionService/UpdateDistribution", "seafront.origin.v1.OriginService/ResolveOrigins"
	tree := f.sink.Await(t, id, traceTimeout, func(tree *otlp.Tree) bool {
		return len(tree.All("apply")) >= len(f.edges) && len(tree.All(update)) > 0 && len(tree.All(resolve)) == 2
	})
	t.Logf("an update through %d edges:\n%s", len(f.edges), tree)
	if len(tree.Roots) != 1 || tree.Roots[0].Name != update || tree.Roots[0].Service != "seafront-config" {
		t.Fatalf("the trace does not begin with the RPC in config:\n%s", tree)
	}
	root := tree.Roots[0]
	asked := slices.ContainsFunc(root.All(resolve), func(n *otlp.Node) bool { return n.Service == "seafront-origin-registry" })
	if !asked {
		t.Errorf("config's question does not appear in origin-registry:\n%s", tree)
	}
	if len(root.All("etcd txn")) == 0 {
		t.Errorf("the transaction is missing:\n%s", tree)
	}
	var edges []string
	for _, n := range root.All("apply") {
		edges = append(edges, n.Instance)
	}
	slices.Sort(edges)
	if diff := cmp.Diff([]string{"edge-1", "edge-2", "edge-3"}, edges); diff != "" {
		t.Errorf("edges that applied (-want +got):\n%s", diff)
	}
}
