// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// collect writes down all numbers that are not zero.
func collect(t *testing.T, r *sdkmetric.ManualReader) []string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var out []string
	add := func(name string, points []metricdata.DataPoint[int64]) {
		for _, p := range points {
			if p.Value != 0 {
				out = append(out, fmt.Sprintf("%s{%s} %d", name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value))
			}
		}
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				add(m.Name, d.DataPoints)
			case metricdata.Gauge[int64]:
				add(m.Name, d.DataPoints)
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		w := newWaiting()
		s := newServer(t, w.Serve, func(c *Config) { c.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)) })
		play(s, "GET / HTTP/1.1\r\n\r\n")
		play(s, "GET /#x HTTP/1.1\r\nHost: h\r\n\r\n")
		play(s, "\n")
		silent, silentOver := join(t, s)
		slow, slowOver := join(t, s)
		busy, busyOver := join(t, s)
		say(t, slow, "GET /")
		say(t, busy, get)
		<-w.entered
		synctest.Wait()
		if diff := cmp.Diff([]string{
			"seafront.edge.http1.connections{state=answer} 1",
			"seafront.edge.http1.connections{state=head} 1",
			"seafront.edge.http1.connections{state=idle} 1",
			"seafront.edge.http1.refused{reason=host} 1",
			"seafront.edge.http1.refused{reason=line_end} 1",
			"seafront.edge.http1.refused{reason=target} 1",
		}, collect(t, reader)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if _, err := io.ReadAll(slow); err != nil {
			t.Error(err)
		}
		<-slowOver
		<-silentOver
		w.proceed <- struct{}{}
		hear(t, busy, "HTTP/1.1 200 OK\r\n")
		_ = busy.Close()
		<-busyOver
		_ = silent.Close()
		if diff := cmp.Diff([]string{
			"seafront.edge.http1.refused{reason=host} 1",
			"seafront.edge.http1.refused{reason=line_end} 1",
			"seafront.edge.http1.refused{reason=slow_head} 1",
			"seafront.edge.http1.refused{reason=target} 1",
			"seafront.edge.http1.timeouts{state=head} 1",
			"seafront.edge.http1.timeouts{state=idle} 1",
		}, collect(t, reader)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestEveryReasonHasAWord(t *testing.T) {
	for r := exchange.Reason(1); r < exchange.Reasons; r++ {
		if r.String() == "none" || r.Status() < 400 || (r.Sentence() == "Bad request.") != (r.Status() == 400) {
			t.Errorf("reason %d: %s, %d", r, r, r.Status())
		}
	}
	for p := idle; p < phases; p++ {
		if p.String() == "unknown" {
			t.Errorf("phase %d has no word", p)
		}
	}
}
