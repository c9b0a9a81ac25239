// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/accesslog"

// Counts are lines since the beginning.
type Counts struct {
	// Written lines have left. Dropped ones found no room, because the writer was slow;
	// Lost ones could not be written.
	Written, Dropped, Lost int64
}

// Counts returns the present numbers.
func (l *Log) Counts() Counts {
	if l == nil {
		return Counts{}
	}
	c := Counts{Written: l.written.Load(), Lost: l.lost.Load()}
	for _, s := range l.shards {
		s.mu.Lock()
		c.Dropped += s.dropped
		s.mu.Unlock()
	}
	return c
}

// Measure shows the counts in the metrics of provider, until Close. Call it at most
// once.
func (l *Log) Measure(provider metric.MeterProvider) error {
	if l == nil {
		return nil
	}
	meter := provider.Meter(scope)
	lines, err := meter.Int64ObservableCounter("seafront.edge.access_log.lines",
		metric.WithDescription("Lines of the access log: written, dropped because the writer is slow, or lost because it fails."))
	if err != nil {
		return err
	}
	result := func(word string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("result", word)))
	}
	written, dropped, lost := result("written"), result("dropped"), result("lost")
	l.measured, err = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		c := l.Counts()
		to.ObserveInt64(lines, c.Written, written)
		to.ObserveInt64(lines, c.Dropped, dropped)
		to.ObserveInt64(lines, c.Lost, lost)
		return nil
	}, lines)
	return err
}
