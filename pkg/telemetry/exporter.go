// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter sends spans and treats a collector that does not take them as a fact of
// life: it logs the first failure of a row and the recovery, and counts what is lost.
// The SDK would print each failure through the global log.
type exporter struct {
	to      sdktrace.SpanExporter
	log     *slog.Logger
	lost    metric.Int64Counter
	failing atomic.Bool
}

func newExporter(ctx context.Context, env environment, log *slog.Logger, meter metric.MeterProvider) (*exporter, error) {
	lost, err := meter.Meter("github.com/seafront-cdn/seafront/pkg/telemetry").Int64Counter("seafront.telemetry.spans.lost",
		metric.WithDescription("Spans that the collector did not take."), metric.WithUnit("{span}"))
	if err != nil {
		return nil, fmt.Errorf("make the counter of lost spans: %w", err)
	}
	client := otlptracegrpc.NewClient()
	if env.protocol == protocolHTTP {
		client = otlptracehttp.NewClient()
	}
	to, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("make the OTLP exporter: %w", err)
	}
	return &exporter{to: to, log: log, lost: lost}, nil
}

// ExportSpans sends a batch. It never fails: what is lost is lost.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.to.ExportSpans(ctx, spans)
	if err != nil {
		e.lost.Add(ctx, int64(len(spans)))
		if !e.failing.Swap(true) {
			e.log.WarnContext(ctx, "spans are lost: the collector does not take them", slog.Any("error", err))
		}
		return nil
	}
	if e.failing.Swap(false) {
		e.log.InfoContext(ctx, "the collector takes spans again")
	}
	return nil
}

// Shutdown closes the connection to the collector, after a running export or, when
// ctx is over, in the midst of it.
func (e *exporter) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }
