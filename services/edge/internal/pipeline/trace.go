// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// scope names the spans and metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/pipeline"

// slow is how long a head may take before the span of the request is kept, sampled
// or not (design 3.10). The time that a viewer takes for the body does not count.
const slow = time.Second

// keepSpan at a span's start tells the sampler to keep it in any case.
const keepSpan = attribute.Key("seafront.keep")

// open starts the span of a request that is sampled. A viewer's own trace context is
// a link only, unless it comes from a trusted network (design 3.10).
func (p *Pipeline) open(ctx context.Context, x *visit) context.Context {
	if p.tracer == nil {
		return ctx
	}
	remote, trusted := p.viewerTrace(x)
	switch {
	case trusted && !remote.IsSampled():
		return ctx // who called has decided
	case !trusted && p.Sample != nil && !p.Sample():
		return ctx
	}
	within, span := p.startRequest(ctx, remote, trusted, trace.WithTimestamp(x.started))
	if !span.IsRecording() {
		return ctx
	}
	x.span = span
	return within
}

// viewerTrace returns the trace context that the viewer sent, and whether it is to be
// believed.
func (p *Pipeline) viewerTrace(x *visit) (remote trace.SpanContext, trusted bool) {
	if !x.req.Header.Has("traceparent") {
		return trace.SpanContext{}, false
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), carrier{&x.req.Header})
	remote = trace.SpanContextFromContext(ctx)
	trusted = remote.IsValid() && p.TrustTrace != nil && p.TrustTrace(x.req.Viewer.Addr())
	return remote, trusted
}

func (p *Pipeline) startRequest(
	ctx context.Context, remote trace.SpanContext, trusted bool, opts ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	opts = append(opts, trace.WithSpanKind(trace.SpanKindServer))
	switch {
	case trusted:
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
	case remote.IsValid():
		opts = append(opts, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: remote}))
	default:
		opts = append(opts, trace.WithNewRoot())
	}
	return p.tracer.Start(ctx, "request", opts...)
}

// keepFailed makes a span for a request that was not sampled but failed or was slow.
// The context that it returns is for the log line.
func (p *Pipeline) keepFailed(ctx context.Context, x *visit, now time.Time) context.Context {
	failed := x.status() >= 500
	if p.tracer == nil || !failed && x.ready <= slow {
		return ctx
	}
	remote, trusted := p.viewerTrace(x)
	ctx, span := p.startRequest(ctx, remote, trusted,
		trace.WithTimestamp(x.started), trace.WithAttributes(keepSpan.Bool(true)))
	x.finish(span, now)
	return ctx
}

// finish ends the span of the request.
func (x *visit) finish(span trace.Span, now time.Time) {
	span.SetAttributes(x.attributes()...)
	if x.status() >= 500 {
		span.SetStatus(codes.Error, x.reply.made)
	}
	span.End(trace.WithTimestamp(now))
}

// attributes are the words of the glossary, as in the log line.
func (x *visit) attributes() []attribute.KeyValue {
	out := []attribute.KeyValue{
		attribute.String("request_id", strings.Clone(x.id)),
		attribute.String("method", strings.Clone(clip(x.req.Method))), // spans outlive the exchange
		attribute.String("host", strings.Clone(clip(x.req.Host))),
		attribute.String("path", strings.Clone(clip(x.path))),
		attribute.Int("status", x.status()),
		attribute.String("outcome", x.outcome.String()),
		attribute.String("result", x.reply.result.String()),
		attribute.Int64("bytes", x.sent),
		attribute.Bool("collapsed", x.collapsed),
	}
	if x.config != nil {
		out = append(out, attribute.Int64("revision", x.config.Revision))
	}
	if x.distribution != nil {
		out = append(out, attribute.String("distribution", x.distribution.ID))
	}
	if x.behavior != nil {
		out = append(out, attribute.String("behavior", x.behavior.Pattern))
	}
	if x.origin != "" {
		out = append(out, attribute.String("origin", x.origin))
	}
	if a := x.asked; a != nil && a.attempts > 0 {
		out = append(out, attribute.Int("attempts", a.attempts), attribute.String("reason", a.reason.String()))
	}
	return out
}

// startOrigin starts the span of an origin request, if the request that caused it is
// sampled, and hands its context on to the origin.
func (p *Pipeline) startOrigin(
	ctx context.Context, q *question, req *origin.Request, validating bool,
) (context.Context, trace.Span) {
	if !q.traced {
		return ctx, noop.Span{}
	}
	ctx, span := p.tracer.Start(ctx, "origin fetch", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("origin", req.Origin.Name),
		attribute.String("method", req.Method),
		attribute.Bool("validating", validating),
	))
	h := slices.Clone(req.Header)
	propagation.TraceContext{}.Inject(ctx, carrier{&h})
	req.Header = h
	return ctx, span
}

// endedOrigin writes down what came of an origin request.
func (p *Pipeline) endedOrigin(
	ctx context.Context, span trace.Span, validating bool, res *origin.Response, err error,
) {
	p.metrics.origin(ctx, validating, err)
	if !span.IsRecording() {
		return
	}
	if err != nil {
		text := clip(err.Error()) // an origin's bytes may stand in it
		span.RecordError(errors.New(text))
		span.SetStatus(codes.Error, text)
		return
	}
	span.SetAttributes(
		attribute.Int("status", res.Status),
		attribute.Int("attempts", res.Attempts),
		attribute.Bool("reused", res.Reused),
		attribute.String("address", res.RemoteAddr.String()),
	)
}

// linkOrigin leads from a request that waited to the origin fetch it waited for.
func linkOrigin(ctx context.Context, x *visit, a *served) {
	if x.span != nil && x.collapsed && a.span.IsValid() {
		trace.SpanFromContext(ctx).AddLink(trace.Link{SpanContext: a.span})
	}
}

// carrier lets a propagator read and write header fields.
type carrier struct{ fields *header.Fields }

// Get returns the value of a field.
func (c carrier) Get(key string) string { return strings.Clone(c.fields.Get(key)) }

// Set sets a field.
func (c carrier) Set(key, value string) { c.fields.Set(key, value) }

// Keys lists the names of the fields.
func (c carrier) Keys() []string {
	out := make([]string, 0, len(*c.fields))
	for _, f := range *c.fields {
		out = append(out, f.Name)
	}
	return out
}
