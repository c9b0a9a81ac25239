// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/follow"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
	"github.com/seafront-cdn/seafront/services/edge/internal/recordtest"
	"github.com/seafront-cdn/seafront/services/edge/internal/report"
)

// storeEnv makes a process of this test binary an etcd with its data there.
const storeEnv = "SEAFRONT_BENCH_STORE"

// collectEvery is after how many changes garbage is collected, in the pause between
// two of them and at no other time: the hundred edges of this one process, which would
// all stand still together, are a hundred processes in life, each with a small heap.
const collectEvery = 50

// bareKey is what bare watchers watch; edges do not see it.
const bareKey = "/bare/key"

// TestPropagation measures how long a committed change takes until the last of many
// edges serves it, and until the last has acknowledged it, beside the same number of
// bare etcd watchers that get a value of the same size in turn. The edges are real
// followers and reporters, each with its own connection, compiled state and status
// key; etcd is a process of its own with its disk. They write no last good
// configuration: a hundred edges have a hundred disks.
//
// With SEAFRONT_BENCH=propagation it is the benchmark; otherwise a few changes show
// that it works.
func TestPropagation(t *testing.T) {
	if dir := os.Getenv(storeEnv); dir != "" {
		beStore(t, dir)
		return
	}
	loads, counts, changes := []int{0, 100}, []int{1, 3}, 5
	switch os.Getenv("SEAFRONT_BENCH") {
	case "propagation":
		loads, counts, changes = []int{0, 10_000}, []int{1, 10, 100}, 500
	case "propagation-full": // 20 edges hold 100,000 distributions each: 8 GiB
		loads, counts, changes = []int{100_000}, []int{20}, 200
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-14s %5s  %-21s %-33s  %-21s\n", "distributions", "edges", "bare watchers p50 p99", "last serves p50 p99 (x bare)", "last ack p50 p99")
	for _, loaded := range loads {
		store := startStore(t)
		load(t, store, loaded)
		for _, n := range counts {
			r := measure(t, store, n, loaded, changes)
			row := fmt.Sprintf("%-14d %5d  %-21s %-21s %5s %5s  %-21s", loaded, n, r.bare, r.serves,
				ratio(r.serves, r.bare, 50), ratio(r.serves, r.bare, 99), r.acked)
			t.Log(row)
			t.Log(r.growth.hour(n))
			table.WriteString(row + "\n")
		}
	}
	t.Logf("%d changes each; milliseconds from the answer to the write\n%s", changes, &table)
}

// times are what one quantity came to, one for each change.
type times []time.Duration

// at is the p-th percentile.
func (d times) at(p int) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[min(len(s)*p/100, len(s)-1)]
}

func (d times) String() string {
	return fmt.Sprintf("%7.2f %7.2f", ms(d.at(50)), ms(d.at(99)))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// ratio is left out where the bare watchers are done before the writer knows.
func ratio(a, b times, p int) string {
	if b.at(p) < time.Millisecond/2 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(a.at(p))/float64(b.at(p)))
}

type result struct {
	bare, serves, acked times
	growth              growth
}

// measure runs n edges and n bare watchers and changes a distribution and a bare key
// in turn, so that neither side wakes the other.
func measure(t *testing.T, store string, n, loaded, changes int) result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	running, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
	}()
	writer := dial(t, store)
	defer writer.Close()
	bare, swapped, acked := newLine(n), newLine(n), newLine(n)
	for i := range n {
		watch(ctx, t, running, store, i, bare)
	}
	followers := make([]*follow.Follower, n)
	for i := range n {
		followers[i] = startEdge(ctx, t, running, store, i, swapped)
	}
	await(t, func() bool {
		return !slices.ContainsFunc(followers, func(f *follow.Follower) bool {
			return !f.Status().Connected || f.Current().Counts()[keys.Distributions] != loaded+1
		})
	})
	observe(ctx, running, writer, acked)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	// One status of an edge is written this long after the other (design 3.4).
	pace := time.Duration(n)*time.Second/400 + 30*time.Millisecond
	var r result
	before := sizeOf(t, writer, store)
	for i := range changes {
		if i%collectEvery == 0 {
			runtime.GC()
		}
		value := string(recordtest.Distribution(t, "BENCH", fmt.Sprintf("page-%d.html", i)))
		for _, turn := range []struct {
			key   string
			lines []*line
			out   []*times
		}{
			{bareKey, []*line{bare}, []*times{&r.bare}},
			{keys.Resource(keys.Distributions, "BENCH"), []*line{swapped, acked}, []*times{&r.serves, &r.acked}},
		} {
			time.Sleep(pace / 2)
			revision, at := put(t, writer, turn.key, value)
			for j, l := range turn.lines {
				*turn.out[j] = append(*turn.out[j], l.last(t, revision).Sub(at))
			}
		}
	}
	r.growth = sizeOf(t, writer, store).since(before, changes)
	return r
}

// put writes a value; at is when the write was known to be committed.
func put(t *testing.T, c *clientv3.Client, key, value string) (revision int64, at time.Time) {
	t.Helper()
	res, err := c.Put(t.Context(), key, value)
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.GetRevision(), time.Now()
}

// arrival says that somebody has a revision.
type arrival struct {
	who      string
	revision int64
	at       time.Time
}

// line is where n participants arrive.
type line struct {
	n  int
	at chan arrival
}

func newLine(n int) *line { return &line{n, make(chan arrival, 1<<16)} }

func (l *line) arrive(who string, revision int64) { l.at <- arrival{who, revision, time.Now()} }

// last returns when the last of all had a revision.
func (l *line) last(t *testing.T, revision int64) time.Time {
	t.Helper()
	seen := map[string]struct{}{}
	timeout := time.After(time.Minute)
	for {
		select {
		case a := <-l.at:
			if a.revision < revision {
				continue
			}
			if seen[a.who] = struct{}{}; len(seen) == l.n {
				return a.at
			}
		case <-timeout:
			t.Fatalf("revision %d has reached %d of %d only", revision, len(seen), l.n)
		}
	}
}

// watch runs a bare watcher.
func watch(ctx context.Context, t *testing.T, running *errgroup.Group, store string, i int, to *line) {
	t.Helper()
	c := dial(t, store)
	who := fmt.Sprint(i)
	events := c.Watch(clientv3.WithRequireLeader(ctx), bareKey, clientv3.WithProgressNotify(), clientv3.WithCreatedNotify())
	if created := <-events; !created.Created {
		t.Fatalf("watch: %v", created.Err())
	}
	running.Go(func() error {
		defer c.Close()
		for r := range events {
			if len(r.Events) > 0 {
				to.arrive(who, r.Header.GetRevision())
			}
		}
		return nil
	})
}

// tap tells when an edge serves a revision, and hands on.
type tap struct {
	who  string
	to   *line
	next *report.Reporter
}

// Applied is called right after the swap.
func (p tap) Applied(progress report.Progress) {
	p.to.arrive(p.who, progress.Snapshot.Revision)
	p.next.Applied(progress)
}

// noDisk keeps nothing.
type noDisk struct{}

// Keep does nothing.
func (noDisk) Keep(lastgood.Step) {}

// startEdge runs what of an edge follows and reports.
func startEdge(ctx context.Context, t *testing.T, running *errgroup.Group, store string, i int, to *line) *follow.Follower {
	t.Helper()
	c := dial(t, store)
	id := fmt.Sprintf("edge-%d", i+1)
	log := slog.New(slog.DiscardHandler)
	reporter := report.New(report.Config{Etcd: c, ID: id, Pop: "LOC1", Log: log})
	follower, err := follow.New(follow.Config{
		Etcd: c, Edge: id, Pop: "LOC1", Report: tap{id, to, reporter}, Keep: noDisk{}, Invalidations: invalidation.New(1, 0), Log: log,
		Tracer: tracenoop.NewTracerProvider(), Meter: metricnoop.NewMeterProvider(),
	}, lastgood.Content{})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() error {
		defer c.Close()
		parts, ctx := errgroup.WithContext(ctx)
		parts.Go(func() error { return reporter.Run(ctx) })
		parts.Go(func() error { return follower.Run(ctx) })
		return parts.Wait()
	})
	return follower
}

// observe reads the edges' statuses, as config does.
func observe(ctx context.Context, running *errgroup.Group, c *clientv3.Client, to *line) {
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
				to.arrive(s.GetEdge(), s.GetAppliedRevision())
			}
		}
		return nil
	})
}

func await(t *testing.T, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the edges are not ready after ten minutes")
		}
	}
}

func dial(t *testing.T, store string) *clientv3.Client {
	t.Helper()
	c, err := etcd.Dial([]string{store})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
