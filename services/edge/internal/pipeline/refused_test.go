// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// What was no request gets the page of other refusals and one event (D4.7), and no
// span: 505 is as easily had as 400.
func TestRefuse(t *testing.T) {
	viewer := netip.MustParseAddrPort("192.0.2.1:1234")
	for _, tt := range []struct {
		name     string
		refusal  exchange.Refusal
		page     bool
		wantPath string
	}{
		{"nothing is known", exchange.Refusal{Why: exchange.SlowHead, Request: exchange.Request{Viewer: viewer, Major: 1, Minor: 1}}, true, ""},
		{"all is known", exchange.Refusal{Why: exchange.BodyTooLarge, Request: exchange.Request{
			Viewer: viewer, Method: "PUT", Host: "x.test", Target: "/a?b", Major: 2,
		}}, true, "/a"},
		{"HEAD has no page", exchange.Refusal{Why: exchange.UnknownVersion, Request: exchange.Request{Viewer: viewer, Method: "HEAD", Target: "/a"}}, false, "/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spans := tracetest.NewInMemoryExporter()
			e := newEdge(t, options{site: siteOf(80), tracer: trace.NewTracerProvider(trace.WithSyncer(spans))})
			var g got
			e.Refuse(t.Context(), &tt.refusal, &g)
			id := g.header.Get(e.Brand.RequestID)
			if g.sends != 1 || g.status != tt.refusal.Why.Status() || !g.closed || g.xcache() != "Error" || len(id) != requestIDLength {
				t.Errorf("%+v", g)
			}
			if page := strings.Contains(g.body, tt.refusal.Why.Sentence()) && strings.Contains(g.body, "Request ID: "+id); page != tt.page {
				t.Errorf("D22.12: %q", g.body)
			}
			var line map[string]any
			if err := json.Unmarshal(e.log.Bytes(), &line); err != nil {
				t.Fatalf("D4.7: not one event: %v, %s", err, e.log)
			}
			r := tt.refusal.Request
			for k, want := range map[string]any{
				"status": float64(tt.refusal.Why.Status()), "method": r.Method, "host": r.Host, "path": tt.wantPath, "outcome": "none",
				"result": "Error", "error": "refused: " + tt.refusal.Why.String(), "request_id": id,
			} {
				if line[k] != want {
					t.Errorf("%s is %v, want %v", k, line[k], want)
				}
			}
			if n := e.Counts().Requests[0]; n != 1 {
				t.Errorf("counted %d times", n)
			}
			if got := spans.GetSpans(); len(got) > 0 {
				t.Errorf("%d spans", len(got))
			}
		})
	}
}
