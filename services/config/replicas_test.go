// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// unanswered is a registry that cannot be reached.
type unanswered struct{ originv1.OriginServiceClient }

// ResolveOrigins fails as a connection does.
func (unanswered) ResolveOrigins(context.Context, *originv1.ResolveOriginsRequest, ...grpc.CallOption) (*originv1.ResolveOriginsResponse, error) {
	return nil, status.Error(codes.Unavailable, "connection refused")
}

func configWith(kv *clientv3.Client, origins originv1.OriginServiceClient) config.Config {
	return config.Config{Etcd: kv, Origins: origins}
}

func TestReadYourWriteThroughAnother(t *testing.T) {
	space := etcdtest.New(t)
	a, b := serve(t, space.Client(t)), serve(t, space.Client(t))
	register(t, a.kv, "edge")
	for i := range 50 {
		made := a.mustCreate(t, simple(fmt.Sprint("ref-", i)))
		got := b.get(t, made.GetName())
		if got.GetEtag() != made.GetEtag() || got.GetDeployment().GetTargetRevision() != made.GetDeployment().GetTargetRevision() {
			t.Fatalf("C9.46: created %v, read %v", made, got)
		}
		if got.GetDeployment().GetState() != commonv1.Deployment_STATE_IN_PROGRESS {
			t.Fatalf("C8.70: an edge is registered and none is live: %v", got.GetDeployment())
		}
	}
}

// stream is a WatchDeployment that the test reads message by message.
type stream = grpc.ServerStreamingClient[configv1.WatchDeploymentResponse]

func watch(ctx context.Context, t *testing.T, r replica, req *configv1.WatchDeploymentRequest) stream {
	t.Helper()
	s, err := r.WatchDeployment(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// told is a message in short: the deployment's state, and each edge's.
func told(t *testing.T, s stream) (string, *configv1.WatchDeploymentResponse) {
	t.Helper()
	m, err := s.Recv()
	if err != nil {
		t.Fatalf("stream: %v", err)
	}
	out := m.GetDeployment().GetState().String()[len("STATE_"):]
	for _, e := range m.GetEdges() {
		out += fmt.Sprintf(" %s=%s/%s", e.GetEdge()[len("edges/"):], e.GetEdgeState().String()[len("EDGE_STATE_"):], e.GetState().String()[len("STATE_"):])
	}
	return out, m
}

func expect(t *testing.T, s stream, want string) *configv1.WatchDeploymentResponse {
	t.Helper()
	got, m := told(t, s)
	if got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	return m
}

func TestWatchDeployment(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	for _, id := range []string{"b", "a", "out"} {
		register(t, kv, id)
	}
	report(t, kv, "a", now(t, kv))
	report(t, kv, "b", now(t, kv))
	d := r.mustCreate(t, simple("ref"))
	rev := d.GetDeployment().GetTargetRevision()

	once := watch(t.Context(), t, r, &configv1.WatchDeploymentRequest{Name: d.GetName()})
	endless := watch(t.Context(), t, r, &configv1.WatchDeploymentRequest{Name: d.GetName(), Follow: true})
	for _, s := range []stream{once, endless} {
		expect(t, s, "IN_PROGRESS a=SERVING/PENDING b=SERVING/PENDING out=GONE/PENDING")
	}
	report(t, kv, "b", rev)
	for _, s := range []stream{once, endless} {
		m := expect(t, s, "IN_PROGRESS b=SERVING/DEPLOYED")
		if e := m.GetEdges()[0]; e.GetRevision() != rev || e.GetPop() != "AMS1" || e.GetTime() == nil || e.GetDelay() == nil || e.GetDelay().AsDuration() < 0 {
			t.Errorf("edge %v", e)
		}
	}
	report(t, kv, "a", rev)
	for _, s := range []stream{once, endless} {
		if m := expect(t, s, "DEPLOYED a=SERVING/DEPLOYED"); m.GetDeployment().GetSince() == nil || m.GetDeployment().GetEdgesCurrent() != 2 {
			t.Errorf("deployment %v", m.GetDeployment())
		}
	}
	if _, err := once.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("a stream that does not follow ends with %v", err)
	}
	d = r.disable(t, d)
	expect(t, endless, "IN_PROGRESS a=SERVING/PENDING b=SERVING/PENDING out=GONE/PENDING")
	rev = d.GetDeployment().GetTargetRevision()
	report(t, kv, "a", rev, func(s *edgev1.EdgeStatus) {
		s.Rejected = []*edgev1.RejectedRecord{{Resource: d.GetName(), Revision: rev, Reason: "UNKNOWN_ENUM_VALUE", Message: "config.price_class has the number 77"}}
		s.RejectedCount = 1
	})
	if m := expect(t, endless, "IN_PROGRESS a=SERVING/REJECTED"); m.GetEdges()[0].GetReason() != "UNKNOWN_ENUM_VALUE" || len(m.GetDeployment().GetRejections()) != 1 {
		t.Errorf("C8.76: %v", m)
	}
	report(t, kv, "b", rev)
	expect(t, endless, "IN_PROGRESS b=SERVING/DEPLOYED")
	wantError(t, "C8.76: delete while an edge rejects", r.delete(t.Context(), d.GetName(), d.GetEtag()), codes.FailedPrecondition, "DISTRIBUTION_NOT_DISABLED")
	report(t, kv, "a", rev)
	expect(t, endless, "DEPLOYED a=SERVING/DEPLOYED")
	if err := r.delete(t.Context(), d.GetName(), d.GetEtag()); err != nil {
		t.Fatal(body(err))
	}
	_, err := endless.Recv()
	wantError(t, "a stream of a deleted distribution", err, codes.NotFound, "NO_SUCH_DISTRIBUTION")
}

func TestWatchEndsWithTheServer(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	register(t, kv, "a")
	d := r.mustCreate(t, simple("ref"))
	s := watch(t.Context(), t, r, &configv1.WatchDeploymentRequest{Name: d.GetName(), Follow: true})
	expect(t, s, "IN_PROGRESS a=GONE/PENDING")
	waited := make(chan error, 1)
	go func() {
		_, err := r.WaitDistribution(t.Context(), &configv1.WaitDistributionRequest{Name: d.GetName()})
		waited <- err
	}()
	if err := r.stop(); err != nil {
		t.Errorf("serve: %v", err)
	}
	_, err := s.Recv()
	wantError(t, "stream at shutdown", err, codes.Unavailable, "SERVICE_UNAVAILABLE")
	if code := status.Code(<-waited); code != codes.Unavailable { // also when it had not begun
		t.Errorf("wait at shutdown: %v", code)
	}
}

func TestWait(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	register(t, kv, "a")
	d := r.mustCreate(t, simple("ref"))
	rev := d.GetDeployment().GetTargetRevision()
	wait := func(ctx context.Context, req *configv1.WaitDistributionRequest) *configv1.Distribution {
		t.Helper()
		req.Name = d.GetName()
		res, err := r.WaitDistribution(ctx, req)
		if err != nil {
			t.Fatalf("wait: %s", body(err))
		}
		return res.GetDistribution()
	}
	if got := wait(t.Context(), &configv1.WaitDistributionRequest{Timeout: durationpb.New(20 * time.Millisecond)}); !got.GetReconciling() || got.GetEtag() != d.GetEtag() {
		t.Errorf("C3.34: at the deadline: %v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if got := wait(ctx, &configv1.WaitDistributionRequest{}); !got.GetReconciling() {
		t.Errorf("C3.34: at the caller's deadline: %v", got)
	}
	report(t, kv, "a", rev)
	if got := wait(t.Context(), &configv1.WaitDistributionRequest{}); got.GetReconciling() || got.GetDeployment().GetState() != commonv1.Deployment_STATE_DEPLOYED {
		t.Errorf("C3.34: deployed: %v", got)
	}
	if got := wait(t.Context(), &configv1.WaitDistributionRequest{Revision: rev + 100, Timeout: durationpb.New(20 * time.Millisecond)}); !got.GetReconciling() || got.GetDeployment().GetTargetRevision() != rev+100 {
		t.Errorf("C8.78: a revision of the caller's: %v", got)
	}
	report(t, kv, "a", rev+100)
	if got := wait(t.Context(), &configv1.WaitDistributionRequest{Revision: rev + 100}); got.GetReconciling() {
		t.Errorf("C8.78: %v", got)
	}
}

func TestOutage(t *testing.T) {
	member := etcdtest.Start(t)
	member.Stop()
	r := start(t, config.Config{Etcd: member.Client(t)})
	r.await(t, healthpb.HealthCheckResponse_NOT_SERVING) // before etcd ever answered
	member.Restart(t)
	r.await(t, healthpb.HealthCheckResponse_SERVING)
	d := r.mustCreate(t, simple("ref"))
	s := watch(t.Context(), t, r, &configv1.WatchDeploymentRequest{Name: d.GetName(), Follow: true})
	expect(t, s, "DEPLOYED")

	member.Stop()
	r.await(t, healthpb.HealthCheckResponse_NOT_SERVING)
	calls := map[string]func() error{
		"get": func() error {
			_, err := r.GetDistribution(t.Context(), &configv1.GetDistributionRequest{Name: d.GetName()})
			return err
		},
		"list": func() error {
			_, err := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{})
			return err
		},
		"create": func() error { _, err := r.create(t.Context(), simple("ref-2")); return err },
		"update": func() error {
			_, err := r.update(t.Context(), &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag()})
			return err
		},
		"delete": func() error { return r.delete(t.Context(), d.GetName(), d.GetEtag()) },
		"list policies": func() error {
			_, err := r.policies.ListCachePolicies(t.Context(), &configv1.ListCachePoliciesRequest{})
			return err
		},
	}
	errs := make(chan func(), len(calls))
	for name, call := range calls {
		go func() {
			err := call()
			errs <- func() { wantError(t, "C2.333, C8.103: "+name, err, codes.Unavailable, "STORE_UNAVAILABLE") }
		}()
	}
	for range calls {
		(<-errs)()
	}
	if _, err := r.policies.GetCachePolicy(t.Context(), &configv1.GetCachePolicyRequest{Name: cachingOptimized}); err != nil {
		t.Errorf("a managed policy without etcd: %v", err)
	}

	member.Restart(t)
	r.await(t, healthpb.HealthCheckResponse_SERVING)
	d = r.disable(t, d) // and the stream goes on where it was
	expect(t, s, "DEPLOYED")
	if err := r.delete(t.Context(), d.GetName(), d.GetEtag()); err != nil {
		t.Error(body(err))
	}
}

// A restored data set replaces everything that was known (C8.88).
func TestAnotherDataSet(t *testing.T) {
	member := etcdtest.Start(t)
	r := start(t, config.Config{Etcd: member.Client(t)})
	r.await(t, healthpb.HealthCheckResponse_SERVING)
	for i := range 20 {
		r.mustCreate(t, simple(fmt.Sprint("ref-", i)))
	}
	member.Replace(t)
	other := start(t, config.Config{Etcd: member.Client(t)}) // names the new data set
	other.await(t, healthpb.HealthCheckResponse_SERVING)
	d := other.mustCreate(t, simple("ref-0"))
	for {
		res, err := r.GetDistribution(t.Context(), &configv1.GetDistributionRequest{Name: d.GetName()})
		if err == nil && !res.GetDistribution().GetReconciling() {
			break
		}
	}
}

func TestBeat(t *testing.T) {
	space := etcdtest.New(t)
	kv := space.Client(t)
	beats := kv.Watch(t.Context(), keys.Beat)
	for range 3 {
		serve(t, space.Client(t))
	}
	epoch, err := kv.Get(t.Context(), keys.Epoch)
	if err != nil || len(epoch.Kvs) != 1 || epoch.Kvs[0].Version != 1 || len(epoch.Kvs[0].Value) != 36 {
		t.Fatalf("C8.29: the data set is named once: %v, %v", epoch, err)
	}
	var at []time.Time
	for len(at) < 2 {
		for _, ev := range (<-beats).Events {
			when, err := time.Parse(time.RFC3339Nano, string(ev.Kv.Value))
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, when)
		}
	}
	if gap := at[1].Sub(at[0]); gap < 4*time.Second {
		t.Errorf("design 3.1: three replicas beat every %v", gap)
	}
}

func TestTraceIsStored(t *testing.T) {
	kv := etcdtest.Client(t)
	tracer := sdktrace.NewTracerProvider()
	service := config.New(config.Config{Etcd: kv, Origins: registry{kv: kv}, BaseDomain: baseDomain})
	memory := rpc.NewMemory()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rpc.Serve(ctx, rpc.ServerConfig{Tracer: tracer}, []net.Listener{memory}, service) }()
	conn, err := rpc.Dial("passthrough:///memory", rpc.ClientConfig{Tracer: tracer, Dialer: memory.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	calling, span := tracer.Tracer("test").Start(t.Context(), "caller")
	defer span.End()
	res, err := configv1.NewDistributionServiceClient(conn).CreateDistribution(calling, &configv1.CreateDistributionRequest{Distribution: simple("ref")})
	if err != nil {
		t.Fatal(err)
	}
	id := res.GetDistribution().GetName()[len("distributions/"):]
	got, err := kv.Get(t.Context(), keys.Resource(keys.Distributions, id))
	if err != nil {
		t.Fatal(err)
	}
	var rec storev1.Record
	if err := keys.Decode(got.Kvs[0].Value, &rec); err != nil {
		t.Fatal(err)
	}
	if want := span.SpanContext().TraceID().String(); len(rec.GetTraceparent()) != 55 || rec.GetTraceparent()[3:35] != want {
		t.Errorf("design 3.10: traceparent %q is not of trace %s", rec.GetTraceparent(), want)
	}
}

func TestMetrics(t *testing.T) {
	kv := etcdtest.Client(t)
	reader := sdkmetric.NewManualReader()
	r := start(t, config.Config{Etcd: kv, Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	r.await(t, healthpb.HealthCheckResponse_SERVING)
	register(t, kv, "a")
	r.mustCreate(t, simple("ref"))
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range got.ScopeMetrics[0].Metrics {
		names = append(names, m.Name)
		edges, ok := m.Data.(metricdata.Gauge[int64])
		if m.Name != "seafront.config.edges" || !ok {
			continue
		}
		for _, p := range edges.DataPoints {
			state, _ := p.Attributes.Value(attribute.Key("state"))
			if want := map[string]int64{"gone": 1}[state.AsString()]; p.Value != want {
				t.Errorf("%d edges are %s, want %d", p.Value, state.AsString(), want)
			}
		}
	}
	slices.Sort(names)
	want := []string{"seafront.config.deployment.lag", "seafront.config.distributions", "seafront.config.edges", "seafront.config.index.revision"}
	if !slices.Equal(names, want) {
		t.Errorf("metrics %q, want %q", names, want)
	}
}
