// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// numbers are what there is to be read at one moment.
type numbers struct {
	store.Stats
	fill fill.Stats
}

// observed are the instruments that are read when metrics are collected.
type observed struct {
	meter metric.Meter
	all   []metric.Observable
	read  []func(metric.Observer, *numbers)
	errs  []error
}

func (o *observed) add(by metric.Int64Observable, err error, value func(*numbers) int64) {
	o.all, o.errs = append(o.all, by), append(o.errs, err)
	o.read = append(o.read, func(to metric.Observer, n *numbers) { to.ObserveInt64(by, value(n)) })
}

func (o *observed) gauge(name, what string, value func(*numbers) int64) {
	g, err := o.meter.Int64ObservableGauge(name, metric.WithDescription(what))
	o.add(g, err, value)
}

func (o *observed) counter(name, what string, value func(*numbers) int64) {
	c, err := o.meter.Int64ObservableCounter(name, metric.WithDescription(what))
	o.add(c, err, value)
}

// memory adds the numbers of that tier; the disk has its own. A lookup that misses in memory
// goes on there, so hits by misses of both are the hit ratios of the tiers.
func (o *observed) memory() {
	o.gauge("seafront.edge.memory.bytes", "Bytes that the cache in memory takes.", func(n *numbers) int64 { return n.Memory.Bytes })
	o.gauge("seafront.edge.memory.limit", "Bytes that the cache in memory may take.", func(n *numbers) int64 { return n.Memory.Limit })
	o.gauge("seafront.edge.memory.held", "Bytes of objects that are gone and still being sent.", func(n *numbers) int64 { return n.Memory.Held })
	o.gauge("seafront.edge.memory.objects", "Records in memory: objects, marks and slices.", func(n *numbers) int64 { return n.Memory.Records })
	o.counter("seafront.edge.memory.hits", "Lookups that found a record in memory.", func(n *numbers) int64 { return n.Memory.Hits })
	o.counter("seafront.edge.memory.misses", "Lookups that found none in memory.", func(n *numbers) int64 { return n.Memory.Misses })
	o.counter("seafront.edge.memory.evicted", "Records in memory that had to make room.", func(n *numbers) int64 { return n.Memory.EvictedRoom })
	o.counter("seafront.edge.memory.invalidated", "Records in memory that were found dead.", func(n *numbers) int64 { return n.Memory.EvictedInvalidated })
	o.counter("seafront.edge.memory.refused", "Records that memory did not take, too large or for want of room.",
		func(n *numbers) int64 { return n.Memory.RefusedSize + n.Memory.RefusedRoom })
}

// observe registers what is read when metrics are collected.
func observe(meter metric.Meter, p *Pipeline, m *metrics) (metric.Registration, error) {
	o := &observed{meter: meter}
	o.memory()
	o.gauge("seafront.edge.fills", "Origin responses under way.", func(n *numbers) int64 { return n.fill.Fills })
	held, err := meter.Int64ObservableGauge("seafront.edge.fills.size",
		metric.WithDescription("Bytes held for origin responses under way."), metric.WithUnit("By"))
	o.add(held, err, func(n *numbers) int64 { return n.fill.Bytes })
	requests, err := meter.Int64ObservableCounter("seafront.edge.requests",
		metric.WithDescription("Viewer requests answered."))
	o.errs = append(o.errs, err)
	sent, err := meter.Int64ObservableCounter("seafront.edge.sent",
		metric.WithDescription("Body bytes sent to viewers."), metric.WithUnit("By"))
	if err := errors.Join(append(o.errs, err)...); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		n := numbers{Stats: p.Store.Stats(), fill: p.fills.Stats()}
		for _, f := range o.read {
			f(to, &n)
		}
		m.counts.each(func(l labels, t *tally) {
			with := metric.WithAttributeSet(m.set(l))
			to.ObserveInt64(requests, t.requests(), with)
			to.ObserveInt64(sent, t.bytes, with)
		})
		return nil
	}, append(o.all, requests, sent)...)
}

var _ sdkmetric.Producer = (*Pipeline)(nil)

// Produce gives the durations of requests, which no instrument records: see counters.
// Whoever reads metrics has to ask for it (telemetry.Telemetry.Collect).
func (p *Pipeline) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	ends := make([]float64, 0, len(bounds))
	for _, b := range bounds {
		ends = append(ends, b.Seconds())
	}
	now, durations := p.Now(), metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	p.metrics.counts.each(func(l labels, t *tally) {
		point := metricdata.HistogramDataPoint[float64]{
			Attributes: p.metrics.set(l), StartTime: p.metrics.began, Time: now,
			Count: uint64(t.requests()), Sum: time.Duration(t.nanos).Seconds(), Bounds: ends,
		}
		for _, n := range t.took {
			point.BucketCounts = append(point.BucketCounts, uint64(n))
		}
		durations.DataPoints = append(durations.DataPoints, point)
	})
	return []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: scope}, Metrics: []metricdata.Metrics{{
		Name: "seafront.edge.request.duration", Unit: "s", Data: durations,
		Description: "Time from the request to the end of its answer.",
	}}}}, nil
}
