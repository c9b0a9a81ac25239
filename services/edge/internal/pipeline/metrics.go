// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// protocols are the HTTP versions that metrics tell apart.
var protocols = [...]string{"HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"}

// classes is how many classes of status there are, 1xx to 5xx, and 0 for none.
const classes = 6

// metrics are the numbers of a Pipeline. The sets of attributes are made once, so
// that a hit costs no allocation; their values are few and none is a viewer's.
type metrics struct {
	collapsed, fetches metric.Int64Counter

	// fetched are the attributes of a fetch that was answered, which most are.
	fetched []metric.AddOption

	sets [outcomes][classes][len(protocols)]attribute.Set

	gauges metric.Registration
	began  time.Time
	counts counters
}

func newMetrics(provider metric.MeterProvider, p *Pipeline) (*metrics, error) {
	meter := provider.Meter(scope)
	m := &metrics{began: p.Now(), fetched: []metric.AddOption{fetchOf("fetch", "answer")}}
	var errs [2]error
	m.collapsed, errs[0] = meter.Int64Counter("seafront.edge.collapsed",
		metric.WithDescription("Viewer requests answered by the fill of another."))
	m.fetches, errs[1] = meter.Int64Counter("seafront.edge.origin.requests",
		metric.WithDescription("Requests to origins, by kind and what came of them."))
	for o := range m.sets {
		for c := range m.sets[o] {
			for v := range m.sets[o][c] {
				m.sets[o][c][v] = attribute.NewSet(
					attribute.String("outcome", Outcome(o).String()),
					attribute.String("status", statusClass(c)),
					attribute.String("protocol", protocols[v]),
				)
			}
		}
	}
	err := errors.Join(errs[:]...)
	if err != nil {
		return nil, err
	}
	m.gauges, err = observe(meter, p, m)
	return m, err
}

// set is the attributes of labels.
func (m *metrics) set(l labels) attribute.Set { return m.sets[l.outcome][l.class][l.protocol] }

func statusClass(c int) string {
	if c == 0 {
		return "none" // nobody was there to be answered
	}
	return strconv.Itoa(c) + "xx"
}

// request counts one answer.
func (m *metrics) request(ctx context.Context, x *visit, took time.Duration) {
	class := 0
	if s := x.status(); s >= 100 && s < 600 {
		class = s / 100
	}
	l := labels{int(x.outcome), class, protocol(x.req.Major, x.req.Minor)}
	m.counts.add(x, l, took)
	if x.collapsed {
		m.collapsed.Add(ctx, 1)
	}
}

// origin counts one request to an origin. What came of it is a word of package
// origin, so there are few.
func (m *metrics) origin(ctx context.Context, validating bool, err error) {
	if !validating && err == nil {
		m.fetches.Add(ctx, 1, m.fetched...)
		return
	}
	kind, result := "fetch", "answer"
	if validating {
		kind = "validate"
	}
	if err != nil {
		result = failureOf(err)
	}
	m.fetches.Add(ctx, 1, fetchOf(kind, result))
}

func fetchOf(kind, result string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("kind", kind), attribute.String("result", result)))
}

// failureOf is the word for a failed origin request.
func failureOf(err error) string {
	var e *origin.Error
	if errors.As(err, &e) {
		return e.Kind.String()
	}
	return "unknown"
}

func (m *metrics) close() { _ = m.gauges.Unregister() }

// protocol is the index of an HTTP version.
func protocol(major, minor int) int {
	switch {
	case major == 2:
		return 2
	case major >= 3:
		return 3
	case major == 1 && minor >= 1:
		return 1
	default:
		return 0
	}
}
