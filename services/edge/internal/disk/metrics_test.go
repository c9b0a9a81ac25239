// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestMeasure(t *testing.T) {
	l := start(t, small(t.TempDir()))
	defer l.close()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	end, err := l.Measure(provider)
	if err != nil {
		t.Fatal(err)
	}
	l.put("k", 1, 100)
	_ = l.Put("k", Stamp{}, make([]byte, MaxHead+1))
	l.put("k", 2, 100)
	get(t, l.Log, "k")
	get(t, l.Log, "none")
	l.sync()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Gauge[int64]:
				got[m.Name] = d.DataPoints[0].Value
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					reason, _ := p.Attributes.Value("reason")
					got[m.Name+reason.AsString()] = p.Value
				}
			}
		}
	}
	for name, want := range map[string]int64{
		"serving": 1, "limit": 2 << 20, "objects": 1, "segments": 1, "hits": 1, "misses": 1, "puts": 3, "removals": 1,
		"droppedtoo_large": 1, "droppedbusy": 0, "faults": 0, "queued": 0,
	} {
		if v, ok := got["seafront.edge.disk."+name]; !ok || v != want {
			t.Errorf("%s = %d, %v, want %d", name, v, ok, want)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}
