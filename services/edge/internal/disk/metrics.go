// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/disk"

// Measure shows the log in the metrics of provider until the returned function is
// called.
func (l *Log) Measure(provider metric.MeterProvider) (end func() error, err error) {
	meter := provider.Meter(scope)
	var errs []error
	var all []metric.Observable
	var observe []func(metric.Observer, *Stats)
	counter := func(name, what string, value func(*Stats) int64) {
		c, err := meter.Int64ObservableCounter(name, metric.WithDescription(what))
		errs, all = append(errs, err), append(all, c)
		observe = append(observe, func(to metric.Observer, s *Stats) { to.ObserveInt64(c, value(s)) })
	}
	gauge := func(name, what string, value func(*Stats) int64) {
		g, err := meter.Int64ObservableGauge(name, metric.WithDescription(what))
		errs, all = append(errs, err), append(all, g)
		observe = append(observe, func(to metric.Observer, s *Stats) { to.ObserveInt64(g, value(s)) })
	}
	gauge("seafront.edge.disk.serving", "1 while the disk cache is in service, 0 after the disk has failed too often.", func(s *Stats) int64 {
		if s.State == serving.String() {
			return 1
		}
		return 0
	})
	gauges(gauge)
	counters(counter)
	dropped, err := meter.Int64ObservableCounter("seafront.edge.disk.dropped",
		metric.WithDescription("Records that were not stored, by reason."))
	errs, all = append(errs, err), append(all, dropped)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		s := l.Stats()
		for _, f := range observe {
			f(to, &s)
		}
		for reason, n := range s.Dropped {
			to.ObserveInt64(dropped, n, metric.WithAttributes(attribute.String("reason", reason)))
		}
		return nil
	}, all...)
	if err != nil {
		return nil, err
	}
	return r.Unregister, nil
}

func gauges(add func(name, what string, value func(*Stats) int64)) {
	add("seafront.edge.disk.bytes", "Bytes that the disk cache takes.", func(s *Stats) int64 { return s.Bytes })
	add("seafront.edge.disk.limit", "Bytes that the disk cache may take.", func(s *Stats) int64 { return s.Limit })
	add("seafront.edge.disk.held", "Bytes of removed segments that are still being sent.", func(s *Stats) int64 { return s.Held })
	add("seafront.edge.disk.queued", "Bytes that wait to be written.", func(s *Stats) int64 { return s.Queued })
	add("seafront.edge.disk.objects", "Records in the disk cache.", func(s *Stats) int64 { return s.Objects })
	add("seafront.edge.disk.segments", "Segment files of the disk cache.", func(s *Stats) int64 { return int64(s.Segments) })
}

func counters(add func(name, what string, value func(*Stats) int64)) {
	add("seafront.edge.disk.hits", "Lookups that found a record.", func(s *Stats) int64 { return s.Hits })
	add("seafront.edge.disk.misses", "Lookups that found none.", func(s *Stats) int64 { return s.Misses })
	add("seafront.edge.disk.puts", "Records that were to be stored.", func(s *Stats) int64 { return s.Puts })
	add("seafront.edge.disk.lost", "Records that were stored and could not be written.", func(s *Stats) int64 { return s.Lost })
	add("seafront.edge.disk.removals", "Records that were deleted.", func(s *Stats) int64 { return s.Removals })
	add("seafront.edge.disk.reads", "Reads of segment files.", func(s *Stats) int64 { return s.Reads })
	add("seafront.edge.disk.read_bytes", "Bytes read from segment files.", func(s *Stats) int64 { return s.BytesRead })
	add("seafront.edge.disk.writes", "Writes to segment files.", func(s *Stats) int64 { return s.Writes })
	add("seafront.edge.disk.written_bytes", "Bytes written to segment files.", func(s *Stats) int64 { return s.BytesWritten })
	add("seafront.edge.disk.verified", "Bodies that were checked.", func(s *Stats) int64 { return s.Verified })
	add("seafront.edge.disk.failed_checks", "Records that were not what was written.", func(s *Stats) int64 { return s.FailedChecks })
	add("seafront.edge.disk.faults", "Errors of the disk.", func(s *Stats) int64 { return s.Faults })
	add("seafront.edge.disk.evicted", "Records that had to make room.", func(s *Stats) int64 { return s.Evicted })
	add("seafront.edge.disk.reinserted", "Records that were written anew rather than evicted.", func(s *Stats) int64 { return s.Reinserted })
	add("seafront.edge.disk.reinserted_bytes", "Bytes of records that were written anew.", func(s *Stats) int64 { return s.ReinsertedBytes })
	add("seafront.edge.disk.cut", "Removed segments whose readers were told to let go.", func(s *Stats) int64 { return s.Cut })
}
