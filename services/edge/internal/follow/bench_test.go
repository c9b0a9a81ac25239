// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
	"github.com/seafront-cdn/seafront/services/edge/internal/recordtest"
	"github.com/seafront-cdn/seafront/services/edge/internal/report"
)

// nobody is told, and keeps nothing.
type nobody struct{}

func (nobody) Applied(report.Progress) {}
func (nobody) Keep(lastgood.Step)      {}

// BenchmarkApplyCold brings one changed distribution into service at 100 edges in turn.
// Between two of them the processor's caches are filled with something else, as they are
// on a machine that has other things to do: what counts is how much memory is touched.
func BenchmarkApplyCold(b *testing.B) {
	const edges, others = 100, 20
	followers := make([]*Follower, edges)
	for i := range followers {
		f, err := New(Config{
			Edge: "e1", Report: nobody{}, Keep: nobody{}, Invalidations: invalidation.New(1, 0), Log: slog.New(slog.DiscardHandler),
			Tracer: tracenoop.NewTracerProvider(), Meter: metricnoop.NewMeterProvider(),
		}, lastgood.Content{})
		if err != nil {
			b.Fatal(err)
		}
		for j := range others {
			f.apply(b.Context(), changed(b, fmt.Sprint("E", j), int64(j+1)))
		}
		followers[i] = f
	}
	other := make([]byte, 8<<20)
	var took []time.Duration
	revision := int64(others)
	for i := 0; b.Loop(); i++ {
		if i%edges == 0 {
			revision++
		}
		batch := changed(b, "BENCH", revision)
		for j := 0; j < len(other); j += 64 {
			other[j]++
		}
		began := time.Now()
		followers[i%edges].apply(b.Context(), batch)
		took = append(took, time.Since(began))
	}
	if got := followers[0].Current(); got.Counts()[keys.Distributions] != others+1 {
		b.Fatal(got.Rejections())
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "cold-ns/op") // the median: others use the machine too
}

// changed is the event of a change of a distribution.
func changed(b *testing.B, id string, revision int64) mirror.Batch {
	value := recordtest.Distribution(b, id, fmt.Sprintf("page-%d.html", revision))
	return mirror.Batch{Live: true, Revision: revision, Events: []mirror.Event{
		{Key: keys.Resource(keys.Distributions, id), Value: value, ModRevision: revision},
	}}
}
