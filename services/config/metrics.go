// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
)

// observe offers the service's figures to the meter. They are computed when they are
// collected. The returned function ends that.
func (s *Service) observe() (func(), error) {
	if s.cfg.Meter == nil {
		return func() {}, nil
	}
	meter := s.cfg.Meter.Meter("seafront/config")
	distributions, err1 := meter.Int64ObservableGauge("seafront.config.distributions", metric.WithDescription("Distributions that exist."))
	edges, err2 := meter.Int64ObservableGauge("seafront.config.edges", metric.WithDescription("Registered edges by state."))
	lag, err3 := meter.Float64ObservableGauge("seafront.config.deployment.lag", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest change that some live edge does not serve has been known; exact to a second."))
	revision, err4 := meter.Int64ObservableGauge("seafront.config.index.revision", metric.WithDescription("The etcd revision that the deployment is computed from."))
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return nil, fmt.Errorf("make metrics of config: %w", err)
		}
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		stats := s.index.Stats(time.Now())
		o.ObserveInt64(distributions, int64(stats.Distributions))
		o.ObserveFloat64(lag, stats.Lag.Seconds())
		o.ObserveInt64(revision, stats.Revision)
		for _, state := range edgeStates() {
			o.ObserveInt64(edges, int64(stats.Edges[state]), metric.WithAttributes(attribute.String("state", word(state))))
		}
		return nil
	}, distributions, edges, lag, revision)
	if err != nil {
		return nil, fmt.Errorf("make metrics of config: %w", err)
	}
	return func() { _ = registration.Unregister() }, nil // fails never for a registration of ours
}

func edgeStates() []commonv1.EdgeState {
	return []commonv1.EdgeState{
		commonv1.EdgeState_EDGE_STATE_JOINING, commonv1.EdgeState_EDGE_STATE_SERVING,
		commonv1.EdgeState_EDGE_STATE_LAGGING, commonv1.EdgeState_EDGE_STATE_DRAINING, commonv1.EdgeState_EDGE_STATE_GONE,
	}
}

// word is the state as metrics name it, for example serving.
func word(state commonv1.EdgeState) string {
	return strings.ToLower(strings.TrimPrefix(state.String(), "EDGE_STATE_"))
}
