// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// awaitHealth waits until the health of OriginService is as wanted.
func awaitHealth(t *testing.T, r replica, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch, err := r.health.Watch(ctx, &healthpb.HealthCheckRequest{Service: originv1.OriginService_ServiceDesc.ServiceName})
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

func TestOutage(t *testing.T) {
	member := etcdtest.Start(t)
	member.Stop()
	r := serve(t, member.Client(t))
	awaitHealth(t, r, healthpb.HealthCheckResponse_NOT_SERVING) // before etcd ever answered
	member.Restart(t)
	awaitHealth(t, r, healthpb.HealthCheckResponse_SERVING)
	etag := r.create(t, "web").GetEtag()

	member.Stop()
	awaitHealth(t, r, healthpb.HealthCheckResponse_NOT_SERVING)
	calls := map[string]func(context.Context) error{
		"get": func(ctx context.Context) error {
			_, err := r.GetOrigin(ctx, &originv1.GetOriginRequest{Name: "origins/web"})
			return err
		},
		"list": func(ctx context.Context) error {
			_, err := r.ListOrigins(ctx, &originv1.ListOriginsRequest{})
			return err
		},
		"resolve": resolve(r, "origins/web"),
		"create":  create(r, "new", &originv1.Origin{Endpoint: httpEndpoint("www.example.com")}),
		"update":  change(r, &originv1.Origin{Name: "origins/web", Etag: etag, DisplayName: "new"}, "display_name"),
		"delete":  func(ctx context.Context) error { return r.delete(ctx, "web", etag) },
	}
	var running sync.WaitGroup
	for name, call := range calls {
		running.Go(func() {
			wantError(t, "C2.333, C8.103: "+name, call(t.Context()), codes.Unavailable, "STORE_UNAVAILABLE")
		})
	}
	running.Wait()

	member.Restart(t)
	awaitHealth(t, r, healthpb.HealthCheckResponse_SERVING)
	if got := r.get(t, "web").GetEtag(); got != etag {
		t.Errorf("after the outage the etag is %s, want %s", got, etag)
	}
	if _, err := r.rename(t.Context(), "web", etag, "new"); err != nil {
		t.Errorf("update after the outage: %v", err)
	}
}
