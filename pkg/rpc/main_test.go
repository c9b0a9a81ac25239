// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// origins is a part with one service, whose answers a test gives.
type origins struct {
	originv1.UnimplementedOriginServiceServer
	get func(context.Context, *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error)
	run func(context.Context, func(bool)) error
}

// Register adds the service.
func (o *origins) Register(r grpc.ServiceRegistrar) { originv1.RegisterOriginServiceServer(r, o) }

// Run serves until ctx ends, or does what the test says.
func (o *origins) Run(ctx context.Context, serving func(bool)) error {
	if o.run != nil {
		return o.run(ctx, serving)
	}
	return serveUntil(ctx, serving)
}

// GetOrigin does what the test says.
func (o *origins) GetOrigin(ctx context.Context, req *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
	return o.get(ctx, req)
}

// distributions is a part with a stream.
type distributions struct {
	configv1.UnimplementedDistributionServiceServer
	watch func(grpc.ServerStreamingServer[configv1.WatchDeploymentResponse]) error
	run   func(context.Context, func(bool)) error
}

// Register adds the service.
func (d *distributions) Register(r grpc.ServiceRegistrar) {
	configv1.RegisterDistributionServiceServer(r, d)
}

// Run serves until ctx ends, or does what the test says.
func (d *distributions) Run(ctx context.Context, serving func(bool)) error {
	if d.run != nil {
		return d.run(ctx, serving)
	}
	return serveUntil(ctx, serving)
}

// WatchDeployment does what the test says.
func (d *distributions) WatchDeployment(_ *configv1.WatchDeploymentRequest, s grpc.ServerStreamingServer[configv1.WatchDeploymentResponse]) error {
	return d.watch(s)
}

func serveUntil(ctx context.Context, serving func(bool)) error {
	serving(true)
	<-ctx.Done()
	return ctx.Err()
}

// running is a server with all that a test looks at.
type running struct {
	conn  *grpc.ClientConn // over the network
	addr  string
	mem   *rpc.Memory
	log   *lines
	spans *tracetest.InMemoryExporter
	trace *sdktrace.TracerProvider
	stop  context.CancelFunc
	wait  func() error // what Serve returned
}

// serve runs parts on a network listener and one in memory until the test ends.
func serve(t *testing.T, grace time.Duration, parts ...rpc.Part) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{addr: l.Addr().String(), mem: rpc.NewMemory(), log: &lines{}, spans: tracetest.NewInMemoryExporter()}
	r.trace = sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))
	log := slog.New(telemetry.LogHandler(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		done <- rpc.Serve(ctx, rpc.ServerConfig{Log: log, Tracer: r.trace, Grace: grace}, []net.Listener{l, r.mem}, parts...)
	})
	r.stop = cancel
	r.wait = sync.OnceValue(func() error { return <-done })
	r.conn = r.dial(t, r.addr, rpc.ClientConfig{Tracer: r.trace})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return r
}

func (r *running) dial(t *testing.T, target string, cfg rpc.ClientConfig) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(target, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// awaitHealth returns when a service has that status.
func awaitHealth(t *testing.T, conn *grpc.ClientConn, service string, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	for {
		res, err := watch.Recv()
		if err != nil {
			t.Fatalf("health of %q: %v, want %v", service, err, want)
		}
		if res.GetStatus() == want {
			return
		}
	}
}

// lines is a log of JSON lines.
type lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write adds a line.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// of returns the lines about a method.
func (l *lines) of(t *testing.T, method string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for raw := range bytes.Lines(l.buf.Bytes()) {
		line := map[string]any{}
		if err := json.Unmarshal(raw, &line); err != nil {
			t.Fatalf("log line %q: %v", raw, err)
		}
		if line["method"] == method {
			all = append(all, line)
		}
	}
	return all
}
