// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

const (
	allViewer = "originRequestPolicies/216adef6-5c7f-47e4-b989-5492eafa07d3"
	// allWithCountry has headers that edges do not compute.
	allWithCountry = "originRequestPolicies/33f36d7e-f396-46d9-90e0-52428a34d9dc"
)

// sending is d with that origin request policy.
func sending(d *configv1.Distribution, policy string) *configv1.Distribution {
	d.Config.DefaultCacheBehavior.OriginRequestPolicy = policy
	return d
}

func (r replica) newRequestPolicy(t *testing.T, name string) *configv1.OriginRequestPolicy {
	t.Helper()
	res, err := r.requestPolicies().CreateOriginRequestPolicy(t.Context(), &configv1.CreateOriginRequestPolicyRequest{
		OriginRequestPolicy: &configv1.OriginRequestPolicy{DisplayName: name},
	})
	if err != nil {
		t.Fatal(body(err))
	}
	return res.GetOriginRequestPolicy()
}

func TestOriginRequestPolicyInUse(t *testing.T) {
	kv, ctx := etcdtest.Client(t), t.Context()
	r := serve(t, kv)
	p := r.newRequestPolicy(t, "mine")
	remove := func() error {
		_, err := r.requestPolicies().DeleteOriginRequestPolicy(ctx, &configv1.DeleteOriginRequestPolicyRequest{Name: p.GetName()})
		return err
	}
	d := r.disable(t, r.mustCreate(t, sending(simple("ref"), p.GetName())))
	wantError(t, "C1.55, C1.70: disabled and in use", remove(), codes.FailedPrecondition, "ORIGIN_REQUEST_POLICY_IN_USE")
	exported, err := r.ExportDistribution(ctx, &configv1.ExportDistributionRequest{Name: d.GetName()})
	if err != nil || len(exported.GetOriginRequestPolicies()) != 1 || exported.GetOriginRequestPolicies()[0].GetName() != p.GetName() {
		t.Errorf("C6.21: exported %v, %v", exported, err)
	}
	list, err := r.ListDistributions(ctx, &configv1.ListDistributionsRequest{Filter: `origin_request_policy = "` + p.GetName() + `"`})
	if err != nil || len(list.GetDistributions()) != 1 {
		t.Errorf("C3.27: %v, %v", list, err)
	}
	sound(t, kv)
	d = r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: sending(simple(""), allViewer).GetConfig()})
	if err := remove(); err != nil {
		t.Errorf("C1.55: no longer in use: %s", body(err))
	}
	list, err = r.ListDistributions(ctx, &configv1.ListDistributionsRequest{Filter: `origin_request_policy = "` + allViewer + `"`})
	if err != nil || len(list.GetDistributions()) != 1 {
		t.Errorf("C3.27: of a managed one: %v, %v", list, err)
	}
	_, err = r.update(ctx, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: sending(simple(""), p.GetName()).GetConfig()})
	wantError(t, "C2.193, C2.357: deleted", err, codes.FailedPrecondition, "NO_SUCH_ORIGIN_REQUEST_POLICY")
	sound(t, kv)
}

func TestUncomputedHeadersAreRefused(t *testing.T) {
	kv, ctx := etcdtest.Client(t), t.Context()
	r := serve(t, kv)
	_, err := r.create(ctx, sending(simple("ref"), allWithCountry))
	wantError(t, "D10.2: a managed policy with countries", err, codes.Unimplemented, "UNSUPPORTED_OPERATION")
	_, err = r.create(ctx, caching(simple("ref"), "cachePolicies/2e54312d-136d-493c-8eb9-b001f22f67d2"))
	wantError(t, "D10.2: a managed policy that keys the country", err, codes.Unimplemented, "UNSUPPORTED_OPERATION")
	create := func(names ...string) error {
		_, err := r.requestPolicies().CreateOriginRequestPolicy(ctx, &configv1.CreateOriginRequestPolicyRequest{OriginRequestPolicy: &configv1.OriginRequestPolicy{
			DisplayName: "mine", Headers: &configv1.OriginRequestHeaders{Mode: configv1.OriginRequestHeaders_MODE_LISTED, Names: names},
		}})
		return err
	}
	wantError(t, "D10.2: a custom one", create("CloudFront-Viewer-City"), codes.Unimplemented, "UNSUPPORTED_OPERATION")
	if err := create("CloudFront-Viewer-Address", "CloudFront-Forwarded-Proto", "CloudFront-Viewer-Http-Version"); err != nil {
		t.Errorf("D10.2: facts of the connection: %s", body(err))
	}
}

func TestDistributionsPerOriginRequestPolicy(t *testing.T) {
	kv := etcdtest.Client(t)
	r := start(t, config.Config{Etcd: kv, Limits: config.Limits{PolicyLimits: config.PolicyLimits{DistributionsPerOriginRequestPolicy: 1}}})
	p := r.newRequestPolicy(t, "mine")
	r.mustCreate(t, sending(simple("1"), p.GetName()))
	_, err := r.create(t.Context(), sending(simple("2"), p.GetName()))
	wantError(t, "C4.30, C2.314: a second", err, codes.ResourceExhausted, "TOO_MANY_DISTRIBUTIONS_ASSOCIATED_TO_ORIGIN_REQUEST_POLICY")
	for _, reference := range []string{"3", "4"} {
		r.mustCreate(t, sending(simple(reference), allViewer)) // C4.30: managed ones are not counted
	}
	sound(t, kv)
}
