// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/forward"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func sending(d *configv1.Distribution, policy string) *configv1.Distribution {
	d.Config.DefaultCacheBehavior.OriginRequestPolicy = policy
	return d
}

func requestPolicy(names ...string) *configv1.OriginRequestPolicy {
	return &configv1.OriginRequestPolicy{Headers: &configv1.OriginRequestHeaders{Mode: configv1.OriginRequestHeaders_MODE_LISTED, Names: names}}
}

// policyAt is what a behavior of the default site sends.
func policyAt(t *testing.T, s *Snapshot) (*forward.Policy, bool) {
	t.Helper()
	d, ok := s.Match("www.x.test")
	if !ok {
		t.Fatal("no distribution")
	}
	return s.OriginRequestPolicy(d.Behavior("/"))
}

// TestOriginRequestPolicies: a changed policy takes its place and recompiles nothing
// (design 3.2), and one that cannot be used leaves its last version (C8.76).
func TestOriginRequestPolicies(t *testing.T) {
	s, _ := Empty().Apply(1, []Change{record(t, keys.Distributions, "1", 1, distribution("1", "o.test", optimized, "www.x.test"))})
	if p, ok := policyAt(t, s); p != nil || !ok {
		t.Errorf("C2.76: none is named: %v, %v", p, ok)
	}
	s, _ = s.Apply(2, []Change{record(t, keys.Distributions, "1", 2, sending(distribution("1", "o.test", optimized, "www.x.test"), "originRequestPolicies/mine"))})
	if _, ok := policyAt(t, s); ok {
		t.Error("one that is not there is found")
	}
	s, _ = s.Apply(3, []Change{record(t, keys.OriginRequestPolicies, "mine", 3, requestPolicy("X-A"))})
	if p, ok := policyAt(t, s); !ok || !p.Forwards("x-a") || p.Forwards("X-B") {
		t.Errorf("D11.22: %v, %v", p, ok)
	}
	s, report := s.Apply(4, []Change{record(t, keys.OriginRequestPolicies, "mine", 4, requestPolicy("X-B"))})
	if p, ok := policyAt(t, s); !ok || !p.Forwards("X-B") || report.Compiled != 0 {
		t.Errorf("design 3.2: %v, %v, %d distributions compiled", p, ok, report.Compiled)
	}
	s, report = s.Apply(5, []Change{record(t, keys.OriginRequestPolicies, "mine", 5, requestPolicy("CloudFront-Viewer-Country"))})
	if p, ok := policyAt(t, s); !ok || !p.Forwards("X-B") {
		t.Errorf("C8.76: %v, %v", p, ok)
	}
	if r := report.Applied[0].Rejected; r == nil || r.Reason != ReasonUnsupported || r.Resource != "originRequestPolicies/mine" {
		t.Errorf("what is not built is refused by name: %+v", r)
	}
	s, _ = s.Apply(6, []Change{{Key: keys.Resource(keys.OriginRequestPolicies, "mine"), Deleted: true, ModRevision: 6}})
	if _, ok := policyAt(t, s); ok {
		t.Error("a deleted policy is found")
	}
}

// TestManagedPolicies: every managed policy that a distribution can refer to is there.
func TestManagedPolicies(t *testing.T) {
	s := Empty()
	for _, p := range managed.CachePolicies() {
		_, ok := s.policies.get(p.GetUid())
		if built := len(rules.Unsupported(p)) == 0; ok != built {
			t.Errorf("D27.a: %s: there %v, built %v", p.GetDisplayName(), ok, built)
		}
	}
	for _, p := range managed.OriginRequestPolicies() {
		_, ok := s.requests.get(p.GetUid())
		if built := len(rules.Unsupported(p)) == 0; ok != built {
			t.Errorf("D27.b: %s: there %v, built %v", p.GetDisplayName(), ok, built)
		}
	}
	bad := sending(distribution("1", "o.test", optimized), "AllViewer")
	if _, err := CompileDistribution("1", 1, bad); err == nil {
		t.Error("C2.76: a name of another form compiles")
	}
}
