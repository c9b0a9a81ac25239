// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
)

// trace makes the span of each record that came by the watch, in the trace of the
// call that wrote it: from before it was compiled until it was in service (design
// 3.10). A list makes none: what it brings may be old.
func (f *Follower) trace(ctx context.Context, done snapshot.Report, began, swapped time.Time) {
	for _, a := range done.Applied {
		if a.Traceparent == "" {
			continue
		}
		parent := telemetry.Propagator().Extract(ctx, propagation.MapCarrier{
			"traceparent": a.Traceparent, "tracestate": a.Tracestate,
		})
		if !trace.SpanContextFromContext(parent).IsRemote() {
			continue // not a traceparent
		}
		_, span := f.tracer.Start(parent, "apply", trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(
				attribute.String("resource", a.Resource),
				attribute.Int64("revision", a.ModRevision),
				attribute.String("edge", f.cfg.Edge),
				attribute.String("pop", f.cfg.Pop),
				attribute.Bool("deleted", a.Deleted),
			))
		if a.Rejected != nil {
			span.SetAttributes(attribute.String("rejected", a.Rejected.Reason))
			span.SetStatus(codes.Error, a.Rejected.Message)
		}
		span.End(trace.WithTimestamp(swapped))
	}
}
