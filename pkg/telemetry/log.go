// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// The keys under which log lines name the trace that they belong to.
const (
	traceIDKey = "trace_id"
	spanIDKey  = "span_id"
)

func newLog(cfg Config) *slog.Logger {
	if cfg.LogTo == nil {
		return slog.New(slog.DiscardHandler)
	}
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogJSON {
		return slog.New(LogHandler(slog.NewJSONHandler(cfg.LogTo, options)))
	}
	return slog.New(LogHandler(slog.NewTextHandler(cfg.LogTo, options)))
}

// LogHandler makes h add trace_id and span_id of the context to each line, sampled or
// not. They stand in the group that is open, as any other attribute of a line.
func LogHandler(h slog.Handler) slog.Handler { return traced{h} }

type traced struct{ slog.Handler }

// Handle writes a line with the ids of its context.
func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone() // adding to a record that somebody else holds would show there
		r.AddAttrs(slog.String(traceIDKey, sc.TraceID().String()), slog.String(spanIDKey, sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the ids on lines of derived loggers.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup keeps the ids on lines of derived loggers.
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
