// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	originregistry "github.com/seafront-cdn/seafront/services/origin-registry"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// replica is a registry behind a real gRPC server.
type replica struct {
	originv1.OriginServiceClient
	controls originv1.OriginAccessControlServiceClient
	health   healthpb.HealthClient
}

// start serves a registry until the test ends.
func start(t *testing.T, c originregistry.Config) replica {
	t.Helper()
	c.Log = slog.New(slog.DiscardHandler)
	memory := rpc.NewMemory()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		cfg := rpc.ServerConfig{Log: c.Log, Tracer: tracenoop.NewTracerProvider(), Meter: metricnoop.NewMeterProvider()}
		ended <- rpc.Serve(ctx, cfg, []net.Listener{memory}, originregistry.New(c))
	}()
	conn, err := rpc.Dial("passthrough:///memory", rpc.ClientConfig{
		Tracer: tracenoop.NewTracerProvider(), Meter: metricnoop.NewMeterProvider(), Dialer: memory.Dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return replica{originv1.NewOriginServiceClient(conn), originv1.NewOriginAccessControlServiceClient(conn), healthpb.NewHealthClient(conn)}
}

func serve(t *testing.T, client *clientv3.Client) replica {
	t.Helper()
	return start(t, originregistry.Config{Etcd: client})
}

func httpEndpoint(host string) *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
		Host: host, ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
	}}}
}

func s3Endpoint(bucket string) *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{
		EndpointUrl: "http://minio.internal:9000", Bucket: bucket, PathStyle: true,
	}}}
}

// create registers an HTTP origin.
func (r replica) create(t *testing.T, id string) *originv1.Origin {
	t.Helper()
	res, err := r.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: id, Origin: &originv1.Origin{Endpoint: httpEndpoint("www.example.com")}})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetOrigin()
}

func (r replica) get(t *testing.T, id string) *originv1.Origin {
	t.Helper()
	res, err := r.GetOrigin(t.Context(), &originv1.GetOriginRequest{Name: keys.Origins.Name(id)})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetOrigin()
}

// rename is the smallest update.
func (r replica) rename(ctx context.Context, id, etag, text string) (*originv1.Origin, error) {
	res, err := r.UpdateOrigin(ctx, &originv1.UpdateOriginRequest{Origin: &originv1.Origin{Name: keys.Origins.Name(id), Etag: etag, DisplayName: text}})
	return res.GetOrigin(), err
}

func (r replica) delete(ctx context.Context, id, etag string) error {
	_, err := r.DeleteOrigin(ctx, &originv1.DeleteOriginRequest{Name: keys.Origins.Name(id), Etag: etag})
	return err
}

// attach writes a distribution that refers to an origin, as config does (C8.47): the
// version of the origin that it was checked against is a condition, and the reference
// is written each time (C8.53).
func attach(ctx context.Context, kv clientv3.KV, distribution, origin, policy string, seen int64) error {
	d := &configv1.Distribution{Config: &configv1.DistributionConfig{
		Origins:              []*configv1.Origin{{Id: "o", Source: &configv1.Origin_OriginRef{OriginRef: keys.Origins.Name(origin)}}},
		DefaultCacheBehavior: &configv1.CacheBehavior{TargetOriginId: "o", Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: keys.CachePolicies.Name(policy)}},
	}}
	key, rec := keys.Resource(keys.Distributions, distribution), records.Next(ctx, records.Version{})
	tx := etcd.NewTx(kv)
	tx.AtRevision("origin", keys.Resource(keys.Origins, origin), seen)
	if err := records.Put(tx, key, rec, d); err != nil {
		return err
	}
	tx.Put(keys.Ref(keys.Origins, origin, keys.Distributions, distribution), nil)
	_, err := tx.Commit(ctx)
	return err
}

// revision is that of an origin's last write.
func (r replica) revision(t *testing.T, id string) int64 {
	t.Helper()
	res, err := r.ResolveOrigins(t.Context(), &originv1.ResolveOriginsRequest{Names: []string{keys.Origins.Name(id)}})
	if err != nil || len(res.GetOrigins()) != 1 {
		t.Fatalf("resolve %s: %v %v", id, res, err)
	}
	return res.GetOrigins()[0].GetModRevision()
}

const (
	cachingOptimized = "658327ea-f89d-4fab-a63d-7e88639e58f6"
	hostInKey        = "83da9c7e-98b4-4e11-a168-04f0df8e2c65" // UseOriginCacheControlHeaders
)

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
