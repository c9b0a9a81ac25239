// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/follow"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
	"github.com/seafront-cdn/seafront/services/edge/internal/report"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// TestInvalidationAcknowledged measures how long a committed invalidation of
// everything takes until the last of many edges has it on its disk, obeys it, and has
// said so. The edges are real followers, reporters and last good files, with caches full
// of objects; etcd is a process of its own.
//
// With SEAFRONT_BENCH=invalidation there are 20 edges with 50,000 objects each, a
// million in all; otherwise a few show that it works.
func TestInvalidationAcknowledged(t *testing.T) {
	edges, objects, orders := 2, 100, 3
	if os.Getenv("SEAFRONT_BENCH") == "invalidation" {
		edges, objects, orders = 20, 50_000, 200
	}
	at := startStore(t)
	load(t, at, 0)
	ctx, cancel := context.WithCancel(t.Context())
	running, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
	}()
	writer := dial(t, at)
	defer writer.Close()
	acked := newLine(edges)
	caches := make([]*cache, edges)
	for i := range caches {
		caches[i] = startCache(ctx, t, running, at, i)
	}
	await(t, func() bool {
		for _, c := range caches {
			if !c.follower.Status().Connected {
				return false
			}
		}
		return true
	})
	for _, c := range caches {
		c.fill(objects)
	}
	obeyed(ctx, running, writer, acked)
	runtime.GC()
	var took times
	for i := range orders {
		time.Sleep(100 * time.Millisecond)
		revision, written := put(t, writer, keys.Invalidation("BENCH", fmt.Sprintf("I%013d", i)), purge(t, "/*"))
		took = append(took, acked.last(t, revision).Sub(written))
		if i > 0 {
			continue
		}
		for _, c := range caches { // the first one ends everything
			if c.alive(objects) {
				t.Error("an object is alive after the invalidation is acknowledged")
			}
		}
	}
	t.Logf("%d edges with %d objects each, %d invalidations of /*: acknowledged by the last p50 %.1f ms, p99 %.1f ms",
		edges, objects, orders, ms(took.at(50)), ms(took.at(99)))
}

// purge is the record of an invalidation.
func purge(t *testing.T, path string) string {
	t.Helper()
	b, err := proto.Marshal(&configv1.Invalidation{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	value, err := keys.Encode(&storev1.Record{WriteId: 1, Generation: 1, Resource: b})
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

// cache is what of an edge stores and forgets.
type cache struct {
	follower *follow.Follower
	ended    *invalidation.Table
	objects  *store.Store
}

func startCache(ctx context.Context, t *testing.T, running *errgroup.Group, at string, i int) *cache {
	t.Helper()
	client := dial(t, at)
	log := slog.New(slog.DiscardHandler)
	kept, content, _, err := lastgood.Open(filepath.Join(t.TempDir(), fmt.Sprint(i)), log)
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("edge-%d", i+1)
	ended := invalidation.New(content.Era, content.Floor)
	reporter := report.New(report.Config{Etcd: client, ID: id, Pop: "LOC1", Ended: ended.Counts, Log: log})
	follower, err := follow.New(follow.Config{
		Etcd: client, Edge: id, Pop: "LOC1", Report: reporter, Keep: kept, Invalidations: ended, Log: log,
		Tracer: tracenoop.NewTracerProvider(), Meter: metricnoop.NewMeterProvider(),
	}, content)
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() error {
		defer client.Close()
		defer func() { _ = kept.Close() }()
		parts, ctx := errgroup.WithContext(ctx)
		parts.Go(func() error { return reporter.Run(ctx) })
		parts.Go(func() error { return follower.Run(ctx) })
		parts.Go(func() error { return kept.Run(ctx) })
		return parts.Wait()
	})
	objects, err := store.Open(store.Config{MemoryBytes: 1 << 30, Ended: ended})
	if err != nil {
		t.Fatal(err)
	}
	return &cache{follower, ended, objects}
}

func key(i int) cachekey.Key {
	k, _ := new(cachekey.Policy).Build(cachekey.Parts{Distribution: "BENCH", Method: "GET", Path: fmt.Sprintf("/page-%d.html", i)})
	return k
}

// fill stores n objects that came from the origin just now.
func (c *cache) fill(n int) {
	body := [][]byte{make([]byte, 100)}
	now := invalidation.Moment{Era: c.ended.Era(), Revision: c.follower.Current().Revision}
	for i := range n {
		c.objects.Put(&store.Object{
			Key: key(i), Status: 200, Body: body, Size: 100, Lifetime: time.Hour, Retain: time.Hour,
			RequestTime: time.Now(), ResponseTime: time.Now(), Stamp: now.Stamp(),
		})
	}
}

func (c *cache) alive(n int) bool {
	for i := range n {
		if o, ok := c.objects.Peek(key(i)); ok && c.objects.Alive(o) {
			return true
		}
	}
	return false
}

// obeyed reads in the edges' statuses up to where they obey invalidations.
func obeyed(ctx context.Context, running *errgroup.Group, c *clientv3.Client, to *line) {
	events := c.Watch(ctx, keys.EdgeStatusPrefix, clientv3.WithPrefix())
	running.Go(func() error {
		for r := range events {
			for _, e := range r.Events {
				var s edgev1.EdgeStatus
				if e.Type != clientv3.EventTypePut {
					continue
				}
				if err := keys.Decode(e.Kv.Value, &s); err != nil {
					return err
				}
				to.arrive(s.GetEdge(), s.GetAppliedInvalidationRevision())
			}
		}
		return nil
	})
}
