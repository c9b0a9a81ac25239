// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// policyKind is one of the three kinds of policies, as far as they are alike.
type policyKind struct {
	collection keys.Collection
	reason     string // CACHE_POLICY …
	plural     string
	managed    string // the id and
	name       string // the name of a managed one
	// create makes the smallest policy of that name; change writes its comment.
	create func(ctx context.Context, r replica, name string) (made, etag string, err error)
	change func(ctx context.Context, r replica, name, etag string) error
	remove func(ctx context.Context, r replica, name, etag string) error
	get    func(ctx context.Context, r replica, name string) (comment string, custom bool, err error)
	count  func(ctx context.Context, r replica) (managed, custom int, err error)
}

func policyKinds() []policyKind {
	return []policyKind{
		{
			keys.CachePolicies, "CACHE_POLICY", "CACHE_POLICIES", "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "CachingDisabled",
			func(ctx context.Context, r replica, name string) (string, string, error) {
				res, err := r.policies.CreateCachePolicy(ctx, &configv1.CreateCachePolicyRequest{CachePolicy: ttls(name, 0)})
				return res.GetCachePolicy().GetName(), res.GetCachePolicy().GetEtag(), err
			},
			func(ctx context.Context, r replica, name, etag string) error {
				_, err := r.policies.UpdateCachePolicy(ctx, &configv1.UpdateCachePolicyRequest{CachePolicy: &configv1.CachePolicy{Name: name, Etag: etag, Comment: "changed"}})
				return err
			},
			func(ctx context.Context, r replica, name, etag string) error {
				_, err := r.policies.DeleteCachePolicy(ctx, &configv1.DeleteCachePolicyRequest{Name: name, Etag: etag})
				return err
			},
			func(ctx context.Context, r replica, name string) (string, bool, error) {
				res, err := r.policies.GetCachePolicy(ctx, &configv1.GetCachePolicyRequest{Name: name})
				return res.GetCachePolicy().GetComment(), res.GetCachePolicy().GetType() == configv1.CachePolicy_TYPE_CUSTOM, err
			},
			func(ctx context.Context, r replica) (int, int, error) {
				a, err := r.policies.ListCachePolicies(ctx, &configv1.ListCachePoliciesRequest{Type: configv1.CachePolicy_TYPE_MANAGED})
				if err != nil {
					return 0, 0, err
				}
				b, err := r.policies.ListCachePolicies(ctx, &configv1.ListCachePoliciesRequest{Type: configv1.CachePolicy_TYPE_CUSTOM})
				return len(a.GetCachePolicies()), len(b.GetCachePolicies()), err
			},
		},
		{
			keys.OriginRequestPolicies, "ORIGIN_REQUEST_POLICY", "ORIGIN_REQUEST_POLICIES", "216adef6-5c7f-47e4-b989-5492eafa07d3", "AllViewer",
			func(ctx context.Context, r replica, name string) (string, string, error) {
				res, err := r.requestPolicies().CreateOriginRequestPolicy(ctx, &configv1.CreateOriginRequestPolicyRequest{OriginRequestPolicy: &configv1.OriginRequestPolicy{DisplayName: name}})
				return res.GetOriginRequestPolicy().GetName(), res.GetOriginRequestPolicy().GetEtag(), err
			},
			func(ctx context.Context, r replica, name, etag string) error {
				_, err := r.requestPolicies().UpdateOriginRequestPolicy(ctx, &configv1.UpdateOriginRequestPolicyRequest{OriginRequestPolicy: &configv1.OriginRequestPolicy{Name: name, Etag: etag, Comment: "changed"}})
				return err
			},
			func(ctx context.Context, r replica, name, etag string) error {
				_, err := r.requestPolicies().DeleteOriginRequestPolicy(ctx, &configv1.DeleteOriginRequestPolicyRequest{Name: name, Etag: etag})
				return err
			},
			func(ctx context.Context, r replica, name string) (string, bool, error) {
				res, err := r.requestPolicies().GetOriginRequestPolicy(ctx, &configv1.GetOriginRequestPolicyRequest{Name: name})
				return res.GetOriginRequestPolicy().GetComment(), res.GetOriginRequestPolicy().GetType() == configv1.OriginRequestPolicy_TYPE_CUSTOM, err
			},
			func(ctx context.Context, r replica) (int, int, error) {
				a, err := r.requestPolicies().ListOriginRequestPolicies(ctx, &configv1.ListOriginRequestPoliciesRequest{Type: configv1.OriginRequestPolicy_TYPE_MANAGED})
				if err != nil {
					return 0, 0, err
				}
				b, err := r.requestPolicies().ListOriginRequestPolicies(ctx, &configv1.ListOriginRequestPoliciesRequest{Type: configv1.OriginRequestPolicy_TYPE_CUSTOM})
				return len(a.GetOriginRequestPolicies()), len(b.GetOriginRequestPolicies()), err
			},
		},
		{
			keys.ResponseHeadersPolicies, "RESPONSE_HEADERS_POLICY", "RESPONSE_HEADERS_POLICIES", "60669652-455b-4ae9-85a4-c4c02393f86c", "SimpleCORS",
			func(ctx context.Context, r replica, name string) (string, string, error) {
				res, err := r.responsePolicies().CreateResponseHeadersPolicy(ctx, &configv1.CreateResponseHeadersPolicyRequest{ResponseHeadersPolicy: &configv1.ResponseHeadersPolicy{
					DisplayName: name, RemoveHeaders: []string{"Server"},
				}})
				return res.GetResponseHeadersPolicy().GetName(), res.GetResponseHeadersPolicy().GetEtag(), err
			},
			func(ctx context.Context, r replica, name, etag string) error {
				_, err := r.responsePolicies().UpdateResponseHeadersPolicy(ctx, &configv1.UpdateResponseHeadersPolicyRequest{ResponseHeadersPolicy: &configv1.ResponseHeadersPolicy{Name: name, Etag: etag, Comment: "changed"}})
				return err
			},
			func(ctx context.Context, r replica, name, etag string) error {
				_, err := r.responsePolicies().DeleteResponseHeadersPolicy(ctx, &configv1.DeleteResponseHeadersPolicyRequest{Name: name, Etag: etag})
				return err
			},
			func(ctx context.Context, r replica, name string) (string, bool, error) {
				res, err := r.responsePolicies().GetResponseHeadersPolicy(ctx, &configv1.GetResponseHeadersPolicyRequest{Name: name})
				return res.GetResponseHeadersPolicy().GetComment(), res.GetResponseHeadersPolicy().GetType() == configv1.ResponseHeadersPolicy_TYPE_CUSTOM, err
			},
			func(ctx context.Context, r replica) (int, int, error) {
				a, err := r.responsePolicies().ListResponseHeadersPolicies(ctx, &configv1.ListResponseHeadersPoliciesRequest{Type: configv1.ResponseHeadersPolicy_TYPE_MANAGED})
				if err != nil {
					return 0, 0, err
				}
				b, err := r.responsePolicies().ListResponseHeadersPolicies(ctx, &configv1.ListResponseHeadersPoliciesRequest{Type: configv1.ResponseHeadersPolicy_TYPE_CUSTOM})
				return len(a.GetResponseHeadersPolicies()), len(b.GetResponseHeadersPolicies()), err
			},
		},
	}
}

func (r replica) requestPolicies() configv1.OriginRequestPolicyServiceClient {
	return configv1.NewOriginRequestPolicyServiceClient(r.conn)
}

func (r replica) responsePolicies() configv1.ResponseHeadersPolicyServiceClient {
	return configv1.NewResponseHeadersPolicyServiceClient(r.conn)
}

// ttls is a cache policy that keys nothing.
func ttls(name string, least time.Duration) *configv1.CachePolicy {
	return &configv1.CachePolicy{DisplayName: name, MinTtl: durationpb.New(least)}
}

func TestPoliciesOfEveryKind(t *testing.T) {
	for i, k := range policyKinds() {
		t.Run(string(k.collection), func(t *testing.T) {
			kv, ctx := etcdtest.Client(t), t.Context()
			r := start(t, config.Config{Etcd: kv, Limits: config.Limits{PolicyLimits: config.PolicyLimits{CachePolicies: 2, OriginRequestPolicies: 2, ResponseHeadersPolicies: 2}}})
			name, etag, err := k.create(ctx, r, "mine")
			if err != nil {
				t.Fatal(body(err))
			}
			_, _, err = k.create(ctx, r, "mine")
			wantError(t, "C2.8, C2.209, C2.210, C2.211: name taken", err, codes.AlreadyExists, k.reason+"_ALREADY_EXISTS")
			_, _, err = k.create(ctx, r, k.name)
			wantError(t, "name of a managed policy", err, codes.AlreadyExists, k.reason+"_ALREADY_EXISTS")
			_, _, err = k.create(ctx, r, "not good")
			wantError(t, "C2.9", err, codes.InvalidArgument, "INVALID_ARGUMENT")

			if err := k.change(ctx, r, name, etag); err != nil {
				t.Fatal(body(err))
			}
			if comment, custom, err := k.get(ctx, r, name); comment != "changed" || !custom || err != nil {
				t.Errorf("read: comment %q, custom %v, %v", comment, custom, err)
			}
			wantError(t, "C6.15: stale etag", k.change(ctx, r, name, etag), codes.Aborted, "PRECONDITION_FAILED")
			wantError(t, "C6.15: stale etag", k.remove(ctx, r, name, etag), codes.Aborted, "PRECONDITION_FAILED")
			if err := k.change(ctx, r, name, ""); err != nil {
				t.Errorf("C6.15: without an etag the last writer wins: %s", body(err))
			}

			managed := k.collection.Name(k.managed)
			if _, custom, err := k.get(ctx, r, managed); custom || err != nil {
				t.Errorf("C1.71: a managed policy is read: %v", err)
			}
			wantError(t, "C1.71", k.change(ctx, r, managed, ""), codes.FailedPrecondition, "ILLEGAL_UPDATE")
			wantError(t, "C1.54, C1.55, C1.56, C1.71", k.remove(ctx, r, managed, ""), codes.FailedPrecondition, "ILLEGAL_DELETE")

			other, _, err := k.create(ctx, r, "other")
			if err != nil {
				t.Fatal(body(err))
			}
			_, _, err = k.create(ctx, r, "third")
			wantError(t, "C4.29, C2.299, C2.300, C2.301: quota", err, codes.ResourceExhausted, "TOO_MANY_"+k.plural)
			if m, c, err := k.count(ctx, r); m != []int{8, 9, 5}[i] || c != 2 || err != nil {
				t.Errorf("C1.82, C3.26: %d managed and %d custom ones listed, %v", m, c, err)
			}

			// A reference is one whoever holds it, and whether it is enabled or not (C1.70).
			ref := keys.Ref(k.collection, keys.ID(other), keys.Distributions, "E1")
			if _, err := kv.Put(ctx, ref, ""); err != nil {
				t.Fatal(err)
			}
			err = k.remove(ctx, r, other, "")
			wantError(t, "C2.226, C2.227, C2.228: in use", err, codes.FailedPrecondition, k.reason+"_IN_USE")
			if text := body(err); !strings.Contains(text, "metadata referrers: distributions/E1\n") {
				t.Errorf("C8.51: %s", text)
			}
			if _, err := kv.Delete(ctx, ref); err != nil {
				t.Fatal(err)
			}
			if err := k.remove(ctx, r, other, ""); err != nil {
				t.Error(body(err))
			}
			_, _, err = k.get(ctx, r, other)
			wantError(t, "deleted", err, codes.NotFound, "NO_SUCH_"+k.reason)
			if _, _, err := k.create(ctx, r, "other"); err != nil {
				t.Errorf("the name of a deleted policy is free: %s", body(err))
			}
			sound(t, kv)
		})
	}
}

func TestCachePolicyRequests(t *testing.T) {
	kv, ctx := etcdtest.Client(t), t.Context()
	r := serve(t, kv)
	dry, err := r.policies.CreateCachePolicy(ctx, &configv1.CreateCachePolicyRequest{CachePolicy: ttls("mine", 5*time.Second), ValidateOnly: true, RequestId: uuid.NewString()})
	if p := dry.GetCachePolicy(); err != nil || p.GetName() != "" || p.GetEtag() != "" || p.GetDefaultTtl().GetSeconds() != 86400 || len(dry.GetWarnings()) != 1 {
		t.Errorf("C6.18: %v, %v", dry, err)
	}
	req := &configv1.CreateCachePolicyRequest{CachePolicy: ttls("mine", 5*time.Second), RequestId: uuid.NewString()}
	first, err := r.policies.CreateCachePolicy(ctx, req)
	if err != nil {
		t.Fatal(body(err))
	}
	again, err := r.policies.CreateCachePolicy(ctx, req)
	if err != nil || !proto.Equal(again.GetCachePolicy(), first.GetCachePolicy()) {
		t.Errorf("C3.17: %v, %v; first %v", again, err, first)
	}
	p := first.GetCachePolicy()
	update := func(change *configv1.CachePolicy, paths ...string) (*configv1.CachePolicy, error) {
		req := &configv1.UpdateCachePolicyRequest{CachePolicy: change}
		if len(paths) > 0 {
			req.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		res, err := r.policies.UpdateCachePolicy(ctx, req)
		return res.GetCachePolicy(), err
	}
	_, err = update(&configv1.CachePolicy{Name: p.GetName(), MinTtl: durationpb.New(100000 * time.Second)})
	wantError(t, "C2.99: the stored default_ttl is below", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	got := must[*configv1.CachePolicy](t)(update(&configv1.CachePolicy{Name: p.GetName(), MinTtl: durationpb.New(100000 * time.Second)}, "min_ttl", "default_ttl"))
	if got.GetDefaultTtl().GetSeconds() != 100000 || got.GetMaxTtl().GetSeconds() != 31536000 {
		t.Errorf("C9.17: derived anew: %v", got)
	}
	got = must[*configv1.CachePolicy](t)(update(&configv1.CachePolicy{Name: p.GetName(), DisplayName: "renamed", MinTtl: durationpb.New(0)}, "*"))
	if got.GetDisplayName() != "renamed" || got.GetDefaultTtl().GetSeconds() != 86400 || !got.GetCreateTime().AsTime().Equal(p.GetCreateTime().AsTime()) {
		t.Errorf("C6.16: replaced: %v", got)
	}
	got = must[*configv1.CachePolicy](t)(update(&configv1.CachePolicy{Name: p.GetName(), Semantics: configv1.CacheSemantics_CACHE_SEMANTICS_HTTP}, "semantics", "default_ttl"))
	if got.GetSemantics() != configv1.CacheSemantics_CACHE_SEMANTICS_HTTP || got.GetDefaultTtl().GetSeconds() != 0 {
		t.Errorf("design 3.16: the semantics of HTTP: %v", got)
	}
	_, err = r.policies.DeleteCachePolicy(ctx, &configv1.DeleteCachePolicyRequest{Name: p.GetName(), ValidateOnly: true})
	if err != nil {
		t.Error(body(err))
	}
	for range 2 { // the second finds nothing
		if _, err = r.policies.DeleteCachePolicy(ctx, &configv1.DeleteCachePolicyRequest{Name: p.GetName(), AllowMissing: true}); err != nil {
			t.Error(body(err))
		}
	}
	sound(t, kv)
}

// caching is d with that cache policy.
func caching(d *configv1.Distribution, policy string) *configv1.Distribution {
	d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: policy}
	return d
}

// keyHost puts Host into the key of a policy.
func (r replica) keyHost(ctx context.Context, policy string) (*configv1.CachePolicy, error) {
	res, err := r.policies.UpdateCachePolicy(ctx, &configv1.UpdateCachePolicyRequest{CachePolicy: &configv1.CachePolicy{
		Name: policy, Headers: &configv1.HeaderSelection{Mode: configv1.HeaderSelection_MODE_LISTED, Names: []string{"Host"}},
	}})
	return res.GetCachePolicy(), err
}

func (r replica) newCachePolicy(t *testing.T, name string) *configv1.CachePolicy {
	t.Helper()
	res, err := r.policies.CreateCachePolicy(t.Context(), &configv1.CreateCachePolicyRequest{CachePolicy: ttls(name, 0)})
	if err != nil {
		t.Fatal(body(err))
	}
	return res.GetCachePolicy()
}

func bucketed(reference string) *configv1.Distribution {
	d := simple(reference)
	d.Config.Origins[0].Source = &configv1.Origin_Endpoint{Endpoint: s3Endpoint()}
	return d
}

func TestCachePolicyInUse(t *testing.T) {
	kv, ctx := etcdtest.Client(t), t.Context()
	r := serve(t, kv)
	p := r.newCachePolicy(t, "mine")
	d := r.disable(t, r.mustCreate(t, caching(simple("ref"), p.GetName())))
	_, err := r.policies.DeleteCachePolicy(ctx, &configv1.DeleteCachePolicyRequest{Name: p.GetName()})
	wantError(t, "C1.54, C1.70: disabled and in use", err, codes.FailedPrecondition, "CACHE_POLICY_IN_USE")

	if _, err := r.keyHost(ctx, p.GetName()); err != nil {
		t.Errorf("C8.53: nothing but a server: %s", body(err))
	}
	_, err = r.create(ctx, caching(bucketed("bucket"), p.GetName()))
	wantError(t, "C2.101, C5.7: attached to a bucket", err, codes.InvalidArgument, "INVALID_HEADERS_FOR_S3_ORIGIN")

	plain := r.newCachePolicy(t, "plain")
	b := r.mustCreate(t, caching(bucketed("bucket"), plain.GetName()))
	_, err = r.keyHost(ctx, plain.GetName())
	wantError(t, "C8.53: a bucket refers to it", err, codes.FailedPrecondition, "CACHE_POLICY_IN_USE")
	if text := body(err); !strings.Contains(text, "metadata referrers: "+b.GetName()+"\n") {
		t.Errorf("C8.53: %s", text)
	}
	must[*configv1.UpdateCachePolicyResponse](t)(r.policies.UpdateCachePolicy(ctx, &configv1.UpdateCachePolicyRequest{
		CachePolicy: &configv1.CachePolicy{Name: plain.GetName(), Headers: &configv1.HeaderSelection{Mode: configv1.HeaderSelection_MODE_LISTED, Names: []string{"Origin"}}},
	}))

	r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: caching(simple(""), cachingOptimized).GetConfig()})
	if _, err := r.policies.DeleteCachePolicy(ctx, &configv1.DeleteCachePolicyRequest{Name: p.GetName()}); err != nil {
		t.Errorf("C1.54: no longer in use: %s", body(err))
	}
	sound(t, kv)
}

func TestDistributionsOfOnePolicy(t *testing.T) {
	kv := etcdtest.Client(t)
	r := start(t, config.Config{Etcd: kv, Limits: config.Limits{PolicyLimits: config.PolicyLimits{DistributionsPerCachePolicy: 2}}})
	p := r.newCachePolicy(t, "mine")
	first := r.mustCreate(t, caching(simple("1"), p.GetName()))
	r.mustCreate(t, caching(simple("2"), p.GetName()))
	other := r.mustCreate(t, simple("3"))
	const tooMany = "TOO_MANY_DISTRIBUTIONS_ASSOCIATED_TO_CACHE_POLICY"
	_, err := r.create(t.Context(), caching(simple("4"), p.GetName()))
	wantError(t, "C4.30, C2.313: a third", err, codes.ResourceExhausted, tooMany)
	attach := &configv1.Distribution{Name: other.GetName(), Etag: other.GetEtag(), Config: caching(simple(""), p.GetName()).GetConfig()}
	_, err = r.update(t.Context(), attach)
	wantError(t, "C4.30: an update", err, codes.ResourceExhausted, tooMany)
	if !strings.Contains(body(err), "field distribution.config.default_cache_behavior.cache_policy: ") {
		t.Error(body(err))
	}
	changed := caching(simple("", "www.example.com"), p.GetName()).GetConfig()
	first = r.mustUpdate(t, &configv1.Distribution{Name: first.GetName(), Etag: first.GetEtag(), Config: changed}) // is one of them
	r.mustUpdate(t, &configv1.Distribution{Name: first.GetName(), Etag: first.GetEtag(), Config: caching(simple(""), cachingOptimized).GetConfig()})
	r.mustUpdate(t, attach)
}

// A change that depends on an origin of the registry writes the reference to the
// origin anew, so that the origin cannot become a bucket at the same moment (C8.53).
func TestCachePolicyDependsOnOrigins(t *testing.T) {
	kv, ctx := etcdtest.Client(t), t.Context()
	r := serve(t, kv)
	putOrigin(t, kv, "web", httpEndpoint())
	p := r.newCachePolicy(t, "mine")
	d := r.mustCreate(t, caching(referring("ref", "web"), p.GetName()))
	must[*configv1.CachePolicy](t)(r.keyHost(ctx, p.GetName()))
	ref, err := kv.Get(ctx, keys.Ref(keys.Origins, "web", keys.Distributions, keys.ID(d.GetName())))
	if err != nil || len(ref.Kvs) != 1 {
		t.Fatal(ref, err)
	}
	stored, err := kv.Get(ctx, keys.Resource(keys.CachePolicies, keys.ID(p.GetName())))
	if err != nil || stored.Kvs[0].ModRevision != ref.Kvs[0].ModRevision {
		t.Errorf("C8.53: reference of revision %d, policy of %v, %v", ref.Kvs[0].ModRevision, stored.Kvs, err)
	}
	putOrigin(t, kv, "web", s3Endpoint())
	_, err = r.keyHost(ctx, p.GetName())
	wantError(t, "C8.53: the origin is a bucket", err, codes.FailedPrecondition, "CACHE_POLICY_IN_USE")
	sound(t, kv)
}

func TestRaceForPolicyName(t *testing.T) {
	for _, k := range policyKinds() {
		t.Run(string(k.collection), func(t *testing.T) {
			p := newPair(t)
			for i := range rounds {
				var made [2]string
				create := func(r replica, n int) func() error {
					return func() (err error) {
						made[n], _, err = k.create(t.Context(), r, fmt.Sprint("name-", i))
						return err
					}
				}
				one, other := p.race(create(p.a, 0), create(p.b, 1))
				exactlyOne(t, i, one, other, codes.AlreadyExists, k.reason+"_ALREADY_EXISTS")
				winner := made[slices.IndexFunc(made[:], func(s string) bool { return s != "" })]
				if err := k.remove(t.Context(), p.b, winner, ""); err != nil { // or the quota is reached
					t.Fatal(body(err))
				}
			}
			sound(t, p.kv)
		})
	}
}

// Deleting a policy against attaching it: never both (C2.366, C8.51).
func TestRaceDeletePolicyAgainstAttach(t *testing.T) {
	p := newPair(t)
	attached := 0
	for i := range rounds {
		policy := p.a.newCachePolicy(t, fmt.Sprint("p", i))
		var d *configv1.Distribution
		created, deleted := p.race(
			func() (err error) {
				d, err = p.a.create(t.Context(), caching(simple(fmt.Sprint("ref-", i)), policy.GetName()))
				return err
			},
			func() error {
				_, err := p.b.policies.DeleteCachePolicy(t.Context(), &configv1.DeleteCachePolicyRequest{Name: policy.GetName()})
				return err
			},
		)
		switch {
		case created == nil && deleted != nil:
			attached++
			wantError(t, fmt.Sprint("round ", i), deleted, codes.FailedPrecondition, "CACHE_POLICY_IN_USE")
			p.a.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: caching(simple(""), cachingOptimized).GetConfig()})
			if _, err := p.b.policies.DeleteCachePolicy(t.Context(), &configv1.DeleteCachePolicyRequest{Name: policy.GetName()}); err != nil {
				t.Fatal(body(err))
			}
		case created != nil && deleted == nil:
			wantError(t, fmt.Sprint("round ", i), created, codes.FailedPrecondition, "NO_SUCH_CACHE_POLICY")
		default:
			t.Fatalf("round %d: create %v, delete %v", i, created, deleted)
		}
	}
	sound(t, p.kv)
	t.Logf("attached first in %d of %d rounds", attached, rounds)
}

// Host in the key against a bucket that comes to use the policy: never both (C8.53).
func TestRaceHostInKeyAgainstBucket(t *testing.T) {
	p := newPair(t)
	attached := 0
	for i := range rounds {
		policy := p.a.newCachePolicy(t, fmt.Sprint("p", i))
		var d *configv1.Distribution
		created, changed := p.race(
			func() (err error) {
				d, err = p.a.create(t.Context(), caching(bucketed(fmt.Sprint("ref-", i)), policy.GetName()))
				return err
			},
			func() error {
				_, err := p.b.keyHost(t.Context(), policy.GetName())
				return err
			},
		)
		switch {
		case created == nil && changed != nil:
			attached++
			wantError(t, fmt.Sprint("round ", i), changed, codes.FailedPrecondition, "CACHE_POLICY_IN_USE")
			p.a.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: caching(bucketed(""), cachingOptimized).GetConfig()})
		case created != nil && changed == nil:
			wantError(t, fmt.Sprint("round ", i), created, codes.InvalidArgument, "INVALID_HEADERS_FOR_S3_ORIGIN")
		default:
			t.Fatalf("round %d: create %v, change %v", i, created, changed)
		}
		if _, err := p.b.policies.DeleteCachePolicy(t.Context(), &configv1.DeleteCachePolicyRequest{Name: policy.GetName()}); err != nil {
			t.Fatal(body(err))
		}
	}
	sound(t, p.kv)
	t.Logf("attached first in %d of %d rounds", attached, rounds)
}

// Host in the key against an origin of the registry that becomes a bucket, as the
// registry changes it: never both (C8.53).
func TestRaceHostInKeyAgainstOrigin(t *testing.T) {
	p := newPair(t)
	policy := p.a.newCachePolicy(t, "mine")
	putOrigin(t, p.kv, "web", httpEndpoint())
	p.a.mustCreate(t, caching(referring("ref", "web"), policy.GetName()))
	changes := 0
	for i := range rounds {
		becameBucket, keyed := p.race(
			func() error { return turnIntoBucket(t.Context(), p.kv, "web", policy.GetName()) },
			func() error {
				_, err := p.b.keyHost(t.Context(), policy.GetName())
				return err
			},
		)
		if becameBucket == nil && keyed == nil {
			t.Fatalf("round %d: a bucket with Host in the key", i)
		}
		if keyed == nil {
			changes++
		}
		// As before.
		putOrigin(t, p.kv, "web", httpEndpoint())
		must[*configv1.UpdateCachePolicyResponse](t)(p.a.policies.UpdateCachePolicy(t.Context(), &configv1.UpdateCachePolicyRequest{
			CachePolicy: &configv1.CachePolicy{Name: policy.GetName()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"headers"}},
		}))
	}
	sound(t, p.kv)
	t.Logf("Host came first in %d of %d rounds", changes, rounds)
}

// turnIntoBucket changes an origin as the registry does: it looks at the policy of its
// only referrer at one revision, and relies on no reference having been written since.
func turnIntoBucket(ctx context.Context, kv clientv3.KV, origin, policy string) error {
	key := keys.Resource(keys.Origins, origin)
	seen, err := kv.Get(ctx, key)
	if err != nil {
		return err
	}
	at := seen.Header.Revision
	res, err := kv.Get(ctx, keys.Resource(keys.CachePolicies, strings.TrimPrefix(policy, "cachePolicies/")), clientv3.WithRev(at))
	if err != nil {
		return err
	}
	var rec storev1.Record
	var p configv1.CachePolicy
	if err := errors.Join(keys.Decode(res.Kvs[0].Value, &rec), proto.Unmarshal(rec.GetResource(), &p)); err != nil {
		return err
	}
	if rules.KeysHost(&p) {
		return errors.New("Host is in the key")
	}
	o := &originv1.Origin{Endpoint: s3Endpoint()}
	rules.DefaultOrigin(o)
	tx := etcd.NewTx(kv)
	tx.AtRevision("record", key, seen.Kvs[0].ModRevision)
	tx.NoneNewerUnder("referrers", keys.RefsTo(keys.Origins, origin), at)
	if err := records.Put(tx, key, records.Next(ctx, records.Version{}), o); err != nil {
		return err
	}
	_, err = tx.Commit(ctx)
	return err
}
