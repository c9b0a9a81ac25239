// SPDX-License-Identifier: Apache-2.0

package debug

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/seafront-cdn/seafront/services/edge/internal/follow"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
)

// disk is a disk whose last write ended in a certain way.
type disk struct{ failure error }

func (d disk) Failure() error { return d.failure }

func TestOverviewTellsOfTheDisk(t *testing.T) {
	f, err := follow.New(follow.Config{Meter: metricnoop.NewMeterProvider(), Tracer: tracenoop.NewTracerProvider()}, lastgood.Content{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		failure error
		want    any
	}{
		{nil, nil},
		{errors.New("disk is full"), "disk is full"},
	} {
		mux := http.NewServeMux()
		Register(mux, Config{Follower: f, Disk: disk{tt.failure}})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/config", http.NoBody))
		var page map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		if page["disk_failure"] != tt.want {
			t.Errorf("disk_failure %v, want %v", page["disk_failure"], tt.want)
		}
	}
}
