// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/services/edge/internal/accesslog"
)

// record tells what happened: one event per request, with the same words in log line,
// span and metrics.
func (p *Pipeline) record(ctx context.Context, x *visit) {
	now := x.started.Add(p.since(x.started))
	if x.span == nil {
		ctx = p.keepFailed(ctx, x, now)
		p.event(ctx, x, now)
		return
	}
	_, span := p.tracer.Start(ctx, "record")
	p.event(ctx, x, now)
	span.End()
	x.finish(x.span, now)
}

// event counts the request and writes its line.
func (p *Pipeline) event(ctx context.Context, x *visit, now time.Time) {
	took := now.Sub(x.started)
	p.metrics.request(ctx, x, took)
	if p.Events == nil {
		return
	}
	e := &x.event
	*e = accesslog.Event{
		Time: now, Method: x.req.Method, Host: x.req.Host, Path: x.path,
		Protocol: protocols[protocol(x.req.Major, x.req.Minor)], Status: x.status(),
		Outcome: x.outcome.String(), Result: x.reply.result.String(), Bytes: x.sent, Duration: took,
		RequestID: x.id, Viewer: x.req.Viewer.Addr(), Origin: x.origin, Collapsed: x.collapsed,
	}
	if x.config != nil {
		e.Revision = x.config.Revision
	}
	if x.distribution != nil {
		e.Distribution = x.distribution.ID
	}
	if x.behavior != nil {
		e.Behavior = x.behavior.Pattern
	}
	if a := x.asked; a != nil {
		e.Attempts, e.OriginError = a.attempts, a.failure
		if a.reason != 0 {
			e.Reason = a.reason.String()
		}
	}
	if x.err != nil {
		e.Error = x.err.Error()
	}
	if p.tracer != nil {
		if s := trace.SpanContextFromContext(ctx); s.IsValid() {
			e.TraceID, e.SpanID = s.TraceID(), s.SpanID()
		}
	}
	p.Events.Append(e)
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
