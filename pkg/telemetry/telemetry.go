// SPDX-License-Identifier: Apache-2.0

// Package telemetry sets up what a process tells about itself: spans to an OTLP
// collector, metrics for Prometheus, and logs that carry the ids of traces.
//
// It promises: without an endpoint in the standard OTEL_ variables nothing is sent;
// a collector that does not answer costs spans and nothing else; nothing global is
// set, so several may live in one process. It does not send metrics or logs over
// OTLP, and it names no instrument: those belong to the packages that measure.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// longestShutdown bounds Shutdown where its context does not.
const longestShutdown = 5 * time.Second

// Config says who the process is and where its logs go.
type Config struct {
	// Service, Version and Instance name the process in traces and metrics, for
	// example edge, 0.1.0 and edge-2. OTEL_SERVICE_NAME and
	// OTEL_RESOURCE_ATTRIBUTES win over them.
	Service, Version, Instance string
	// LogLevel is the least severe level that is logged; the zero value is info.
	LogLevel slog.Level
	// LogJSON chooses JSON over key=value lines.
	LogJSON bool
	// LogTo takes the log lines; nil drops them.
	LogTo io.Writer
}

// Telemetry is what the parts of a process report through.
type Telemetry struct {
	// Log adds trace_id and span_id of the context to each line.
	Log    *slog.Logger
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// Metrics answers with everything measured through Meter, and with the
	// metrics of the Go runtime and of the process, in Prometheus' text form.
	Metrics http.Handler

	spans   *sdktrace.TracerProvider
	numbers *sdkmetric.MeterProvider
	produce producers
	out     *exporter // nil when nothing is sent
}

// Propagator is how trace contexts travel between processes: W3C traceparent and
// tracestate. Baggage is left out: strangers could fill it.
func Propagator() propagation.TextMapPropagator { return propagation.TraceContext{} }

// Start sets everything up. It needs no collector to be there, now or later. It fails
// on OTEL_ variables that it cannot follow. Call Shutdown at the end.
func Start(ctx context.Context, cfg Config) (*Telemetry, error) {
	t := &Telemetry{Log: newLog(cfg)}
	who, err := describe(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := t.startMetrics(who); err != nil {
		return nil, err
	}
	if err := t.startTraces(ctx, who); err != nil {
		return nil, errors.Join(err, t.numbers.Shutdown(ctx))
	}
	return t, nil
}

func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	var who []attribute.KeyValue
	for key, value := range map[attribute.Key]string{
		semconv.ServiceNameKey: cfg.Service, semconv.ServiceVersionKey: cfg.Version, semconv.ServiceInstanceIDKey: cfg.Instance,
	} {
		if value != "" {
			who = append(who, key.String(value))
		}
	}
	res, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(who...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe the process from OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return res, nil
}

// startMetrics keeps a registry of its own: the global one would mix processes
// within a process and holds whatever libraries put there.
func (t *Telemetry) startMetrics(who *resource.Resource) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	reader, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo(), otelprom.WithProducer(&t.produce))
	if err != nil {
		return fmt.Errorf("make the metrics registry: %w", err)
	}
	t.numbers = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(who))
	t.Meter = t.numbers
	t.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(t.Log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError, // one bad metric hides no other
		MaxRequestsInFlight: scrapesAtOnce,
	})
	return nil
}

// scrapesAtOnce bounds what scraping can cost; more are told to come again.
const scrapesAtOnce = 8

func (t *Telemetry) startTraces(ctx context.Context, who *resource.Resource) error {
	env, err := readEnv()
	if err != nil {
		return err
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(who), sdktrace.WithSampler(sdktrace.NeverSample())}
	if env.send {
		t.out, err = newExporter(ctx, env, t.Log, t.Meter)
		if err != nil {
			return err
		}
		// The batcher drops spans when its queue is full: it never holds up whoever ends one.
		options = append(options, sdktrace.WithSampler(keeping{env.sampler}), sdktrace.WithBatcher(t.out))
	}
	t.spans = sdktrace.NewTracerProvider(options...)
	t.Tracer = t.spans
	return nil
}

// Exports says whether spans can go anywhere. Where they cannot, a hot path need not
// make any. A Telemetry that was not made by Start has a Tracer of its maker's, which
// counts.
func (t *Telemetry) Exports() bool { return t.out != nil || t.spans == nil }

// Shutdown sends what is left to send and stops. It ends when ctx does, and within
// 5 s in any case; spans that could not be sent by then are lost, which is logged and
// is no error. Later calls do nothing.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longestShutdown)
	defer cancel()
	err := t.spans.Shutdown(ctx)
	if t.out != nil && ctx.Err() != nil {
		// The batcher has stopped waiting, but its export would go on.
		_ = t.out.Shutdown(ctx)
	}
	if err != nil && ctx.Err() != nil {
		t.Log.WarnContext(ctx, "spans are lost: the collector did not take them in time")
		err = nil
	}
	// The context may be over by now, and a registry needs no time to close.
	if stop := t.numbers.Shutdown(context.WithoutCancel(ctx)); !errors.Is(stop, sdkmetric.ErrReaderShutdown) {
		err = errors.Join(err, stop)
	}
	return err
}
