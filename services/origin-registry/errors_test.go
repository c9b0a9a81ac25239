// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

var update = flag.Bool("update", false, "write testdata anew")

// golden compares with a file of testdata.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, -update writes it anew (-want +got)\n%s", path, diff)
	}
}

func create(r replica, id string, o *originv1.Origin) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := r.CreateOrigin(ctx, &originv1.CreateOriginRequest{OriginId: id, Origin: o})
		return err
	}
}

func change(r replica, o *originv1.Origin, paths ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := r.UpdateOrigin(ctx, &originv1.UpdateOriginRequest{Origin: o, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
}

func resolve(r replica, names ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := r.ResolveOrigins(ctx, &originv1.ResolveOriginsRequest{Names: names})
		return err
	}
}

// TestErrorBodies has every error that a single caller can bring about, as a client
// sees it.
func TestErrorBodies(t *testing.T) {
	client := etcdtest.Client(t)
	r := serve(t, client)
	etag := r.create(t, "web").GetEtag()
	r.create(t, "held")
	for i := range 25 {
		if err := attach(t.Context(), client.KV, fmt.Sprintf("E%02d", i), "held", hostInKey, r.revision(t, "held")); err != nil {
			t.Fatal(err)
		}
	}
	everything := &originv1.Origin{ // one thing of each kind is wrong
		Labels: map[string]string{"aws:x": "y"}, DisplayName: strings.Repeat("x", 129),
		Endpoint: &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
			Host: "10.0.0.1", HttpPort: proto.Int32(0), ProtocolPolicy: 77,
		}}},
		ConnectionAttempts: proto.Int32(9), ReadTimeout: durationpb.New(time.Hour), KeepaliveTimeout: durationpb.New(time.Millisecond),
	}
	web := func(edit func(*originv1.Origin)) *originv1.Origin {
		o := &originv1.Origin{Name: "origins/web", Etag: etag}
		edit(o)
		return o
	}
	var got strings.Builder
	for _, tt := range []struct {
		name string
		call func(context.Context) error
	}{
		{"create: everything wrong at once (C2.2)", create(r, "Bad_Id", everything)},
		{"create: neither id nor origin", create(r, "", nil)},
		{"create: no endpoint", create(r, "x", &originv1.Origin{})},
		{"create: bucket name (C5.1)", create(r, "x", &originv1.Origin{Endpoint: s3Endpoint("xn--a")})},
		{"create: the id is taken", create(r, "web", &originv1.Origin{Endpoint: httpEndpoint("www.example.com")})},
		{"create: not built, before all else (C2.185)", func(ctx context.Context) error {
			_, err := r.CreateOrigin(ctx, &originv1.CreateOriginRequest{
				OriginId: "Bad_Id", RequestId: "1", ValidateOnly: true,
				Origin: &originv1.Origin{Shield: &originv1.OriginShield{EdgeGroup: "edgeGroups/a"}, CustomHeaders: []*originv1.OriginHeader{{Name: "a"}}},
			})
			return err
		}},
		{"get: name", func(ctx context.Context) error {
			_, err := r.GetOrigin(ctx, &originv1.GetOriginRequest{Name: "origin/web"})
			return err
		}},
		{"get: unknown", func(ctx context.Context) error {
			_, err := r.GetOrigin(ctx, &originv1.GetOriginRequest{Name: "origins/unknown"})
			return err
		}},
		{"list: page size", func(ctx context.Context) error {
			_, err := r.ListOrigins(ctx, &originv1.ListOriginsRequest{PageSize: -1, PageToken: "?"})
			return err
		}},
		{"list: page token", func(ctx context.Context) error {
			_, err := r.ListOrigins(ctx, &originv1.ListOriginsRequest{PageToken: "CgRMaXN0"})
			return err
		}},
		{"resolve: no name", resolve(r)},
		{"resolve: bad names", resolve(r, "origins/web", "web", "origins/-")},
		{"resolve: too many", resolve(r, strings.Split(strings.Repeat("origins/a ", 100)+"origins/a", " ")...)},
		{"update: no origin", change(r, nil)},
		{"update: no name", change(r, &originv1.Origin{})},
		{"update: unknown, before the etag (C3.6)", change(r, &originv1.Origin{Name: "origins/unknown", Etag: "!"})},
		{"update: impossible etag", change(r, web(func(o *originv1.Origin) { o.Etag = "!" }))},
		{"update: stale etag, before fields (C2.1)", change(r, web(func(o *originv1.Origin) { o.Etag, o.DisplayName = keys.ETag(1), strings.Repeat("x", 129) }))},
		{"update: mask", change(r, web(func(*originv1.Origin) {}), "nonsense", "endpoint.http.tls_versions[0]")},
		{"update: fields", change(r, web(func(o *originv1.Origin) { o.ConnectTimeout = durationpb.New(time.Minute) }), "endpoint", "connect_timeout")},
		{"update: not built", change(r, web(func(o *originv1.Origin) { o.AccessControl = "originAccessControls/a" }))},
		{"update: breaks those who refer to it (C5.36)", change(r, &originv1.Origin{Name: "origins/held", Endpoint: s3Endpoint("assets")})},
		{"delete: name", func(ctx context.Context) error {
			_, err := r.DeleteOrigin(ctx, &originv1.DeleteOriginRequest{Name: "origins/"})
			return err
		}},
		{"delete: unknown, before the etag (C3.6)", func(ctx context.Context) error { return r.delete(ctx, "unknown", "!") }},
		{"delete: impossible etag", func(ctx context.Context) error { return r.delete(ctx, "web", "etag") }},
		{"delete: stale etag", func(ctx context.Context) error { return r.delete(ctx, "web", keys.ETag(1)) }},
		{"delete: in use (C1.68)", func(ctx context.Context) error { return r.delete(ctx, "held", "") }},
		{"delete: request id", func(ctx context.Context) error {
			_, err := r.DeleteOrigin(ctx, &originv1.DeleteOriginRequest{Name: "origins/web", AllowMissing: true, ValidateOnly: true, RequestId: "1"})
			return err
		}},
	} {
		err := tt.call(t.Context())
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		fmt.Fprintf(&got, "== %s\n%s\n", tt.name, strings.ReplaceAll(body(err), etag, "{etag}"))
	}
	golden(t, "errors.txt", got.String())
	if now := r.get(t, "web"); now.GetEtag() != etag {
		t.Errorf("a refused request wrote: %v", now)
	}
}
