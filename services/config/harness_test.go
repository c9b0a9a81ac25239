// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

const (
	cachingOptimized = "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"
	hostInKey        = "cachePolicies/83da9c7e-98b4-4e11-a168-04f0df8e2c65" // UseOriginCacheControlHeaders
	baseDomain       = "cdn.example.net"
)

// replica is one config server behind real gRPC.
type replica struct {
	configv1.DistributionServiceClient
	configv1.InvalidationServiceClient
	policies configv1.CachePolicyServiceClient
	health   healthpb.HealthClient
	conn     grpc.ClientConnInterface
	kv       *clientv3.Client
	// stop shuts the server down and returns what Serve returned.
	stop func() error
}

// start serves config with its own registry until the test ends. It does not wait
// for it to be ready.
func start(t *testing.T, c config.Config) replica {
	t.Helper()
	if c.Origins == nil {
		c.Origins = registry{kv: c.Etcd}
	}
	c.BaseDomain = baseDomain
	memory := rpc.NewMemory()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- rpc.Serve(ctx, rpc.ServerConfig{Log: slog.New(slog.DiscardHandler)}, []net.Listener{memory}, config.New(c))
	}()
	conn, err := rpc.Dial("passthrough:///memory", rpc.ClientConfig{Dialer: memory.Dial})
	if err != nil {
		t.Fatal(err)
	}
	var stopped atomic.Bool
	stop := func() error {
		if stopped.Swap(true) {
			return nil
		}
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		_ = conn.Close()
		if err := stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return replica{
		configv1.NewDistributionServiceClient(conn), configv1.NewInvalidationServiceClient(conn), configv1.NewCachePolicyServiceClient(conn), healthpb.NewHealthClient(conn), conn, c.Etcd, stop,
	}
}

// serve is start, and waits until the server is ready.
func serve(t *testing.T, client *clientv3.Client) replica {
	t.Helper()
	return serveWith(t, config.Config{Etcd: client})
}

// serveWith is serve with a configuration.
func serveWith(t *testing.T, c config.Config) replica {
	t.Helper()
	r := start(t, c)
	r.await(t, healthpb.HealthCheckResponse_SERVING)
	return r
}

// putVersion writes a version of a distribution as another release would.
func putVersion(t *testing.T, kv clientv3.KV, id string, v records.Version, d *configv1.Distribution) {
	t.Helper()
	tx, rec := etcd.NewTx(kv), records.Next(t.Context(), records.Version{Generation: v.Generation - 1})
	if err := records.Put(tx, keys.Version(id, v.Generation), rec, d); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// await waits until the health of DistributionService is as wanted.
func (r replica) await(t *testing.T, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch, err := r.health.Watch(ctx, &healthpb.HealthCheckRequest{Service: configv1.DistributionService_ServiceDesc.ServiceName})
	if err != nil {
		t.Fatal(err)
	}
	for {
		res, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if res.GetStatus() == want {
			return
		}
	}
}

// registry is an origin registry on the same etcd, as far as config needs one.
type registry struct {
	originv1.OriginServiceClient
	kv clientv3.KV
}

// ResolveOrigins reads what is registered.
func (r registry) ResolveOrigins(ctx context.Context, req *originv1.ResolveOriginsRequest, _ ...grpc.CallOption) (*originv1.ResolveOriginsResponse, error) {
	out := &originv1.ResolveOriginsResponse{}
	for _, name := range req.GetNames() {
		id := strings.TrimPrefix(name, "origins/")
		o := &originv1.Origin{}
		v, found, err := records.Get(ctx, r.kv, keys.Resource(keys.Origins, id), o)
		if err != nil {
			return nil, err
		}
		if !found {
			out.Missing = append(out.Missing, name)
			continue
		}
		o.Name, o.Etag = name, v.ETag()
		out.Origins = append(out.Origins, &originv1.ResolvedOrigin{Origin: o, ModRevision: v.ModRevision})
	}
	return out, nil
}

func httpEndpoint() *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
		Host: "origin.example.net", ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
	}}}
}

func s3Endpoint() *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{
		EndpointUrl: "http://minio.internal:9000", Bucket: "assets", PathStyle: true,
	}}}
}

// put writes a record as another service would, and returns its revision.
func put(t *testing.T, kv clientv3.KV, c keys.Collection, id string, m proto.Message) int64 {
	t.Helper()
	tx, key, rec := etcd.NewTx(kv), keys.Resource(c, id), records.Next(t.Context(), records.Version{})
	if err := records.Put(tx, key, rec, m); err != nil {
		t.Fatal(err)
	}
	rev, err := tx.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func putOrigin(t *testing.T, kv clientv3.KV, id string, e *originv1.OriginEndpoint) int64 {
	t.Helper()
	o := &originv1.Origin{Endpoint: e, UpdateTime: timestamppb.Now()}
	rules.DefaultOrigin(o)
	return put(t, kv, keys.Origins, id, o)
}

// deleteOrigin removes an origin as the registry does (C8.51).
func deleteOrigin(ctx context.Context, kv clientv3.KV, id string) error {
	tx := etcd.NewTx(kv)
	tx.Exists("record", keys.Resource(keys.Origins, id))
	tx.NoneUnder("referrers", keys.RefsTo(keys.Origins, id))
	tx.Delete(keys.Resource(keys.Origins, id))
	_, err := tx.Commit(ctx)
	return err
}

// simple is a small valid distribution with an inline origin.
func simple(reference string, aliases ...string) *configv1.Distribution {
	return &configv1.Distribution{
		CallerReference: reference,
		Config: &configv1.DistributionConfig{
			Enabled: true,
			Aliases: aliases,
			Origins: []*configv1.Origin{{Id: "main", Source: &configv1.Origin_Endpoint{Endpoint: httpEndpoint()}}},
			DefaultCacheBehavior: &configv1.CacheBehavior{
				TargetOriginId: "main", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
				Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: cachingOptimized},
			},
		},
	}
}

// referring is simple with registered origins, the first of which is the target.
func referring(reference string, origins ...string) *configv1.Distribution {
	d := simple(reference)
	d.Config.Origins = nil
	for _, o := range origins {
		d.Config.Origins = append(d.Config.Origins, &configv1.Origin{Id: o, Source: &configv1.Origin_OriginRef{OriginRef: "origins/" + o}})
	}
	d.Config.DefaultCacheBehavior.TargetOriginId = origins[0]
	return d
}

func (r replica) create(ctx context.Context, d *configv1.Distribution) (*configv1.Distribution, error) {
	res, err := r.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: d})
	return res.GetDistribution(), err
}

func (r replica) mustCreate(t *testing.T, d *configv1.Distribution) *configv1.Distribution {
	t.Helper()
	out, err := r.create(t.Context(), d)
	if err != nil {
		t.Fatalf("create: %v", body(err))
	}
	return out
}

func (r replica) get(t *testing.T, name string) *configv1.Distribution {
	t.Helper()
	res, err := r.GetDistribution(t.Context(), &configv1.GetDistributionRequest{Name: name})
	if err != nil {
		t.Fatalf("get: %v", body(err))
	}
	return res.GetDistribution()
}

// update replaces the fields of paths, or without paths what d holds.
func (r replica) update(ctx context.Context, d *configv1.Distribution, paths ...string) (*configv1.Distribution, error) {
	req := &configv1.UpdateDistributionRequest{Distribution: d}
	if len(paths) > 0 {
		req.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
	}
	res, err := r.UpdateDistribution(ctx, req)
	return res.GetDistribution(), err
}

func (r replica) mustUpdate(t *testing.T, d *configv1.Distribution, paths ...string) *configv1.Distribution {
	t.Helper()
	out, err := r.update(t.Context(), d, paths...)
	if err != nil {
		t.Fatalf("update: %v", body(err))
	}
	return out
}

// disable is the update that a delete needs first.
func (r replica) disable(t *testing.T, d *configv1.Distribution) *configv1.Distribution {
	t.Helper()
	return r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{}}, "config.enabled")
}

func (r replica) delete(ctx context.Context, name, etag string) error {
	_, err := r.DeleteDistribution(ctx, &configv1.DeleteDistributionRequest{Name: name, Etag: etag})
	return err
}

// register writes the identity of an edge, as the edge does.
func register(t *testing.T, kv clientv3.KV, id string) {
	t.Helper()
	putRaw(t, kv, keys.Edge(id), &edgev1.Edge{Name: keys.Edges.Name(id), Pop: "AMS1"})
}

// now is the store's revision.
func now(t *testing.T, kv clientv3.KV) int64 {
	t.Helper()
	res, err := kv.Get(t.Context(), keys.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Revision
}

// report writes the status of an edge, as the edge does; change edits it first.
func report(t *testing.T, kv clientv3.KV, id string, applied int64, change ...func(*edgev1.EdgeStatus)) {
	t.Helper()
	res, err := kv.Get(t.Context(), keys.Epoch)
	if err != nil || len(res.Kvs) != 1 {
		t.Fatalf("epoch: %v, %v", res, err)
	}
	s := &edgev1.EdgeStatus{
		Edge: keys.Edges.Name(id), Epoch: string(res.Kvs[0].Value), BootId: "boot", AppliedRevision: applied,
		AppliedTime: timestamppb.Now(), JoinRevision: 1, Source: edgev1.EdgeStatus_SOURCE_ETCD, ReportTime: timestamppb.Now(),
	}
	for _, c := range change {
		c(s)
	}
	putRaw(t, kv, keys.EdgeStatus(id), s)
}

func putRaw(t *testing.T, kv clientv3.KV, key string, m proto.Message) {
	t.Helper()
	value, err := keys.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), key, string(value)); err != nil {
		t.Fatal(err)
	}
}

// reason returns code and reason of an error.
func reason(err error) (codes.Code, string) {
	s := status.Convert(err)
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return s.Code(), info.GetReason()
		}
	}
	return s.Code(), ""
}

func wantError(t *testing.T, what string, err error, code codes.Code, want string) {
	t.Helper()
	if c, r := reason(err); c != code || r != want {
		t.Errorf("%s: %v %s (%v), want %v %s", what, c, r, err, code, want)
	}
}

// body writes an error down as a client sees it, line by line.
func body(err error) string {
	var b strings.Builder
	s := status.Convert(err)
	fmt.Fprintf(&b, "%v: %s\n", s.Code(), s.Message())
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			fmt.Fprintf(&b, "reason %s of %s\n", d.GetReason(), d.GetDomain())
			for _, k := range slices.Sorted(maps.Keys(d.GetMetadata())) {
				fmt.Fprintf(&b, "metadata %s: %s\n", k, d.GetMetadata()[k])
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				fmt.Fprintf(&b, "field %s: %s: %s\n", v.GetField(), v.GetReason(), v.GetDescription())
			}
		case proto.Message:
			fmt.Fprintf(&b, "detail %s\n", d.ProtoReflect().Descriptor().FullName())
		}
	}
	return b.String()
}

// isConflict says whether a raw transaction was refused.
func isConflict(err error) bool {
	_, ok := errors.AsType[*etcd.Conflict](err)
	return ok
}
