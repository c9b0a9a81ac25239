// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"context"

	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/lastgood"

// Measure shows in the metrics of provider, until Close, whether the disk is good.
// Call it at most once.
func (s *Store) Measure(provider metric.MeterProvider) error {
	meter := provider.Meter(scope)
	kept, err := meter.Int64ObservableGauge("seafront.edge.config.kept",
		metric.WithDescription("1 while what is served is also written to disk; 0 after a write has failed."))
	if err != nil {
		return err
	}
	s.gauge, err = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		if s.Failure() == nil {
			to.ObserveInt64(kept, 1)
		} else {
			to.ObserveInt64(kept, 0)
		}
		return nil
	}, kept)
	return err
}
