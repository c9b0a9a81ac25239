// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"context"
	"errors"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/h2"

type metrics struct {
	closed, refused metric.Int64Counter
}

func newMetrics(provider metric.MeterProvider) (*metrics, error) {
	var m metrics
	var errs [2]error
	meter := provider.Meter(scope)
	m.closed, errs[0] = meter.Int64Counter("seafront.edge.http2.closed",
		metric.WithDescription("HTTP/2 connections ended for what the viewer sent, by reason."))
	m.refused, errs[1] = meter.Int64Counter("seafront.edge.http2.refused",
		metric.WithDescription("HTTP/2 requests refused before they reached a distribution, by status; reset is REFUSED_STREAM."))
	return &m, errors.Join(errs[:]...)
}

func (m *metrics) ended(r Reason) {
	m.closed.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", r.String())))
}

// reset counts a stream that was refused without an answer.
func (m *metrics) reset(ctx context.Context) {
	m.refused.Add(ctx, 1, metric.WithAttributes(attribute.String("status", "reset")))
}

func (m *metrics) refuse(ctx context.Context, status int) {
	m.refused.Add(ctx, 1, metric.WithAttributes(attribute.String("status", strconv.Itoa(status))))
}
