// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// stage copies a distribution.
func (r replica) stage(t *testing.T, source *configv1.Distribution, reference string) *configv1.Distribution {
	t.Helper()
	res, err := r.CopyDistribution(t.Context(), &configv1.CopyDistributionRequest{Source: source.GetName(), SourceEtag: source.GetEtag(), CallerReference: reference})
	if err != nil {
		t.Fatalf("copy: %v", body(err))
	}
	return res.GetDistribution()
}

func (r replica) promote(t *testing.T, primary, staging *configv1.Distribution) (*configv1.Distribution, error) {
	t.Helper()
	res, err := r.PromoteStagingDistribution(t.Context(), &configv1.PromoteStagingDistributionRequest{
		Primary: primary.GetName(), PrimaryEtag: primary.GetEtag(), Staging: staging.GetName(), StagingEtag: staging.GetEtag(),
	})
	return res.GetDistribution(), err
}

func TestCopyAndPromote(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	putOrigin(t, kv, "web", httpEndpoint())
	putOrigin(t, kv, "new", httpEndpoint())
	in := referring("ref-p", "web")
	in.Labels = map[string]string{"env": "prod", "team": "a"}
	in.Config.Aliases = []string{"www.example.com"}
	in.Config.Enabled = false
	primary := r.mustCreate(t, in)

	staging := r.stage(t, primary, "ref-s")
	want := proto.CloneOf(primary.GetConfig())
	want.Aliases, want.Enabled = nil, true
	if diff := cmp.Diff(want, staging.GetConfig(), protocmp.Transform()); diff != "" || !staging.GetStaging() || staging.GetCallerReference() != "ref-s" ||
		!cmp.Equal(staging.GetLabels(), in.GetLabels()) || staging.GetDomainName() == primary.GetDomainName() || staging.GetVersion() != 1 {
		t.Errorf("C3.56: the copy is %v (-want +got)\n%s", staging, diff)
	}
	checkKeys(t, kv)

	change := &configv1.Distribution{Name: staging.GetName(), Etag: staging.GetEtag(), Config: proto.CloneOf(staging.GetConfig())}
	change.Config.Comment, change.Config.DefaultRootObject = "tuned", "index.html"
	change.Config.Origins = referring("", "new").GetConfig().GetOrigins()
	change.Config.DefaultCacheBehavior.TargetOriginId = "new"
	staging = r.mustUpdate(t, change)
	_, err := r.update(t.Context(), &configv1.Distribution{Name: staging.GetName(), Etag: staging.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{"s.example.com"}}}, "config.aliases")
	wantError(t, "C2.12", err, codes.InvalidArgument, "INVALID_ARGUMENT")

	stale := proto.CloneOf(staging)
	stale.Etag = primary.GetEtag()
	_, err = r.promote(t, primary, stale)
	wantError(t, "C3.7: a stale second etag", err, codes.Aborted, "PRECONDITION_FAILED")
	_, err = r.promote(t, staging, staging)
	wantError(t, "C3.61: a staging distribution as primary", err, codes.InvalidArgument, "ILLEGAL_UPDATE")
	promoted, err := r.promote(t, primary, staging)
	if err != nil {
		t.Fatal(body(err))
	}
	want = proto.CloneOf(staging.GetConfig())
	want.Aliases, want.Enabled = []string{"www.example.com"}, false
	if diff := cmp.Diff(want, promoted.GetConfig(), protocmp.Transform()); diff != "" || promoted.GetName() != primary.GetName() || promoted.GetStaging() ||
		promoted.GetEtag() == primary.GetEtag() || promoted.GetVersion() != 2 || promoted.GetCallerReference() != "ref-p" {
		t.Errorf("C3.61: %v (-want +got)\n%s", promoted, diff)
	}
	if got := r.get(t, staging.GetName()); got.GetEtag() != staging.GetEtag() {
		t.Error("C3.61: the staging distribution changed")
	}
	checkKeys(t, kv)
	if err := deleteOrigin(t.Context(), kv, "web"); err != nil {
		t.Errorf("C8.55: the origin of before is still referred to: %v", err)
	}
	if deleteOrigin(t.Context(), kv, "new") == nil {
		t.Error("C8.55: the origin of the promoted configuration could be deleted")
	}
}

func TestStagingQuota(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serveWith(t, config.Config{Etcd: kv, Limits: config.Limits{StagingDistributions: 1}})
	primary := r.mustCreate(t, simple("ref-p"))
	staging := r.stage(t, primary, "ref-s")
	_, err := r.CopyDistribution(t.Context(), &configv1.CopyDistributionRequest{Source: primary.GetName(), CallerReference: "ref-t"})
	wantError(t, "C4.5", err, codes.ResourceExhausted, "TOO_MANY_DISTRIBUTIONS")
	r.mustCreate(t, simple("ref-q")) // no staging distribution
	off := r.disable(t, staging)
	if err := r.delete(t.Context(), off.GetName(), off.GetEtag()); err != nil {
		t.Fatal(body(err))
	}
	r.stage(t, primary, "ref-u") // the index has heard of the deletion before the next answer
}

// TestLimits: C4.1, C4.6, C4.7, C4.10: a lowered quota forbids growth and nothing else.
func TestLimits(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	d := r.mustCreate(t, simple("ref", "a.example.com", "b.example.com"))
	low := serveWith(t, config.Config{Etcd: kv, Limits: config.Limits{Aliases: 1, Origins: 1, CacheBehaviors: 1}})
	aliases := func(etag string, names ...string) (*configv1.Distribution, error) {
		return low.update(t.Context(), &configv1.Distribution{Name: d.GetName(), Etag: etag, Config: &configv1.DistributionConfig{Aliases: names}}, "config.aliases")
	}
	now, err := aliases(d.GetEtag(), "a.example.com", "c.example.com")
	if err != nil {
		t.Fatalf("C4.1: an update that does not grow: %v", body(err))
	}
	_, err = aliases(now.GetEtag(), "a.example.com", "c.example.com", "d.example.com")
	wantError(t, "C4.6", err, codes.InvalidArgument, "TOO_MANY_DISTRIBUTION_CNAMES")
	_, err = low.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: "d.example.com", Target: d.GetName()})
	wantError(t, "C3.52", err, codes.InvalidArgument, "TOO_MANY_DISTRIBUTION_CNAMES")
	many := simple("ref-2", "x.example.com", "y.example.com")
	_, err = low.create(t.Context(), many)
	wantError(t, "C4.6", err, codes.InvalidArgument, "TOO_MANY_DISTRIBUTION_CNAMES")
	many = simple("ref-2")
	many.Config.Origins = append(many.Config.Origins, &configv1.Origin{Id: "second", Source: &configv1.Origin_Endpoint{Endpoint: httpEndpoint()}})
	_, err = low.create(t.Context(), many)
	wantError(t, "C4.7", err, codes.InvalidArgument, "TOO_MANY_ORIGINS")
	many = simple("ref-2")
	for _, p := range []string{"/a", "/b"} {
		b := proto.CloneOf(many.GetConfig().GetDefaultCacheBehavior())
		b.PathPattern = p
		many.Config.CacheBehaviors = append(many.Config.CacheBehaviors, b)
	}
	_, err = low.create(t.Context(), many)
	wantError(t, "C4.10", err, codes.InvalidArgument, "TOO_MANY_CACHE_BEHAVIORS")
}

func TestMoveAlias(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	a := r.mustCreate(t, simple("ref-a", "one.example.com", "two.example.com"))
	b := r.mustCreate(t, simple("ref-b"))
	res, err := r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{
		Alias: "one.example.com", Target: b.GetName(), TargetEtag: b.GetEtag(), SourceEtag: a.GetEtag(),
	})
	if err != nil {
		t.Fatal(body(err))
	}
	from, to := r.get(t, a.GetName()), r.get(t, b.GetName())
	if !slices.Equal(from.GetConfig().GetAliases(), []string{"two.example.com"}) || !slices.Equal(to.GetConfig().GetAliases(), []string{"one.example.com"}) ||
		from.GetEtag() == a.GetEtag() || to.GetEtag() == b.GetEtag() || res.GetDistribution().GetEtag() != to.GetEtag() || res.GetSource().GetEtag() != from.GetEtag() ||
		from.GetVersion() != 2 || to.GetVersion() != 2 || len(res.GetWarnings()) == 0 {
		t.Errorf("C3.49: from %v to %v, answer %v", from, to, res)
	}
	if f, u := res.GetSource().GetDeployment().GetTargetRevision(), res.GetDistribution().GetDeployment().GetTargetRevision(); f != u {
		t.Errorf("C8.54: written at revisions %d and %d", f, u)
	}
	checkKeys(t, kv)

	again, err := r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: "one.example.com", Target: b.GetName()})
	if err != nil || again.GetDistribution().GetEtag() != to.GetEtag() || again.GetSource() != nil {
		t.Errorf("C8.54: a move to where it is: %v, %v", again, err)
	}
	added, err := r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: "*.example.com", Target: b.GetName()})
	if err != nil || !slices.Equal(added.GetDistribution().GetConfig().GetAliases(), []string{"one.example.com", "*.example.com"}) || added.GetSource() != nil {
		t.Errorf("C3.49: an alias that nobody had: %v, %v", added, err)
	}
	checkKeys(t, kv)
	staging := r.stage(t, r.get(t, b.GetName()), "ref-s")
	_, err = r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: "one.example.com", Target: staging.GetName()})
	wantError(t, "C3.50", err, codes.InvalidArgument, "ILLEGAL_UPDATE")
	_, err = r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: "one.example.com", Target: "distributions/EAAAAAAAAAAAAA"})
	wantError(t, "C3.52", err, codes.NotFound, "NO_SUCH_DISTRIBUTION")
	// The target would ask itself (C5.12).
	_, err = r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: "origin.example.net", Target: b.GetName()})
	wantError(t, "C5.12", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	checkKeys(t, kv)
}

func TestListConflictingAliases(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	a := r.mustCreate(t, simple("ref-a", "www.example.com", "*.example.com", "*.b.example.com", "example.com"))
	b := r.mustCreate(t, simple("ref-b", "x.b.example.com", "*.x.b.example.com", "www.other.test", "wwwexample.com", "*.xample.com"))
	for _, tt := range []struct {
		alias string
		want  []string
	}{
		{"www.example.com", []string{"*.example.com a", "www.example.com a"}},
		{"free.example.com", []string{"*.example.com a"}},
		{"q.x.b.example.com", []string{"*.example.com a", "*.b.example.com a", "*.x.b.example.com b"}},
		{"example.com", []string{"example.com a"}},
		{"nobody.test", nil},
		{"*.b.example.com", []string{"*.b.example.com a", "x.b.example.com b", "*.x.b.example.com b"}},
		{"*.example.com", []string{"*.example.com a", "*.b.example.com a", "x.b.example.com b", "*.x.b.example.com b", "www.example.com a"}},
		{"*.other.test", []string{"www.other.test b"}},
	} {
		for _, size := range []int32{0, 1, 2} {
			var got []string
			token := ""
			for page := 0; page == 0 || token != ""; page++ {
				res, err := r.ListConflictingAliases(t.Context(), &configv1.ListConflictingAliasesRequest{Parent: b.GetName(), Alias: tt.alias, PageSize: size, PageToken: token})
				if err != nil {
					t.Fatal(body(err))
				}
				for _, c := range res.GetConflicts() {
					got = append(got, c.GetAlias()+" "+strings.NewReplacer(a.GetName(), "a", b.GetName(), "b").Replace(c.GetResource()))
				}
				token = res.GetNextPageToken()
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("C3.54, C8.45: %s by %d: %q, want %q", tt.alias, size, got, tt.want)
			}
		}
	}
	first, err := r.ListConflictingAliases(t.Context(), &configv1.ListConflictingAliasesRequest{Parent: b.GetName(), Alias: "*.example.com", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ListConflictingAliases(t.Context(), &configv1.ListConflictingAliasesRequest{Parent: b.GetName(), Alias: "*.b.example.com", PageToken: first.GetNextPageToken()})
	wantError(t, "C3.25: a token of another name", err, codes.InvalidArgument, "INVALID_ARGUMENT")
}
