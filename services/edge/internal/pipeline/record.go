// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"
)

// record tells what happened: one event per request, with the same words in log line,
// span and metrics.
func (p *Pipeline) record(ctx context.Context, x *visit) {
	now := p.Now()
	took := now.Sub(x.started)
	if x.span == nil {
		ctx = p.keepFailed(ctx, x, now)
		p.event(ctx, x, took)
		return
	}
	_, span := p.tracer.Start(ctx, "record")
	p.event(ctx, x, took)
	span.End()
	x.finish(x.span, now)
}

// event counts the request and writes its line.
func (p *Pipeline) event(ctx context.Context, x *visit, took time.Duration) {
	p.metrics.request(ctx, x, took)
	if !p.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	var room [24]slog.Attr
	attrs := append(room[:0],
		slog.String("method", clip(x.req.Method)),
		slog.String("host", clip(x.req.Host)),
		slog.String("path", clip(x.path)),
		slog.String("protocol", protocols[protocol(x.req.Major, x.req.Minor)]),
		slog.Int("status", x.status()),
		slog.String("outcome", x.outcome.String()),
		slog.String("result", x.reply.result.String()),
		slog.Int64("bytes", x.sent),
		slog.Duration("duration", took),
		slog.String("request_id", x.id),
	)
	if x.config != nil {
		attrs = append(attrs, slog.Int64("revision", x.config.Revision))
	}
	if x.distribution != nil {
		attrs = append(attrs, slog.String("distribution", x.distribution.ID))
	}
	if x.behavior != nil {
		attrs = append(attrs, slog.String("behavior", x.behavior.Pattern))
	}
	p.Log.LogAttrs(ctx, slog.LevelInfo, "request", x.originAttrs(attrs)...)
}

// originAttrs adds what the request has to do with an origin, and how it failed.
func (x *visit) originAttrs(attrs []slog.Attr) []slog.Attr {
	if x.origin != "" {
		attrs = append(attrs, slog.String("origin", x.origin), slog.Bool("collapsed", x.collapsed))
	}
	if a := x.asked; a != nil {
		if a.attempts > 0 {
			attrs = append(attrs, slog.Int("attempts", a.attempts))
		}
		if a.failure != "" {
			attrs = append(attrs, slog.String("origin_error", a.failure))
		}
		if a.reason != 0 {
			attrs = append(attrs, slog.String("reason", a.reason.String()))
		}
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("error", x.err.Error()))
	}
	return attrs
}

// panicked turns a panic into an entry of the log.
func (p *Pipeline) panicked(ctx context.Context, x *visit, v any) {
	x.err = fmt.Errorf("panic: %v", v)
	p.logPanic(ctx, v)
}

func (p *Pipeline) logPanic(ctx context.Context, v any) {
	p.Log.LogAttrs(ctx, slog.LevelError, "panic",
		slog.String("error", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
}

// longest is how much of a viewer's string an event holds.
const longest = 1024

// clip bounds a string that others have chosen and makes it text: a path may hold any
// bytes, and one span attribute that is no UTF-8 would cost the collector's batch.
func clip(s string) string {
	if len(s) > longest {
		s = s[:longest]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// status is what the viewer got; 0 if it had gone before there was an answer.
func (x *visit) status() int {
	if x.left {
		return 0
	}
	return x.answer.Status
}
