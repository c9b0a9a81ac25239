// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"slices"
	"sync"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// producers are those who count for themselves, where an instrument would cost too much
// for each count.
type producers struct {
	mu  sync.Mutex // guards all
	all []sdkmetric.Producer
}

// Produce asks all of them. What one fails to say hides nothing of the others.
func (p *producers) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	p.mu.Lock()
	all := slices.Clone(p.all)
	p.mu.Unlock()
	var out []metricdata.ScopeMetrics
	var errs []error
	for _, one := range all {
		m, err := one.Produce(ctx)
		out, errs = append(out, m...), append(errs, err)
	}
	return out, errors.Join(errs...)
}

// Collect has Metrics show what p counts, too, until stop is called.
func (t *Telemetry) Collect(p sdkmetric.Producer) (stop func()) {
	t.produce.mu.Lock()
	defer t.produce.mu.Unlock()
	t.produce.all = append(t.produce.all, p)
	return func() {
		t.produce.mu.Lock()
		defer t.produce.mu.Unlock()
		t.produce.all = slices.DeleteFunc(t.produce.all, func(one sdkmetric.Producer) bool { return one == p })
	}
}
