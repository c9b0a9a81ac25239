// SPDX-License-Identifier: Apache-2.0

package telemetry_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/pkg/telemetry"
)

// spans starts and ends one span of each name, the kept ones with the attribute.
func spans(tel *telemetry.Telemetry, keep bool, names ...string) {
	for _, name := range names {
		_, span := tel.Tracer.Tracer("test").Start(context.Background(), name, trace.WithAttributes(telemetry.KeepKey.Bool(keep)))
		span.End()
	}
}

func TestSpansArrive(t *testing.T) {
	for _, tt := range []struct {
		name     string
		protocol map[string]string
		listen   func(*collector, *testing.T) string
	}{
		{"gRPC is the default", nil, (*collector).listen},
		{"gRPC by name", map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, (*collector).listen},
		{"HTTP by name", map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, (*collector).listenHTTP},
		{"the variable for traces wins", map[string]string{
			"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
		}, (*collector).listenHTTP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clean(t)
			for name, value := range tt.protocol {
				t.Setenv(name, value)
			}
			sink := &collector{}
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tt.listen(sink, t))
			tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "edge", Version: "1.2.3", Instance: "edge-1"})
			if err != nil {
				t.Fatal(err)
			}
			spans(tel, false, "receive", "lookup")
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"receive", "lookup"}, sink.names()); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
			for key, want := range map[string]string{"service.name": "edge", "service.version": "1.2.3", "service.instance.id": "edge-1"} {
				if got := sink.from[key]; got != want {
					t.Errorf("%s = %q, want %q", key, got, want)
				}
			}
		})
	}
}

func TestNothingIsSent(t *testing.T) {
	for _, tt := range []struct {
		name     string
		endpoint bool
		env      map[string]string
	}{
		{"without an endpoint", false, map[string]string{"OTEL_TRACES_SAMPLER": "always_on"}},
		{"when traces are exported to none", true, map[string]string{"OTEL_TRACES_EXPORTER": "none"}},
		{"when the SDK is disabled", true, map[string]string{"OTEL_SDK_DISABLED": "true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clean(t)
			sink := &collector{}
			endpoint := sink.listen(t)
			if tt.endpoint {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
			}
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			tel := start(t, telemetry.Config{Service: "edge"})
			_, span := tel.Tracer.Tracer("test").Start(t.Context(), "receive", trace.WithAttributes(telemetry.KeepKey.Bool(true)))
			if span.IsRecording() || span.SpanContext().IsSampled() {
				t.Error("a span is recorded that nobody will get")
			}
			if !span.SpanContext().HasTraceID() {
				t.Error("a span has no trace id: log lines would lack it")
			}
			span.End()
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := sink.names(); len(got) != 0 {
				t.Errorf("spans %q were sent", got)
			}
		})
	}
}

func TestSampler(t *testing.T) {
	sampled := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
	unsampled := sampled.WithTraceFlags(0)
	for _, tt := range []struct {
		name, sampler, arg string
		parent             trace.SpanContext
		keep               bool
		want               bool
	}{
		{"the default samples roots", "", "", trace.SpanContext{}, false, true},
		{"the default follows an unsampled parent", "", "", unsampled, false, false},
		{"always_off", "always_off", "", sampled, false, false},
		{"always_on does not follow the parent", "ALWAYS_ON", "", unsampled, false, true},
		{"a share of none", "traceidratio", "0", trace.SpanContext{}, false, false},
		{"a share of all", "traceidratio", "1.0", trace.SpanContext{}, false, true},
		{"a share without a number is all", "traceidratio", "", trace.SpanContext{}, false, true},
		{"a share of none follows a sampled parent", "parentbased_traceidratio", "0", sampled, false, true},
		{"parentbased_always_off follows a sampled parent", "parentbased_always_off", "", sampled, false, true},
		{"design 3.10: what asks to be kept is kept", "always_off", "", unsampled, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clean(t)
			sink := &collector{}
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", sink.listen(t))
			t.Setenv("OTEL_TRACES_SAMPLER", tt.sampler)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", tt.arg)
			tel := start(t, telemetry.Config{Service: "edge"})
			ctx := trace.ContextWithSpanContext(t.Context(), tt.parent)
			_, span := tel.Tracer.Tracer("test").Start(ctx, "receive", trace.WithAttributes(telemetry.KeepKey.Bool(tt.keep)))
			span.End()
			if got := span.SpanContext().IsSampled(); got != tt.want {
				t.Errorf("sampled = %v, want %v", got, tt.want)
			}
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := len(sink.names()) == 1; got != tt.want {
				t.Errorf("sent = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestKeepKeepsTheTraceState(t *testing.T) {
	clean(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", (&collector{}).listen(t))
	tel := start(t, telemetry.Config{})
	in := propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "tracestate": "vendor=1"}
	ctx, span := tel.Tracer.Tracer("test").Start(telemetry.Propagator().Extract(t.Context(), in), "receive",
		trace.WithAttributes(telemetry.KeepKey.Bool(true)))
	defer span.End()
	out := propagation.MapCarrier{}
	telemetry.Propagator().Inject(ctx, out)
	if got := out["traceparent"]; !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") || !strings.HasSuffix(got, "-01") {
		t.Errorf("traceparent = %q, want the same trace, sampled", got)
	}
	if got := out["tracestate"]; got != "vendor=1" {
		t.Errorf("tracestate = %q, want vendor=1", got)
	}
}

func TestStartRefusesWhatItCannotFollow(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "want a URL"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "want a URL"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "want grpc or http/protobuf"},
		{"OTEL_TRACES_EXPORTER", "zipkin", "want otlp or none"},
		{"OTEL_TRACES_SAMPLER", "sometimes", "want always_on"},
		{"OTEL_TRACES_SAMPLER_ARG", "1.5", "between 0 and 1"},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN", "between 0 and 1"},
		{"OTEL_RESOURCE_ATTRIBUTES", "nonsense", "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			clean(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
			t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
			t.Setenv(tt.name, tt.value)
			tel, err := telemetry.Start(t.Context(), telemetry.Config{})
			if err == nil {
				_ = tel.Shutdown(t.Context())
				t.Fatal("Start succeeded")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: %v, want it to say %q", err, tt.want)
			}
		})
	}
}

// silent is a collector that takes connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_, _ = io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

func TestCollectorThatDoesNotAnswer(t *testing.T) {
	absent := func(t *testing.T) string {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	for _, tt := range []struct {
		name, protocol string
		endpoint       func(*testing.T) string
	}{
		{"absent, gRPC", "grpc", absent},
		{"absent, HTTP", "http/protobuf", absent},
		{"silent, gRPC", "grpc", silent},
		{"silent, HTTP", "http/protobuf", silent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clean(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tt.endpoint(t))
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", tt.protocol)
			log := &buffer{}
			tel, err := telemetry.Start(t.Context(), telemetry.Config{LogTo: log})
			if err != nil {
				t.Fatal(err)
			}
			for range 10_000 { // more than the queue holds: ending a span must not wait
				spans(tel, false, "receive")
			}
			// The time that Shutdown has is over at once; it must not take the 10 s of an export.
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := tel.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if !strings.Contains(log.String(), "spans are lost") {
				t.Errorf("log = %q, want it to say that spans are lost", log)
			}
		})
	}
}

func TestCollectorThatRefuses(t *testing.T) {
	clean(t)
	refused, taken := &collector{}, &collector{}
	var mu sync.Mutex // guards sink
	sink := http.Handler(http.NotFoundHandler())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sink.ServeHTTP(w, r)
	}))
	defer srv.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1") // each span is a request of its own
	log := &buffer{}
	tel := start(t, telemetry.Config{LogTo: log})
	flush := tel.Tracer.(interface{ ForceFlush(context.Context) error }).ForceFlush

	spans(tel, false, "a", "b", "c")
	if err := flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "spans are lost"); got != 1 {
		t.Errorf("a row of failures is logged %d times, want once:\n%s", got, log)
	}
	if got := scrape(t, tel); !strings.Contains(got, "seafront_telemetry_spans_lost_total 3") {
		t.Errorf("metrics do not count 3 lost spans:\n%s", got)
	}

	mu.Lock()
	sink = taken
	mu.Unlock()
	spans(tel, false, "d")
	if err := flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "takes spans again") {
		t.Errorf("log = %q, want the recovery", log)
	}
	if diff := cmp.Diff([]string{"d"}, taken.names()); diff != "" || len(refused.names()) != 0 {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

func TestLogNamesTheTrace(t *testing.T) {
	clean(t)
	log := &buffer{}
	tel := start(t, telemetry.Config{LogTo: log, LogJSON: true, LogLevel: slog.LevelInfo})
	ctx, span := tel.Tracer.Tracer("test").Start(t.Context(), "receive")
	defer span.End()
	tel.Log.With("part", "viewer").InfoContext(ctx, "request", "status", 200)
	var got map[string]any
	if err := json.Unmarshal([]byte(log.String()), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "request", "part": "viewer", "status": 200.0,
		"trace_id": span.SpanContext().TraceID().String(), "span_id": span.SpanContext().SpanID().String(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	before := log.String()
	tel.Log.DebugContext(ctx, "detail")
	if log.String() != before {
		t.Error("a line below the level is written")
	}
}

func TestLogWithoutTrace(t *testing.T) {
	clean(t)
	log := &buffer{}
	tel := start(t, telemetry.Config{LogTo: log})
	tel.Log.WithGroup("g").Info("started", "a", 1)
	if got := log.String(); strings.Contains(got, "trace_id") || !strings.Contains(got, "g.a=1") {
		t.Errorf("line = %q, want the group's attribute and no ids", got)
	}
	start(t, telemetry.Config{}).Log.Info("nobody listens")
}

func scrape(t *testing.T, tel *telemetry.Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Metrics.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	clean(t)
	tel := start(t, telemetry.Config{Service: "edge", Version: "1.2.3", Instance: "edge-1"})
	requests, err := tel.Meter.Meter("test").Int64Counter("seafront.edge.requests", metric.WithUnit("{request}"))
	if err != nil {
		t.Fatal(err)
	}
	requests.Add(t.Context(), 3, metric.WithAttributes(attribute.String("outcome", "hit")))
	got := scrape(t, tel)
	for _, want := range []string{
		"\ngo_goroutines ", "\nprocess_open_fds ", "\nseafront_edge_requests_total{outcome=\"hit\"} 3\n",
		`service_name="edge"`, `service_version="1.2.3"`, `service_instance_id="edge-1"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("metrics lack %q:\n%s", want, got)
		}
	}
	// Another one in the same process has numbers of its own.
	if other := scrape(t, start(t, telemetry.Config{})); strings.Contains(other, "seafront_edge_requests_total") {
		t.Error("two set-ups share instruments")
	}
}
