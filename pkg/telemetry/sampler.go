// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// KeepKey is the attribute that a span starts with, as true, to be sent whatever the
// sampler says: an edge keeps its spans of errors and slow requests (design 3.10).
// With no endpoint nothing is sent, kept or not.
const KeepKey = attribute.Key("seafront.keep")

// keeping samples what its base samples and what asks to be kept.
type keeping struct{ base sdktrace.Sampler }

// ShouldSample decides about a span that is about to start.
func (k keeping) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	for _, a := range p.Attributes {
		if a.Key == KeepKey && a.Value.Type() == attribute.BOOL && a.Value.AsBool() {
			return sdktrace.SamplingResult{
				Decision:   sdktrace.RecordAndSample,
				Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState(),
			}
		}
	}
	return k.base.ShouldSample(p)
}

// Description names the sampler in debugging output.
func (k keeping) Description() string { return "Keeping{" + k.base.Description() + "}" }
