// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

var update = flag.Bool("update", false, "write testdata anew")

// golden compares with a file of testdata.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, -update writes it anew (-want +got)\n%s", path, diff)
	}
}

// broken is a distribution with many faults at once, and an alias that is taken.
func broken() *configv1.Distribution {
	d := simple("", "www.taken.test", "UPPER.example.com", "www.taken.test")
	d.Labels = map[string]string{"aws:reserved": "x"}
	c := d.Config
	c.Comment = strings.Repeat("x", 129)
	c.DefaultRootObject = "/index.html"
	c.PriceClass = 77
	c.Origins[0].ConnectTimeout = durationpb.New(90 * time.Second)
	c.Origins[0].OriginPath = "no-slash/"
	c.CacheBehaviors = []*configv1.CacheBehavior{
		{PathPattern: "/a b", TargetOriginId: "nowhere", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL},
	}
	c.CustomErrorResponses = []*configv1.CustomErrorResponse{{ErrorCode: 418}}
	return d
}

// unbuilt is a distribution with fields of later releases, and faults besides.
func unbuilt() *configv1.Distribution {
	d := broken()
	d.Config.GeoRestriction = &configv1.GeoRestriction{Type: configv1.GeoRestriction_TYPE_DENY_LIST}
	d.Config.DefaultCacheBehavior.Compress = true
	d.Config.HttpVersion = configv1.HttpVersion_HTTP_VERSION_HTTP3
	return d
}

// dangling refers to nothing, twice over, and claims a taken alias.
func dangling() *configv1.Distribution {
	d := referring("ref-d", "gone", "gone-too")
	d.Config.Aliases = []string{"www.taken.test"}
	d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/00000000-0000-4000-8000-000000000000"}
	d.Config.CacheBehaviors = []*configv1.CacheBehavior{proto.CloneOf(d.Config.DefaultCacheBehavior)}
	d.Config.CacheBehaviors[0].PathPattern = "/x/*"
	return d
}

// joined is valid by itself, and not with what it refers to: the policy has Host in
// the key, and the origin is a bucket (C2.101).
func joined() *configv1.Distribution {
	d := referring("ref-j", "bucket")
	d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: hostInKey}
	return d
}

func TestErrors(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	register(t, kv, "a")
	putOrigin(t, kv, "bucket", s3Endpoint())
	d := r.mustCreate(t, simple("ref-1", "www.taken.test", "old.taken.test"))
	off := r.disable(t, r.mustCreate(t, simple("ref-2")))
	name, etag := d.GetName(), d.GetEtag()
	ctx := t.Context()
	create := func(d *configv1.Distribution) func() error {
		return func() error { _, err := r.create(ctx, d); return err }
	}
	change := func(d *configv1.Distribution, paths ...string) func() error {
		return func() error { _, err := r.update(ctx, d, paths...); return err }
	}
	remove := func(name, etag string) func() error {
		return func() error { return r.delete(ctx, name, etag) }
	}
	full := config.Config{Etcd: kv, MaxDistributions: 2}
	small := start(t, full)
	taken := simple("ref-1", "new.taken.test", "www.taken.test", "old.taken.test")
	var b strings.Builder
	for _, tt := range []struct {
		name string
		call func() error
	}{
		{"C2.2: every fault at once", create(broken())},
		{"C2.185: fields that are not built, before their faults", create(unbuilt())},
		{"C2.1: no distribution", create(nil)},
		{"C2.1: an empty distribution", create(&configv1.Distribution{})},
		{"C2.173: every dangling reference at once, before uniqueness", create(dangling())},
		{"C2.101: rules with what is referred to", create(joined())},
		{"C3.43, C3.13: everything that is taken", create(taken)},
		{"C4.4: quota", func() error { _, err := small.create(ctx, simple("ref-3")); return err }},
		{"C3.17: an idempotency key that is none", func() error {
			_, err := r.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: simple("ref-4", "UPPER.example.com"), RequestId: "x"})
			return err
		}},
		{"C2.12: aliases of a staging distribution", func() error {
			staging := simple("ref-4", "new.taken.test")
			staging.Staging = true
			return create(staging)()
		}},
		{"C6.11: bad name", func() error {
			_, err := r.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: "distributions/e"})
			return err
		}},
		{"C2.188: unknown", func() error {
			_, err := r.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: "distributions/EAAAAAAAAAAAAA"})
			return err
		}},
		{"C2.1: an update of nothing", change(nil)},
		{"C2.1: an update without a name", change(&configv1.Distribution{Etag: etag})},
		{"C2.1: an unknown id before the etag", change(&configv1.Distribution{Name: "distributions/EAAAAAAAAAAAAA", Config: broken().GetConfig()})},
		{"C2.334: no etag, before the fields", change(&configv1.Distribution{Name: name, Config: broken().GetConfig()})},
		{"C2.181: impossible etag", change(&configv1.Distribution{Name: name, Etag: "W/" + etag})},
		{"C2.182: stale etag", change(&configv1.Distribution{Name: name, Etag: keys.ETag(1), Config: broken().GetConfig()})},
		{"C2.2: every fault of an update at once", change(&configv1.Distribution{Name: name, Etag: etag, Config: broken().GetConfig()})},
		{"C6.16: mask", change(&configv1.Distribution{Name: name, Etag: etag}, "config.nonsense", "config.origins.id")},
		{"C2.5: immutable", change(&configv1.Distribution{Name: name, Etag: etag, CallerReference: "other"}, "caller_reference")},
		{"C3.43: an update to a taken alias", change(&configv1.Distribution{Name: off.GetName(), Etag: off.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{"www.taken.test"}}}, "config.aliases")},
		{"C2.185: fields of an update that are not built", func() error {
			_, err := r.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{Distribution: unbuilt()})
			return err
		}},
		{"C2.29: staging", change(&configv1.Distribution{Name: name, Etag: etag, Staging: true})},
		{"C2.334: delete without etag", remove(name, "")},
		{"C2.182: delete with a stale etag", remove(name, keys.ETag(1))},
		{"C1.52: delete while enabled", remove(name, etag)},
		{"C1.52: delete before it is deployed", remove(off.GetName(), off.GetEtag())},
		{"C1.52: what may be missing and is not", func() error {
			_, err := r.DeleteDistribution(ctx, &configv1.DeleteDistributionRequest{Name: name, Etag: etag, AllowMissing: true})
			return err
		}},
		{"C6.17: page size", func() error {
			_, err := r.ListDistributions(ctx, &configv1.ListDistributionsRequest{PageSize: -1, PageToken: "?"})
			return err
		}},
		{"C6.17: a filter that cannot be read, with its place", func() error {
			_, err := r.ListDistributions(ctx, &configv1.ListDistributionsRequest{Filter: "alias = a OR alias = b"})
			return err
		}},
		{"C6.17: filters that ask for what there is not, all at once", func() error {
			_, err := r.ListDistributions(ctx, &configv1.ListDistributionsRequest{
				PageSize: -1, Filter: `config.enabled = yes AND color = red AND deployment.state = OK AND origin = "origins/X" AND alias = ""`,
			})
			return err
		}},
		{"C3.27: a filter by what does not exist", func() error {
			_, err := r.ListDistributions(ctx, &configv1.ListDistributionsRequest{Filter: `cache_policy = "cachePolicies/00000000-0000-4000-8000-000000000000"`})
			return err
		}},
		{"C3.56: copy", func() error { _, err := r.CopyDistribution(ctx, &configv1.CopyDistributionRequest{}); return err }},
		{"C3.8: copy of another version", func() error {
			_, err := r.CopyDistribution(ctx, &configv1.CopyDistributionRequest{Source: name, SourceEtag: keys.ETag(1), CallerReference: "c"})
			return err
		}},
		{"C3.13: copy with a reference that was used", func() error {
			_, err := r.CopyDistribution(ctx, &configv1.CopyDistributionRequest{Source: name, CallerReference: "ref-1"})
			return err
		}},
		{"C3.61: promotion", func() error {
			_, err := r.PromoteStagingDistribution(ctx, &configv1.PromoteStagingDistributionRequest{Primary: "x"})
			return err
		}},
		{"C3.7: promotion without the second etag", func() error {
			_, err := r.PromoteStagingDistribution(ctx, &configv1.PromoteStagingDistributionRequest{Primary: name, PrimaryEtag: etag, Staging: off.GetName()})
			return err
		}},
		{"C3.61: promotion of what is no staging distribution", func() error {
			_, err := r.PromoteStagingDistribution(ctx, &configv1.PromoteStagingDistributionRequest{Primary: name, PrimaryEtag: etag, Staging: off.GetName(), StagingEtag: off.GetEtag()})
			return err
		}},
		{"C3.52: move of what is no alias", func() error {
			_, err := r.MoveAlias(ctx, &configv1.MoveAliasRequest{Alias: "UPPER.example.com", Target: "x"})
			return err
		}},
		{"C3.55: move from another version", func() error {
			_, err := r.MoveAlias(ctx, &configv1.MoveAliasRequest{Alias: "www.taken.test", Target: off.GetName(), SourceEtag: keys.ETag(1)})
			return err
		}},
		{"C3.55: move from nobody", func() error {
			_, err := r.MoveAlias(ctx, &configv1.MoveAliasRequest{Alias: "free.taken.test", Target: off.GetName(), SourceEtag: keys.ETag(1)})
			return err
		}},
		{"C3.54: conflicts", func() error {
			_, err := r.ListConflictingAliases(ctx, &configv1.ListConflictingAliasesRequest{Parent: "x", Alias: "*", PageSize: -1})
			return err
		}},
		{"versions of the unknown", func() error {
			_, err := r.ListDistributionVersions(ctx, &configv1.ListDistributionVersionsRequest{Parent: "distributions/EAAAAAAAAAAAAA"})
			return err
		}},
		{"a version that is none", func() error {
			_, err := r.GetDistributionVersion(ctx, &configv1.GetDistributionVersionRequest{Name: name + "/versions/01"})
			return err
		}},
		{"C2.204: a version that is not kept", func() error {
			_, err := r.GetDistributionVersion(ctx, &configv1.GetDistributionVersionRequest{Name: name + "/versions/7"})
			return err
		}},
		{"C2.334: restore without etag", func() error {
			_, err := r.RestoreDistributionVersion(ctx, &configv1.RestoreDistributionVersionRequest{Name: name + "/versions/1"})
			return err
		}},
		{"C3.25: page token", func() error {
			_, err := r.ListDistributions(ctx, &configv1.ListDistributionsRequest{PageToken: "?"})
			return err
		}},
		{"C3.34: wait", func() error {
			_, err := r.WaitDistribution(ctx, &configv1.WaitDistributionRequest{Name: "x", Revision: -1, Timeout: durationpb.New(time.Hour)})
			return err
		}},
		{"C3.34: wait for the unknown", func() error {
			_, err := r.WaitDistribution(ctx, &configv1.WaitDistributionRequest{Name: "distributions/EAAAAAAAAAAAAA"})
			return err
		}},
		{"watch", func() error { return watchError(ctx, r, &configv1.WatchDeploymentRequest{Name: "x", Revision: -1}) }},
		{"watch the unknown", func() error {
			return watchError(ctx, r, &configv1.WatchDeploymentRequest{Name: "distributions/EAAAAAAAAAAAAA"})
		}},
		{"C2.192: unknown cache policy", func() error {
			_, err := r.policies.GetCachePolicy(ctx, &configv1.GetCachePolicyRequest{Name: "cachePolicies/00000000-0000-4000-8000-000000000000"})
			return err
		}},
		{"C6.11: bad name of a cache policy", func() error {
			_, err := r.policies.GetCachePolicy(ctx, &configv1.GetCachePolicyRequest{Name: cachingOptimized[len("cachePolicies/"):]})
			return err
		}},
		{"C6.17: list of cache policies", func() error {
			_, err := r.policies.ListCachePolicies(ctx, &configv1.ListCachePoliciesRequest{PageSize: -1, PageToken: "?", Type: 9})
			return err
		}},
	} {
		err := tt.call()
		if err == nil {
			t.Errorf("%s: no error", tt.name)
		}
		fmt.Fprintf(&b, "# %s\n%s\n", tt.name, body(err))
	}
	golden(t, "errors.txt", strings.NewReplacer(
		name, "distributions/E_ONE", etag, "E_ETAG_OF_ONE", off.GetName(), "distributions/E_TWO", off.GetEtag(), "E_ETAG_OF_TWO",
		fmt.Sprint("revision ", off.GetDeployment().GetTargetRevision()), "revision N",
	).Replace(b.String()))
	checkKeys(t, kv)
	if got := r.get(t, name); got.GetEtag() != etag {
		t.Error("a refused request has written")
	}
}

func watchError(ctx context.Context, r replica, req *configv1.WatchDeploymentRequest) error {
	s, err := r.WatchDeployment(ctx, req)
	if err != nil {
		return err
	}
	_, err = s.Recv()
	return err
}

// deaf hears of nothing.
type deaf struct{ clientv3.Watcher }

// Watch is silent until its end.
func (deaf) Watch(ctx context.Context, _ string, _ ...clientv3.OpOption) clientv3.WatchChan {
	out := make(chan clientv3.WatchResponse)
	context.AfterFunc(ctx, func() { close(out) })
	return out
}

// A replica whose watch is dead says so, instead of what it does not know (C9.46).
func TestIndexBehind(t *testing.T) {
	space := etcdtest.New(t)
	writer, client := serve(t, space.Client(t)), space.Client(t)
	client.Watcher = deaf{client.Watcher}
	r := serve(t, client) // its list is all that it ever sees
	d := writer.disable(t, writer.mustCreate(t, simple("ref")))
	ctx := t.Context()
	var asking sync.WaitGroup
	asking.Go(func() {
		res, err := r.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: d.GetName()})
		got := res.GetDistribution()
		if err != nil || got.GetEtag() != d.GetEtag() || !got.GetReconciling() || got.GetDeployment().GetState() != commonv1.Deployment_STATE_IN_PROGRESS ||
			got.GetConditions()[0].GetStatus() != commonv1.Condition_STATUS_UNKNOWN {
			t.Errorf("get: %v, %v", got, err)
		}
	})
	asking.Go(func() {
		res, err := r.WaitDistribution(ctx, &configv1.WaitDistributionRequest{Name: d.GetName(), Timeout: durationpb.New(time.Millisecond)})
		if err != nil || !res.GetDistribution().GetReconciling() {
			t.Errorf("wait: %v, %v", res, err)
		}
	})
	asking.Go(func() {
		wantError(t, "delete", r.delete(ctx, d.GetName(), d.GetEtag()), codes.Unavailable, "SERVICE_UNAVAILABLE")
	})
	asking.Go(func() {
		wantError(t, "watch", watchError(ctx, r, &configv1.WatchDeploymentRequest{Name: d.GetName()}), codes.Unavailable, "SERVICE_UNAVAILABLE")
	})
	asking.Wait()
}
