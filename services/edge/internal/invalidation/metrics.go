// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/invalidation"

// numbers are the counters of a Table.
type numbers struct {
	applied, met, overflows, drops, refused atomic.Int64
}

// Refused counts an answer that was not stored because something has invalidated it
// while it was on its way (D25.15).
func (t *Table) Refused() { t.numbers.refused.Add(1) }

// Measure shows the table in the metrics of provider until the returned function is
// called.
func (t *Table) Measure(provider metric.MeterProvider) (end func() error, err error) {
	meter := provider.Meter(scope)
	var errs []error
	counter := func(name, what string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter(name, metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	gauge := func(name, what string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithDescription(what))
		errs = append(errs, err)
		return g
	}
	applied := counter("seafront.edge.invalidations", "Invalidations that came into force.")
	met := counter("seafront.edge.invalidations.objects", "Stored objects that an invalidation has ended.")
	refused := counter("seafront.edge.invalidations.refused", "Answers not stored because they were invalidated on their way.")
	overflows := counter("seafront.edge.invalidations.overflows", "Distributions taken as invalidated as a whole for want of memory.")
	drops := counter("seafront.edge.cache.drops", "Times that the whole cache was dropped.")
	newest := gauge("seafront.edge.invalidations.revision", "etcd revision of the newest invalidation in force.")
	entries := gauge("seafront.edge.invalidations.entries", "Paths and tags in the table of invalidations.")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		t.mu.RLock()
		held := t.entries
		t.mu.RUnlock()
		to.ObserveInt64(applied, t.numbers.applied.Load())
		to.ObserveInt64(met, t.numbers.met.Load())
		to.ObserveInt64(refused, t.numbers.refused.Load())
		to.ObserveInt64(overflows, t.numbers.overflows.Load())
		to.ObserveInt64(drops, t.numbers.drops.Load())
		to.ObserveInt64(newest, t.Newest())
		to.ObserveInt64(entries, int64(held))
		return nil
	}, applied, met, refused, overflows, drops, newest, entries)
	if err != nil {
		return nil, err
	}
	return r.Unregister, nil
}
