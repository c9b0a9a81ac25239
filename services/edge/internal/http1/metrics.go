// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/http1"

// phase is what a connection is doing.
type phase uint32

const (
	idle phase = iota
	inHead
	inBody
	answering
	tunnelling

	phases // how many there are
)

// String is the word of the metric.
func (p phase) String() string {
	switch p {
	case idle:
		return "idle"
	case inHead:
		return "head"
	case inBody:
		return "body"
	case answering:
		return "answer"
	case tunnelling:
		return "tunnel"
	}
	return "unknown"
}

// metrics are the numbers of a Server.
type metrics struct {
	refused, timeouts metric.Int64Counter
	byReason          [exchange.Reasons]metric.AddOption
	byPhase           [phases]metric.MeasurementOption
	gauge             metric.Registration
}

func newMetrics(provider metric.MeterProvider, s *Server) (*metrics, error) {
	meter := provider.Meter(scope)
	m := &metrics{}
	var errs [4]error
	m.refused, errs[0] = meter.Int64Counter("seafront.edge.http1.refused",
		metric.WithDescription("What was refused before it became a request, by reason."))
	m.timeouts, errs[1] = meter.Int64Counter("seafront.edge.http1.timeouts",
		metric.WithDescription("Connections ended because the viewer took too long, by what it was at."))
	open, err := meter.Int64ObservableGauge("seafront.edge.http1.connections",
		metric.WithDescription("Open HTTP/1 connections, by what they are at."))
	errs[2] = err
	for r := range m.byReason {
		m.byReason[r] = metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", exchange.Reason(r).String())))
	}
	for p := range m.byPhase {
		m.byPhase[p] = metric.WithAttributeSet(attribute.NewSet(attribute.String("state", phase(p).String())))
	}
	m.gauge, errs[3] = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		for p, n := range s.count() {
			to.ObserveInt64(open, n, m.byPhase[p])
		}
		return nil
	}, open)
	return m, errors.Join(errs[:]...)
}

// count says how many connections are in each phase.
func (s *Server) count() (n [phases]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		n[c.phase.Load()]++
	}
	return n
}

func (m *metrics) refuse(why exchange.Reason) {
	m.refused.Add(context.Background(), 1, m.byReason[why])
}

func (m *metrics) timeout(p phase) { m.timeouts.Add(context.Background(), 1, m.byPhase[p]) }

func (m *metrics) close() { _ = m.gauge.Unregister() }
