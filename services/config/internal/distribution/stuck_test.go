// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	"github.com/seafront-cdn/seafront/pkg/records"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// clock is the time that an index goes by.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) at() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// pass lets time go by for an index that etcd is heard by.
func (c *clock) pass(x *deployment.Index, d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
	x.Tick(c.at())
}

// follow keeps the index up to date until the test ends.
func follow(t *testing.T, client *clientv3.Client, x *deployment.Index, c *clock) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- mirror.Run(ctx, client, mirror.Config{From: keys.EdgeFrom, To: keys.ConfigTo, EpochKey: keys.Epoch, Keys: x.Keys},
			func(b mirror.Batch) { x.Apply(b, c.at()) })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func putRaw(t *testing.T, client *clientv3.Client, key string, m proto.Message) int64 {
	t.Helper()
	value, err := keys.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Put(t.Context(), key, string(value))
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Revision
}

// TestStuckEdgeHoldsUpNoDeletion: an edge that is alive and follows no more does not
// keep a distribution from being deleted beyond the patience of a minute (C8.73).
func TestStuckEdgeHoldsUpNoDeletion(t *testing.T) {
	client := etcdtest.Client(t)
	x, c := deployment.New(), &clock{now: time.Now()}
	follow(t, client, x, c)
	s := New(Config{
		KV: client, Index: x, Requests: records.NewRequests(client), Most: 10, Versions: 5,
		InProgress: func(string) int { return 0 },
		Limits:     rules.Limits{BaseDomain: "cdn.test", Aliases: 10, Origins: 10, Behaviors: 10},
	})
	report := func(id string, applied int64) {
		t.Helper()
		rev := putRaw(t, client, keys.EdgeStatus(id), &edgev1.EdgeStatus{
			Edge: keys.Edges.Name(id), AppliedRevision: applied, AppliedTime: timestamppb.Now(), JoinRevision: 1,
		})
		if !x.Reach(t.Context(), rev) {
			t.Fatal("the index does not follow")
		}
	}
	for _, id := range []string{"good", "stuck"} {
		putRaw(t, client, keys.Edge(id), &edgev1.Edge{Name: keys.Edges.Name(id)})
	}
	made, err := s.CreateDistribution(t.Context(), &configv1.CreateDistributionRequest{Distribution: small()})
	if err != nil {
		t.Fatal(err)
	}
	d := made.GetDistribution()
	report("good", d.GetDeployment().GetTargetRevision())
	report("stuck", d.GetDeployment().GetTargetRevision())
	off, err := s.UpdateDistribution(t.Context(), &configv1.UpdateDistributionRequest{
		Distribution: &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{}},
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"config.enabled"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d = off.GetDistribution()
	report("good", d.GetDeployment().GetTargetRevision())
	remove := func() error {
		_, err := s.DeleteDistribution(t.Context(), &configv1.DeleteDistributionRequest{Name: d.GetName(), Etag: d.GetEtag()})
		return err
	}
	for range 11 { // heard of etcd each 5 s, as by the beat
		c.pass(x, 5*time.Second)
		if !x.Reach(t.Context(), putRaw(t, client, keys.Beat, &edgev1.Edge{})) {
			t.Fatal("the index does not follow")
		}
	}
	if got := apierr.Reason(apierr.Status(remove())); got != reasonNotDisabled {
		t.Errorf("before the patience is over: %q", got)
	}
	c.pass(x, 5*time.Second)
	if e, ok := x.Edge("stuck", c.at()); !ok || e.GetState() != commonv1.EdgeState_EDGE_STATE_LAGGING {
		t.Errorf("C8.73: stuck is %v", e)
	}
	if err := remove(); err != nil {
		t.Errorf("C8.73: %v", err)
	}
}

// small is a valid distribution with an origin of its own.
func small() *configv1.Distribution {
	return &configv1.Distribution{CallerReference: "ref", Config: &configv1.DistributionConfig{
		Enabled: true,
		Origins: []*configv1.Origin{{Id: "o", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{
			Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
				Host: "origin.example.net", ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
			}},
		}}}},
		DefaultCacheBehavior: &configv1.CacheBehavior{
			TargetOriginId: "o", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
			Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"},
		},
	}}
}
