// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge"
)

// cacheService is CacheService of an edge, served as in production until the test ends.
func cacheService(t *testing.T, e *running) (edgev1.CacheServiceClient, grpc_health_v1.HealthClient) {
	t.Helper()
	memory := rpc.NewMemory()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(ctx, rpc.ServerConfig{}, []net.Listener{memory}, e.part) }()
	conn, err := rpc.Dial("passthrough:///memory", rpc.ClientConfig{Dialer: memory.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return edgev1.NewCacheServiceClient(conn), grpc_health_v1.NewHealthClient(conn)
}

func TestCacheService(t *testing.T) {
	c := etcdtest.Client(t)
	e := start(t, c, t.TempDir(), func(c *edge.Config) { c.DiskCacheBytes = 256 << 20 })
	s, health := cacheService(t, e)
	off := site(t, "2", newOrigin(t), optimized)
	off.Config.Enabled = false
	write(t, c, "2", off)
	awaitStatus(t, c, applied(write(t, c, "1", site(t, "1", newOrigin(t), optimized))))

	inspect := func(url string) *edgev1.Inspection {
		t.Helper()
		res, err := s.InspectRequest(t.Context(), &edgev1.InspectRequestRequest{
			Url: url, Headers: []*edgev1.HeaderField{{Name: "Accept-Encoding", Value: "gzip"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetInspection()
	}
	if i := inspect("http://d1.cdn.test/a?b"); len(i.GetObjects()) != 0 || i.GetEnds() != "" || i.GetKey() == "" {
		t.Errorf("nothing stored: %v", i)
	}
	want(t, "first", e.get("http://d1.cdn.test/a"), 200, "Miss")
	await(t, func() bool { return len(inspect("http://d1.cdn.test/a").GetObjects()) == 1 }) // stored right after it was sent
	want(t, "second", e.get("http://d1.cdn.test/a"), 200, "Hit")
	i := inspect("http://d1.cdn.test/a")
	if i.GetDistribution() != "distributions/1" || i.GetPathPattern() != "*" || i.GetCachePolicy() != optimized || i.GetOrigin() == "" || i.GetRevision() == 0 {
		t.Errorf("%v", i)
	}
	if o := i.GetObjects()[0]; o.GetState() != edgev1.StoredObject_STATE_FRESH || o.GetStatus() != 200 || o.GetSize() != int64(len("this is /a")) ||
		o.GetTier() != edgev1.TierStats_KIND_MEMORY || o.GetLifetimeSource() != "DefaultTTL" {
		t.Errorf("%v", o)
	}
	for url, ends := range map[string]string{
		"http://nobody.test/": "match: 403. ", "https://d2.cdn.test": "match: 403. ", "http://a..b/": "match: 400. ",
	} {
		if got := inspect(url).GetEnds(); len(got) < len(ends) || got[:len(ends)] != ends {
			t.Errorf("%s ends %q, want %q", url, got, ends)
		}
	}
	if _, err := s.InspectRequest(t.Context(), &edgev1.InspectRequestRequest{}); grpcstatus.Code(err) != codes.InvalidArgument {
		t.Errorf("no URL: %v", err)
	}

	await(t, func() bool { // a request counts when its answer has ended
		res, err := s.GetCacheStats(t.Context(), &edgev1.GetCacheStatsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		l, tiers := res.GetStats().GetLookups(), res.GetStats().GetTiers()
		return l.GetHits() == 1 && l.GetMisses() == 1 && l.GetHitRatio() == 0.5 &&
			len(tiers) == 2 && tiers[0].GetRecords() == 1 && tiers[1].GetRecords() == 1 && tiers[1].GetInService()
	})
	if res, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "seafront.edge.v1.CacheService"}); err != nil || res.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", res, err)
	}
	e.stop()
	if _, err := s.GetCacheStats(t.Context(), &edgev1.GetCacheStatsRequest{}); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("after the edge has ended: %v", err)
	}
}

func TestExplainPage(t *testing.T) {
	c := etcdtest.Client(t)
	e := start(t, c, t.TempDir())
	awaitStatus(t, c, applied(write(t, c, "1", site(t, "1", newOrigin(t), optimized))))
	want(t, "first", e.get("http://d1.cdn.test/a"), 200, "Miss")
	var page map[string]any
	var objects []any
	await(t, func() bool { // an answer is stored right after it was sent
		page = e.page("/debug/key?url=http://d1.cdn.test/a&header=Accept-Encoding:gzip")
		objects, _ = page["objects"].([]any)
		return len(objects) == 1
	})
	if page["distribution"] != "distributions/1" || page["path_pattern"] != "*" || page["key"] == "" {
		t.Errorf("/debug/key: %v", page)
	}
	if o := objects[0].(map[string]any); o["status"] != 200.0 || o["state"] != "STATE_FRESH" {
		t.Errorf("/debug/key: object %v", o)
	}
	for _, q := range []string{"", "url=x", "url=http://h/&header=x"} {
		if got, body := e.admin("/debug/key?" + q); got != 400 {
			t.Errorf("/debug/key?%s: %d %s", q, got, body)
		}
	}
}
