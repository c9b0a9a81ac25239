// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// metrics are the numbers of a Follower.
type metrics struct {
	duration metric.Float64Histogram
	compiled metric.Int64Counter
	gauges   metric.Registration
}

func newMetrics(provider metric.MeterProvider, f *Follower) (*metrics, error) {
	meter := provider.Meter(scope)
	m := &metrics{}
	var errs [7]error
	m.duration, errs[0] = meter.Float64Histogram("seafront.edge.config.apply.duration",
		metric.WithDescription("Time from a batch of changes to its being in service."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10))
	m.compiled, errs[1] = meter.Int64Counter("seafront.edge.config.compiled",
		metric.WithDescription("Distributions compiled."))
	revision, err := meter.Int64ObservableGauge("seafront.edge.config.revision",
		metric.WithDescription("etcd revision of the configuration in service."))
	errs[2] = err
	rejected, err := meter.Int64ObservableGauge("seafront.edge.config.rejected",
		metric.WithDescription("Records whose newest version cannot be served."))
	errs[3] = err
	connected, err := meter.Int64ObservableGauge("seafront.edge.config.connected",
		metric.WithDescription("1 while the watch of etcd stands."))
	errs[4] = err
	age, err := meter.Float64ObservableGauge("seafront.edge.config.contact.age",
		metric.WithDescription("Time since etcd was last heard of; nothing before the first time."), metric.WithUnit("s"))
	errs[5] = err
	m.gauges, errs[6] = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		now, status := f.Current(), f.Status()
		to.ObserveInt64(revision, now.Revision)
		to.ObserveInt64(rejected, int64(len(now.Rejections())))
		if status.Connected {
			to.ObserveInt64(connected, 1)
		} else {
			to.ObserveInt64(connected, 0)
		}
		if !status.Contact.IsZero() {
			to.ObserveFloat64(age, time.Since(status.Contact).Seconds())
		}
		return nil
	}, revision, rejected, connected, age)
	return m, errors.Join(errs[:]...)
}

func (m *metrics) applied(ctx context.Context, done snapshot.Report, took time.Duration) {
	m.duration.Record(ctx, took.Seconds())
	if done.Compiled > 0 {
		m.compiled.Add(ctx, int64(done.Compiled))
	}
}

func (m *metrics) close() { _ = m.gauges.Unregister() }
