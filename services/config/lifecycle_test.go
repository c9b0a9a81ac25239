// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestCreate(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	putOrigin(t, kv, "web", httpEndpoint())
	in := referring("ref-1", "web")
	in.Config.Aliases = []string{"www.example.com", "*.example.org"}
	in.Labels = map[string]string{"team": "web"}
	// What only the server sets is ignored.
	in.Name, in.Uid, in.Etag, in.DomainName, in.Reconciling = "distributions/X", "x", "EAAAAAAAAAAAAA", "x.example.com", true
	in.Deployment = &commonv1.Deployment{TargetRevision: 1}
	res, err := r.CreateDistribution(t.Context(), &configv1.CreateDistributionRequest{Distribution: in})
	if err != nil {
		t.Fatal(body(err))
	}
	d := res.GetDistribution()
	for field, ok := range map[string]bool{
		"C3.41: name":            regexp.MustCompile(`^distributions/E[A-Z0-9]{13}$`).MatchString(d.GetName()),
		"C3.39: domain_name":     regexp.MustCompile(`^d[a-z0-9]{13}\.cdn\.example\.net$`).MatchString(d.GetDomainName()),
		"C3.11: etag":            regexp.MustCompile(`^E[A-Z2-7]{13}$`).MatchString(d.GetEtag()),
		"C6.14: uid":             len(d.GetUid()) == 36,
		"create_time":            d.GetCreateTime().IsValid() && d.GetCreateTime().AsTime().Equal(d.GetUpdateTime().AsTime()),
		"defaults are filled":    d.GetConfig().GetHttpVersion() == configv1.HttpVersion_HTTP_VERSION_HTTP2,
		"labels":                 d.GetLabels()["team"] == "web",
		"C8.70: without edges":   d.GetDeployment().GetState() == commonv1.Deployment_STATE_DEPLOYED && !d.GetReconciling(),
		"EdgesConverged unknown": len(d.GetConditions()) == 1 && d.GetConditions()[0].GetStatus() == commonv1.Condition_STATUS_UNKNOWN,
		"advice about aliases":   len(res.GetWarnings()) == 1 && strings.HasPrefix(res.GetWarnings()[0], "distribution.config.aliases "),
	} {
		if !ok {
			t.Errorf("%s: %v", field, d)
		}
	}
	if diff := cmp.Diff(d, r.get(t, d.GetName()), protocmp.Transform()); diff != "" {
		t.Errorf("C3.2: Get differs from Create (-create +get):\n%s", diff)
	}
	checkKeys(t, kv)
	checkRecord(t, r, d)
}

// checkRecord looks at what is stored: without computed fields, and such that edges
// can serve it.
func checkRecord(t *testing.T, r replica, d *configv1.Distribution) {
	t.Helper()
	id := strings.TrimPrefix(d.GetName(), "distributions/")
	var stored configv1.Distribution
	v, found, err := records.Get(t.Context(), r.kv, keys.Resource(keys.Distributions, id), &stored)
	if err != nil || !found || v.Generation != 1 {
		t.Fatalf("record: %+v %v %v", v, found, err)
	}
	if stored.GetEtag() != "" || stored.GetReconciling() || stored.GetDeployment() != nil || stored.GetConditions() != nil {
		t.Errorf("C8.22: computed fields are stored: %v", &stored)
	}
	if d.GetDeployment().GetTargetRevision() != v.ModRevision || d.GetEtag() != v.ETag() {
		t.Errorf("C8.69: target %d, etag %s of revision %d, %s", d.GetDeployment().GetTargetRevision(), d.GetEtag(), v.ModRevision, v.ETag())
	}
	if _, err := snapshot.CompileDistribution(id, 1, &stored); err != nil {
		t.Errorf("the record does not compile: %v", err)
	}
}

func TestETagSequence(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	register(t, kv, "a")
	ctx := t.Context()
	one := r.mustCreate(t, simple("ref-1", "www.example.com"))
	name, e1 := one.GetName(), one.GetEtag()
	comment := func(etag string) error {
		_, err := r.update(ctx, &configv1.Distribution{Name: name, Etag: etag, Config: &configv1.DistributionConfig{Comment: "new"}}, "config.comment")
		return err
	}
	two := r.mustUpdate(t, &configv1.Distribution{Name: name, Etag: e1, Config: &configv1.DistributionConfig{Comment: "new"}}, "config.comment")
	e2 := two.GetEtag()
	if e2 == e1 || !two.GetConfig().GetEnabled() || two.GetConfig().GetComment() != "new" || two.GetCreateTime().AsTime() != one.GetCreateTime().AsTime() {
		t.Errorf("C2.364: Update(e1): %v", two)
	}
	wantError(t, "C2.364: Update(e1) again", comment(e1), codes.Aborted, "PRECONDITION_FAILED")
	wantError(t, "C2.334: Update without etag", comment(""), codes.InvalidArgument, "ETAG_REQUIRED")
	wantError(t, "C2.364: Update(!)", comment("!"), codes.InvalidArgument, "INVALID_IF_MATCH_VERSION")
	wantError(t, "C3.1: Update(\"…\")", comment(`"`+e2+`"`), codes.InvalidArgument, "INVALID_IF_MATCH_VERSION")
	_, err := r.update(ctx, &configv1.Distribution{Name: "distributions/EAAAAAAAAAAAAA"})
	wantError(t, "C2.364: Update of an unknown id without etag", err, codes.NotFound, "NO_SUCH_DISTRIBUTION")
	wantError(t, "C2.364: Delete(e2) while enabled", r.delete(ctx, name, e2), codes.FailedPrecondition, "DISTRIBUTION_NOT_DISABLED")
	three := r.disable(t, two)
	e3 := three.GetEtag()
	wantError(t, "C2.364: Delete(e2)", r.delete(ctx, name, e2), codes.Aborted, "PRECONDITION_FAILED")
	wantError(t, "C2.334: Delete()", r.delete(ctx, name, ""), codes.InvalidArgument, "ETAG_REQUIRED")
	if three.GetDeployment().GetState() != commonv1.Deployment_STATE_IN_PROGRESS || !three.GetReconciling() {
		t.Errorf("C3.28: after a change: %v", three.GetDeployment())
	}
	err = r.delete(ctx, name, e3)
	wantError(t, "C2.364: Delete(e3) before Deployed", err, codes.FailedPrecondition, "DISTRIBUTION_NOT_DISABLED")
	if !strings.Contains(err.Error(), "not deployed as such yet") {
		t.Errorf("C3.35: the message does not say which step is missing: %v", err)
	}
	report(t, kv, "a", three.GetDeployment().GetTargetRevision())
	if _, err := r.WaitDistribution(ctx, &configv1.WaitDistributionRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	if err := r.delete(ctx, name, e3); err != nil {
		t.Errorf("C2.364: Delete(e3) after Deployed: %v", body(err))
	}
	_, err = r.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: name})
	wantError(t, "C2.364: Get", err, codes.NotFound, "NO_SUCH_DISTRIBUTION")
	wantError(t, "C2.364: Delete again", r.delete(ctx, name, e3), codes.NotFound, "NO_SUCH_DISTRIBUTION")
	_, err = r.create(ctx, simple("ref-1"))
	wantError(t, "C3.13: Create with the first caller reference", err, codes.AlreadyExists, "DISTRIBUTION_ALREADY_EXISTS")
	checkKeys(t, kv)
	if res, err := kv.Get(ctx, keys.Label(strings.SplitN(one.GetDomainName(), ".", 2)[0])); err != nil || len(res.Kvs) != 1 {
		t.Errorf("C3.39: the label is free again: %v, %v", res, err)
	}
	if got := r.mustCreate(t, simple("ref-2", "www.example.com")); got.GetConfig().GetAliases()[0] != "www.example.com" {
		t.Errorf("C1.72: the alias is not free: %v", got)
	}
}

func TestAliases(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	ctx := t.Context()
	one := r.mustCreate(t, simple("1", "www.x.test"))
	_, err := r.create(ctx, simple("2", "free.x.test", "www.x.test"))
	wantError(t, "C2.347: taken", err, codes.AlreadyExists, "CNAME_ALREADY_EXISTS")
	two := r.mustCreate(t, simple("2", "*.x.test"))
	one = r.disable(t, one)
	_, err = r.update(ctx, &configv1.Distribution{Name: two.GetName(), Etag: two.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{"*.x.test", "www.x.test"}}}, "config.aliases")
	wantError(t, "C1.75: a disabled distribution keeps its names", err, codes.AlreadyExists, "CNAME_ALREADY_EXISTS")
	r.mustUpdate(t, &configv1.Distribution{Name: one.GetName(), Etag: one.GetEtag(), Config: &configv1.DistributionConfig{}}, "config.aliases")
	two = r.mustUpdate(t, &configv1.Distribution{Name: two.GetName(), Etag: two.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{"www.x.test", "*.x.test"}}}, "config.aliases")
	if got := two.GetConfig().GetAliases(); !slices.Equal(got, []string{"www.x.test", "*.x.test"}) {
		t.Errorf("C2.347: aliases %q", got)
	}
	checkKeys(t, kv)
}

func TestUpdate(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	for _, id := range []string{"web", "api"} {
		putOrigin(t, kv, id, httpEndpoint())
	}
	d := r.mustCreate(t, referring("ref-1", "web"))
	next := func(d *configv1.Distribution, config *configv1.DistributionConfig, paths ...string) *configv1.Distribution {
		return r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: config}, paths...)
	}
	// Repeated fields are replaced whole (C6.16); references follow (C8.48).
	both := referring("", "api", "web").GetConfig()
	d = next(d, both, "config.origins", "config.default_cache_behavior")
	checkKeys(t, kv)
	d = next(d, referring("", "api").GetConfig(), "config.origins", "config.default_cache_behavior")
	checkKeys(t, kv)
	if err := deleteOrigin(t.Context(), kv, "web"); err != nil {
		t.Errorf("C1.68: an origin that is no longer referred to: %v", err)
	}
	if err := deleteOrigin(t.Context(), kv, "api"); !isConflict(err) {
		t.Errorf("C1.68: an origin in use is deleted: %v", err)
	}
	// Without a mask each populated top-level field is replaced whole (design §5).
	d = r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Labels: map[string]string{"a": "b"}})
	if d.GetLabels()["a"] != "b" || len(d.GetConfig().GetOrigins()) != 1 {
		t.Errorf("C6.16: labels alone: %v", d)
	}
	config := proto.CloneOf(d.GetConfig())
	config.Comment = "whole"
	d = r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: config})
	if d.GetLabels()["a"] != "b" || d.GetConfig().GetComment() != "whole" {
		t.Errorf("C6.16: config alone: %v", d)
	}
	// C3.11: the same content again is a write all the same.
	again := r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: config})
	if again.GetEtag() == d.GetEtag() || again.GetUid() != d.GetUid() || again.GetDomainName() != d.GetDomainName() {
		t.Errorf("C3.11: %v after %v", again, d)
	}
	_, err := r.update(t.Context(), &configv1.Distribution{Name: again.GetName(), Etag: again.GetEtag(), CallerReference: "other"}, "caller_reference")
	wantError(t, "C2.5: caller reference", err, codes.InvalidArgument, "ILLEGAL_UPDATE")
	checkKeys(t, kv)
}

// A change that has nothing to do with references is one compare and one put, and
// works while the origin registry is away (C8.49).
func TestDisableWithoutRegistry(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	putOrigin(t, kv, "web", httpEndpoint())
	d := r.mustCreate(t, referring("ref-1", "web"))
	away := start(t, configWith(kv, unanswered{}))
	d, err := away.update(t.Context(), &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{}}, "config.enabled")
	if err != nil || d.GetConfig().GetEnabled() {
		t.Fatalf("C8.49: disable: %v, %v", d, err)
	}
	_, err = away.update(t.Context(), &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: referring("", "web").GetConfig()})
	if err != nil {
		t.Errorf("C8.49: enable and the same content: %v", body(err))
	}
	_, err = away.create(t.Context(), referring("ref-2", "web"))
	wantError(t, "create without the registry", err, codes.Unavailable, "SERVICE_UNAVAILABLE")
	if _, err = away.create(t.Context(), simple("ref-2")); err != nil {
		t.Errorf("create with an inline origin: %v", body(err))
	}
}

// A reference is written anew whenever the content behind it was looked at, so that a
// change of the origin which looks at its referrers sees the write (C8.53).
func TestReferencesAreWrittenAgain(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	putOrigin(t, kv, "web", httpEndpoint())
	d := r.mustCreate(t, referring("ref-1", "web"))
	key := keys.Ref(keys.Origins, "web", keys.Distributions, strings.TrimPrefix(d.GetName(), "distributions/"))
	revision := func() int64 {
		res, err := kv.Get(t.Context(), key)
		if err != nil || len(res.Kvs) != 1 {
			t.Fatalf("reference: %v, %v", res, err)
		}
		return res.Kvs[0].ModRevision
	}
	first := revision()
	d = r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{DefaultRootObject: "index.html"}}, "config.default_root_object")
	if got := revision(); got != d.GetDeployment().GetTargetRevision() || got == first {
		t.Errorf("C8.53: reference at revision %d, written at %d", got, d.GetDeployment().GetTargetRevision())
	}
}

func TestCustomCachePolicy(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	const id = "11111111-2222-4333-8444-555555555555"
	d := simple("ref-1")
	d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/" + id}
	_, err := r.create(t.Context(), d)
	wantError(t, "C2.357: unknown cache policy", err, codes.FailedPrecondition, "NO_SUCH_CACHE_POLICY")
	put(t, kv, keys.CachePolicies, id, &configv1.CachePolicy{Name: "cachePolicies/" + id, Uid: id, Type: configv1.CachePolicy_TYPE_CUSTOM, DisplayName: "mine"})
	made := r.mustCreate(t, d)
	checkKeys(t, kv)
	// C3.29: a changed policy is a change of who refers to it; the etag stays (C3.10).
	register(t, kv, "a")
	report(t, kv, "a", made.GetDeployment().GetTargetRevision())
	if _, err := r.WaitDistribution(t.Context(), &configv1.WaitDistributionRequest{Name: made.GetName()}); err != nil {
		t.Fatal(err)
	}
	rev := put(t, kv, keys.CachePolicies, id, &configv1.CachePolicy{Name: "cachePolicies/" + id, Uid: id, Type: configv1.CachePolicy_TYPE_CUSTOM, DisplayName: "mine too"})
	for {
		now := r.get(t, made.GetName()) // the record is old, so nothing waits for the index
		if now.GetDeployment().GetTargetRevision() == made.GetDeployment().GetTargetRevision() {
			continue
		}
		if now.GetDeployment().GetTargetRevision() != rev || now.GetDeployment().GetState() != commonv1.Deployment_STATE_IN_PROGRESS || now.GetEtag() != made.GetEtag() {
			t.Errorf("C8.69: after a change of the policy at %d: %v", rev, now)
		}
		break
	}
}

func TestListPolicies(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	for i := range 3 {
		id := fmt.Sprintf("0000000%d-2222-4333-8444-555555555555", i)
		put(t, kv, keys.CachePolicies, id, &configv1.CachePolicy{Name: "cachePolicies/" + id, Uid: id, Type: configv1.CachePolicy_TYPE_CUSTOM})
	}
	list := func(kind configv1.CachePolicy_Type, size int32) (ids []string) {
		token := ""
		for {
			res, err := r.policies.ListCachePolicies(t.Context(), &configv1.ListCachePoliciesRequest{PageSize: size, PageToken: token, Type: kind})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(res.GetCachePolicies()); size > 0 && n > int(size) {
				t.Fatalf("%d policies in a page of %d", n, size)
			}
			for _, p := range res.GetCachePolicies() {
				ids = append(ids, p.GetUid())
				if p.GetEtag() == "" || kind != 0 && p.GetType() != kind {
					t.Errorf("policy %v in a list of %v", p, kind)
				}
			}
			if token = res.GetNextPageToken(); token == "" {
				return ids
			}
		}
	}
	all := list(configv1.CachePolicy_TYPE_UNSPECIFIED, 0)
	if len(all) != 11 || !strings.HasPrefix(all[8], "00000000-") || !slices.IsSorted(all[:8]) || !slices.IsSorted(all[8:]) {
		t.Errorf("C3.26: managed first, each by id: %q", all)
	}
	for size := int32(1); size < 12; size++ {
		if diff := cmp.Diff(all, list(configv1.CachePolicy_TYPE_UNSPECIFIED, size)); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", size, diff)
		}
		if diff := cmp.Diff(all[:8], list(configv1.CachePolicy_TYPE_MANAGED, size)); diff != "" {
			t.Errorf("managed ones by %d (-want +got):\n%s", size, diff)
		}
		if diff := cmp.Diff(all[8:], list(configv1.CachePolicy_TYPE_CUSTOM, size)); diff != "" {
			t.Errorf("custom ones by %d (-want +got):\n%s", size, diff)
		}
	}
	for _, id := range []string{all[0], all[9]} {
		res, err := r.policies.GetCachePolicy(t.Context(), &configv1.GetCachePolicyRequest{Name: "cachePolicies/" + id})
		if err != nil || res.GetCachePolicy().GetUid() != id || res.GetCachePolicy().GetEtag() == "" {
			t.Errorf("get %s: %v, %v", id, res, err)
		}
	}
}

func TestListDistributions(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	want := map[string]bool{}
	for i := range 250 {
		want[r.mustCreate(t, simple(fmt.Sprint("ref-", i))).GetName()] = true
	}
	var names []string
	var sizes []int
	token := ""
	for {
		res, err := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{PageToken: token})
		if err != nil {
			t.Fatal(body(err))
		}
		sizes = append(sizes, len(res.GetDistributions()))
		for _, d := range res.GetDistributions() {
			names = append(names, d.GetName())
			if d.GetEtag() == "" || d.GetDeployment().GetState() != commonv1.Deployment_STATE_DEPLOYED || len(d.GetConditions()) != 1 {
				t.Errorf("listed without computed fields: %v", d)
			}
		}
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if diff := cmp.Diff([]int{100, 100, 50}, sizes); diff != "" {
		t.Errorf("C6.17: page sizes (-want +got):\n%s", diff)
	}
	for _, n := range names {
		delete(want, n)
	}
	if len(names) != 250 || len(want) != 0 || !slices.IsSorted(names) {
		t.Errorf("C3.25: %d names, %d missing, sorted %v", len(names), len(want), slices.IsSorted(names))
	}
	_, err := r.policies.ListCachePolicies(t.Context(), &configv1.ListCachePoliciesRequest{PageToken: "abc"})
	wantError(t, "C3.25: a token that is none", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	first, err := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.policies.ListCachePolicies(t.Context(), &configv1.ListCachePoliciesRequest{PageToken: first.GetNextPageToken()})
	wantError(t, "C3.25: a token of another method", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	_, err = r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{PageToken: first.GetNextPageToken() + "A"})
	wantError(t, "C3.25: a changed token", err, codes.InvalidArgument, "INVALID_ARGUMENT")
}

// TestDeleteStagingThatIsNamed: C3.36: what a continuous deployment policy names stays.
func TestDeleteStagingThatIsNamed(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	staging := r.disable(t, r.stage(t, r.mustCreate(t, simple("ref-p")), "ref-s"))
	named := keys.RefsTo(keys.Distributions, strings.TrimPrefix(staging.GetName(), "distributions/")) + "policy"
	if _, err := kv.Put(t.Context(), named, ""); err != nil {
		t.Fatal(err)
	}
	err := r.delete(t.Context(), staging.GetName(), staging.GetEtag())
	wantError(t, "C3.36", err, codes.FailedPrecondition, "RESOURCE_IN_USE")
	if !strings.Contains(body(err), "a continuous deployment policy") {
		t.Errorf("the error does not say by what:\n%s", body(err))
	}
	if _, err := kv.Delete(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	if err := r.delete(t.Context(), staging.GetName(), staging.GetEtag()); err != nil {
		t.Errorf("C3.36: with the policy gone: %v", body(err))
	}
}
