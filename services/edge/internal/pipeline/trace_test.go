// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

const (
	viewerTraceID = "0af7651916cd43dd8448eb211c80319c"
	sampledParent = "00-" + viewerTraceID + "-b7ad6b7169203331-01"
	quietParent   = "00-" + viewerTraceID + "-b7ad6b7169203331-00"
)

// keepOnly samples what says so itself, as the edge's sampler does for the rest.
type keepOnly struct{}

func (keepOnly) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	r := sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
	if slices.Contains(p.Attributes, attribute.Bool("seafront.keep", true)) {
		r.Decision = sdktrace.RecordAndSample
	}
	return r
}

func (keepOnly) Description() string { return "keep" }

func recorder(s sdktrace.Sampler) (*tracetest.SpanRecorder, *sdktrace.TracerProvider) {
	r := tracetest.NewSpanRecorder()
	return r, sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(r))
}

// tree writes ended spans as name(children), in the order of their start.
func tree(spans []sdktrace.ReadOnlySpan, parent trace.SpanID) string {
	var out []string
	spans = slices.Clone(spans)
	slices.SortStableFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	for _, s := range spans {
		if s.Parent().SpanID() != parent {
			continue
		}
		text := s.Name()
		if below := tree(spans, s.SpanContext().SpanID()); below != "" {
			text += "(" + below + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func named(t *testing.T, spans []sdktrace.ReadOnlySpan, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	for _, s := range spans {
		if s.Name() == name {
			return s
		}
	}
	t.Fatalf("no span %q", name)
	return nil
}

func TestSpansOfMissAndHit(t *testing.T) {
	spans, tracer := recorder(sdktrace.AlwaysSample())
	e := newEdge(t, options{tracer: tracer})
	e.get("/")
	asked := e.origin.requests()[0]
	waitStored(e)
	all := spans.Ended()
	want := "request(receive match admit key lookup fetch(origin fetch) deliver record)"
	if got := tree(all, trace.SpanID{}); got != want {
		t.Errorf("design 3.10: miss is\n%s, want\n%s", got, want)
	}
	fetch := named(t, all, "origin fetch")
	if tp := asked.Header.Get("traceparent"); tp != fmt.Sprintf("00-%s-%s-01", fetch.SpanContext().TraceID(), fetch.SpanContext().SpanID()) {
		t.Errorf("design 3.10: traceparent %q to the origin", tp)
	}
	request := named(t, all, "request")
	attrs := attribute.NewSet(request.Attributes()...)
	for key, want := range map[attribute.Key]string{
		"distribution": "site", "behavior": "*", "outcome": "miss", "result": "Miss", "status": "200",
		"revision": "7", "origin": "distributions/site/origins/web", "reason": "stored",
	} {
		if v, _ := attrs.Value(key); v.String() != want {
			t.Errorf("attribute %s = %q, want %q", key, v.String(), want)
		}
	}
	if request.SpanKind() != trace.SpanKindServer || fetch.SpanKind() != trace.SpanKindClient {
		t.Error("kinds of spans")
	}
	spans.Reset()
	e.get("/")
	if got := tree(spans.Ended(), trace.SpanID{}); got != "request(receive match admit key lookup deliver record)" {
		t.Errorf("design 3.10: hit is %s", got)
	}
}

// A path may hold any bytes from 0x80 on (D4.12). OTLP takes text only: one attribute
// of other bytes would cost everybody's spans of that batch.
func TestAttributesAreText(t *testing.T) {
	spans, tracer := recorder(sdktrace.AlwaysSample())
	e := newEdge(t, options{tracer: tracer})
	e.get("/\x80\xff")
	e.get("/" + strings.Repeat("\u00e4", longest)) // is cut within a rune
	for _, s := range spans.Ended() {
		for _, a := range s.Attributes() {
			if v := a.Value.String(); !utf8.ValidString(v) {
				t.Errorf("span %s: attribute %s is %q", s.Name(), a.Key, v)
			}
		}
	}
}

func TestTraceContextOfTheViewer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		trusted bool
		header  string
		sample  bool
		want    string // "parent", "link", "none"
	}{
		{"untrusted, sampled there", false, sampledParent, true, "link"},
		{"untrusted: its flag counts for nothing", false, sampledParent, false, "none"},
		{"untrusted, not sampled there", false, quietParent, true, "link"},
		{"trusted, sampled there", true, sampledParent, false, "parent"},
		{"trusted, not sampled there", true, quietParent, true, "none"},
		{"malformed", true, "00-xyz", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spans, tracer := recorder(sdktrace.ParentBased(sdktrace.AlwaysSample()))
			e := newEdge(t, options{tracer: tracer, change: func(c *Config) {
				c.TrustTrace = func(netip.Addr) bool { return tt.trusted }
				c.Sample = func() bool { return tt.sample }
			}})
			e.get("/", "traceparent", tt.header)
			waitStored(e)
			if tt.want == "none" {
				if n := len(spans.Started()); n != 0 {
					t.Errorf("design 3.10: %d spans", n)
				}
				return
			}
			s := named(t, spans.Ended(), "request")
			parent := s.Parent().TraceID().String() == viewerTraceID
			link := len(s.Links()) == 1 && s.Links()[0].SpanContext.TraceID().String() == viewerTraceID
			if parent != (tt.want == "parent") || link != (tt.want == "link") {
				t.Errorf("design 3.10: parent %v, link %v, want %s", parent, link, tt.want)
			}
		})
	}
}

func TestFailedAndSlowRequestsKeepTheirSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans, tracer := recorder(keepOnly{})
		e := newEdge(t, options{tracer: tracer})
		began := time.Now()
		e.get("/fast")
		if n := len(spans.Ended()); n != 0 {
			t.Errorf("%d spans of a fast request", n)
		}
		e.origin.set(func(*origin.Request) page {
			time.Sleep(1500 * time.Millisecond)
			return text(200, "x")
		})
		e.get("/slow")
		e.origin.says(failure(origin.Connect))
		e.get("/failed", "traceparent", sampledParent)
		kept := spans.Ended()
		if len(kept) != 2 {
			t.Fatalf("design 3.10: %d spans kept, want 2", len(kept))
		}
		if d := kept[0].EndTime().Sub(kept[0].StartTime()); d != 1500*time.Millisecond || kept[0].StartTime() != began {
			t.Errorf("slow request: %v from %v", d, kept[0].StartTime())
		}
		if len(kept[1].Links()) != 1 || kept[1].Parent().IsValid() {
			t.Errorf("failed request: links %v", kept[1].Links())
		}
	})
}

func TestWaitersLinkToTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans, tracer := recorder(sdktrace.AlwaysSample())
		e := newEdge(t, options{tracer: tracer})
		e.origin.set(func(*origin.Request) page {
			time.Sleep(time.Second)
			return text(200, "x")
		})
		start(e, 5, "/").wg.Wait()
		synctest.Wait()
		fetch := named(t, spans.Ended(), "origin fetch").SpanContext().SpanID()
		links := 0
		for _, s := range spans.Ended() {
			if s.Name() == "fetch" && len(s.Links()) == 1 && s.Links()[0].SpanContext.SpanID() == fetch {
				links++
			}
		}
		if links != 4 {
			t.Errorf("design 3.10: %d of 4 waiters link to the fetch", links)
		}
	})
}

func TestMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	var meter metric.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	e := newEdge(t, options{meter: meter})
	for range 3 {
		e.get("/")
	}
	e.get("/a b")
	e.origin.says(failure(origin.DNS))
	e.get("/b")
	waitStored(e)
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	values := map[string]int64{}
	add := func(name string, set attribute.Set, v int64) {
		values[name+" "+set.Encoded(attribute.DefaultEncoder())] += v
	}
	produced, err := e.Produce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Concat(rm.ScopeMetrics[0].Metrics, produced[0].Metrics) {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				add(m.Name, p.Attributes, p.Value)
			}
		case metricdata.Gauge[int64]:
			for _, p := range d.DataPoints {
				add(m.Name, p.Attributes, p.Value)
			}
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				add(m.Name, p.Attributes, int64(p.Count))
			}
		}
	}
	for name, want := range map[string]int64{
		"seafront.edge.requests outcome=hit,protocol=HTTP/1.1,status=2xx":         2,
		"seafront.edge.requests outcome=miss,protocol=HTTP/1.1,status=2xx":        1,
		"seafront.edge.requests outcome=none,protocol=HTTP/1.1,status=4xx":        1,
		"seafront.edge.requests outcome=miss,protocol=HTTP/1.1,status=5xx":        1,
		"seafront.edge.sent outcome=hit,protocol=HTTP/1.1,status=2xx":             8,
		"seafront.edge.request.duration outcome=hit,protocol=HTTP/1.1,status=2xx": 2,
		"seafront.edge.origin.requests kind=fetch,result=answer":                  1,
		"seafront.edge.origin.requests kind=fetch,result=dns":                     1,
		"seafront.edge.memory.objects ":                                           2,
		"seafront.edge.fills ":                                                    0,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s = %d, want %d\n%v", name, got, want, values)
		}
	}
}
