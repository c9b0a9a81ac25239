// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	originregistry "github.com/seafront-cdn/seafront/services/origin-registry"
)

func TestCreateFillsDefaults(t *testing.T) {
	r := serve(t, etcdtest.Client(t))
	res, err := r.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: "web", Origin: &originv1.Origin{
		Name: "origins/other", Uid: "mine", Etag: "EAAAAAAAAAAAAA", // output only: ignored (C6.16)
		Labels: map[string]string{"team": "site"}, DisplayName: "Web", Endpoint: httpEndpoint("www.example.com"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := res.GetOrigin()
	want := &originv1.Origin{
		Name: "origins/web", Labels: map[string]string{"team": "site"}, DisplayName: "Web",
		Endpoint: &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
			Host: "www.example.com", ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
			HttpPort: proto.Int32(80), HttpsPort: proto.Int32(443), IpFamily: originv1.IpFamily_IP_FAMILY_IPV4,
			TlsVersions: []originv1.OriginTlsVersion{originv1.OriginTlsVersion_ORIGIN_TLS_VERSION_TLSV1_2},
		}}},
		ConnectionAttempts: proto.Int32(3), ConnectTimeout: durationpb.New(10 * time.Second),
		ReadTimeout: durationpb.New(30 * time.Second), KeepaliveTimeout: durationpb.New(5 * time.Second),
	}
	byServer := protocmp.IgnoreFields(&originv1.Origin{}, "uid", "etag", "create_time", "update_time")
	if diff := cmp.Diff(want, got, protocmp.Transform(), byServer); diff != "" {
		t.Errorf("C2.50, C2.57, C2.61: (-want +got)\n%s", diff)
	}
	if _, ok := keys.ParseETag(got.GetEtag()); !ok || len(got.GetUid()) != 36 || !got.GetCreateTime().IsValid() || !proto.Equal(got.GetCreateTime(), got.GetUpdateTime()) {
		t.Errorf("C6.14: set by the server: %v", got)
	}
	if len(res.GetWarnings()) != 0 {
		t.Errorf("warnings %q", res.GetWarnings())
	}
	if diff := cmp.Diff(got, r.get(t, "web"), protocmp.Transform()); diff != "" {
		t.Errorf("created and read differ: %s", diff)
	}
}

func TestUpdate(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   *originv1.Origin
		mask []string
		want func(*originv1.Origin)
	}{
		{
			"C6.16: without a mask what is populated is replaced",
			&originv1.Origin{DisplayName: "new", ReadTimeout: durationpb.New(time.Minute)},
			nil,
			func(o *originv1.Origin) { o.DisplayName, o.ReadTimeout = "new", durationpb.New(time.Minute) },
		},
		{
			"C6.16: a mask clears what is absent, and defaults come back",
			&originv1.Origin{DisplayName: "ignored"},
			[]string{"labels", "read_timeout"},
			func(o *originv1.Origin) { o.Labels, o.ReadTimeout = nil, durationpb.New(30*time.Second) },
		},
		{
			"C6.16: a star replaces everything",
			&originv1.Origin{Endpoint: s3Endpoint("assets")},
			[]string{"*"},
			func(o *originv1.Origin) {
				o.Labels, o.DisplayName, o.ReadTimeout, o.Endpoint = nil, "", durationpb.New(30*time.Second), s3Endpoint("assets")
				o.Endpoint.GetS3().Region = "us-east-1"
			},
		},
		{
			"AIP-203: what the server sets is ignored",
			&originv1.Origin{Uid: "mine", DisplayName: "new"},
			[]string{"uid", "display_name"},
			func(o *originv1.Origin) { o.DisplayName = "new" },
		},
		{
			"C3.11: nothing changes, and it is a write all the same",
			&originv1.Origin{},
			nil,
			func(*originv1.Origin) {},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := serve(t, etcdtest.Client(t))
			created, err := r.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: "web", Origin: &originv1.Origin{
				Labels: map[string]string{"team": "site"}, DisplayName: "Web", Endpoint: httpEndpoint("www.example.com"), ReadTimeout: durationpb.New(7 * time.Second),
			}})
			if err != nil {
				t.Fatal(err)
			}
			before := created.GetOrigin()
			tt.in.Name, tt.in.Etag = before.GetName(), before.GetEtag()
			req := &originv1.UpdateOriginRequest{Origin: tt.in}
			if tt.mask != nil {
				req.UpdateMask = &fieldmaskpb.FieldMask{Paths: tt.mask}
			}
			res, err := r.UpdateOrigin(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			want := proto.CloneOf(before)
			tt.want(want)
			if diff := cmp.Diff(want, res.GetOrigin(), protocmp.Transform(), protocmp.IgnoreFields(&originv1.Origin{}, "etag", "update_time")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if res.GetOrigin().GetEtag() == before.GetEtag() || !res.GetOrigin().GetUpdateTime().AsTime().After(before.GetUpdateTime().AsTime()) {
				t.Errorf("C3.11: before %v, after %v", before, res.GetOrigin())
			}
			if w := res.GetWarnings(); len(w) != 1 || !strings.HasPrefix(w[0], "INVALIDATE_RECOMMENDED") {
				t.Errorf("C5.37: warnings %q", w)
			}
			if diff := cmp.Diff(res.GetOrigin(), r.get(t, "web"), protocmp.Transform()); diff != "" {
				t.Errorf("updated and read differ: %s", diff)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	r := serve(t, etcdtest.Client(t))
	dotted := &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{Host: "my.assets.s3.eu-west-1.amazonaws.com"}}}
	res, err := r.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: "dots", Origin: &originv1.Origin{Endpoint: dotted}})
	if err != nil {
		t.Fatal(err)
	}
	if w := res.GetWarnings(); len(w) != 1 || !strings.HasPrefix(w[0], "origin.endpoint.s3.host") {
		t.Errorf("C5.1: warnings %q", w)
	}
}

func TestETagSequence(t *testing.T) {
	r := serve(t, etcdtest.Client(t))
	first := r.create(t, "web").GetEtag()
	o, err := r.rename(t.Context(), "web", first, "two")
	if err != nil {
		t.Fatal(err)
	}
	second := o.GetEtag()
	_, err = r.rename(t.Context(), "web", first, "three")
	wantError(t, "C2.364: update with the first etag", err, codes.Aborted, "PRECONDITION_FAILED")
	_, err = r.rename(t.Context(), "web", "!", "three")
	wantError(t, "C2.364: update with an impossible etag", err, codes.InvalidArgument, "INVALID_IF_MATCH_VERSION")
	_, err = r.rename(t.Context(), "unknown", "!", "three")
	wantError(t, "C2.364, C3.6: update of an unknown id", err, codes.NotFound, "ENTITY_NOT_FOUND")
	o, err = r.rename(t.Context(), "web", "", "three")
	if err != nil || o.GetDisplayName() != "three" {
		t.Errorf("C6.15: update without an etag: %v %v", o, err)
	}
	wantError(t, "C2.364: delete with a stale etag", r.delete(t.Context(), "web", second), codes.Aborted, "PRECONDITION_FAILED")
	wantError(t, "C2.364: delete with an impossible etag", r.delete(t.Context(), "web", "W/\"x\""), codes.InvalidArgument, "INVALID_IF_MATCH_VERSION")
	if err := r.delete(t.Context(), "web", o.GetEtag()); err != nil {
		t.Errorf("C2.364: delete with the current etag: %v", err)
	}
	_, err = r.GetOrigin(t.Context(), &originv1.GetOriginRequest{Name: "origins/web"})
	wantError(t, "C2.364: get after delete", err, codes.NotFound, "ENTITY_NOT_FOUND")
	wantError(t, "C2.364: delete again", r.delete(t.Context(), "web", ""), codes.NotFound, "ENTITY_NOT_FOUND")
	if again := r.create(t, "web"); again.GetEtag() == first {
		t.Error("C3.11: an etag came back")
	}
}

// TestRecord reads what lies in etcd.
func TestRecord(t *testing.T) {
	client := etcdtest.Client(t)
	r := serve(t, client)
	for id, endpoint := range map[string]*originv1.OriginEndpoint{"web": httpEndpoint("www.example.com"), "s3": s3Endpoint("assets")} {
		res, err := r.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: id, Origin: &originv1.Origin{Endpoint: endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		updated, err := r.rename(t.Context(), id, res.GetOrigin().GetEtag(), "two")
		if err != nil {
			t.Fatal(err)
		}
		pair := read(t, client.KV, keys.Resource(keys.Origins, id))
		var rec storev1.Record
		if err := keys.Decode(pair.Value, &rec); err != nil {
			t.Fatal(err)
		}
		if rec.GetGeneration() != 2 || keys.ETag(rec.GetWriteId()) != updated.GetEtag() || rec.GetPrincipal() != "anonymous" {
			t.Errorf("C3.11: envelope %v of %v", &rec, updated)
		}
		var stored originv1.Origin
		if _, err := records.Decode(pair, &stored); err != nil {
			t.Fatal(err)
		}
		if stored.GetName() != "" || stored.GetEtag() != "" || stored.GetUid() == "" {
			t.Errorf("C8.22: computed fields are stored: %v", &stored)
		}
		if _, err := snapshot.CompileOrigin(id, &stored); err != nil {
			t.Errorf("an edge cannot use it: %v", err)
		}
	}
}

func TestRecordCarriesTrace(t *testing.T) {
	client := etcdtest.Client(t)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	s := originregistry.New(originregistry.Config{Etcd: client})
	_, err := s.CreateOrigin(trace.ContextWithSpanContext(t.Context(), span), &originv1.CreateOriginRequest{
		OriginId: "web", Origin: &originv1.Origin{Endpoint: httpEndpoint("www.example.com")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var rec storev1.Record
	if err := keys.Decode(read(t, client.KV, keys.Resource(keys.Origins, "web")).Value, &rec); err != nil {
		t.Fatal(err)
	}
	if want := "00-01000000000000000000000000000000-0200000000000000-01"; rec.GetTraceparent() != want {
		t.Errorf("design 3.10: traceparent %q, want %q", rec.GetTraceparent(), want)
	}
}

func read(t *testing.T, kv clientv3.KV, key string) *mvccpb.KeyValue {
	t.Helper()
	res, err := kv.Get(t.Context(), key)
	if err != nil || len(res.Kvs) != 1 {
		t.Fatalf("read %s: %v %v", key, res, err)
	}
	return res.Kvs[0]
}

func TestListWhileWriting(t *testing.T) {
	r := serve(t, etcdtest.Client(t))
	var want []string
	for i := range 250 {
		r.create(t, fmt.Sprintf("o%03d", i))
		want = append(want, fmt.Sprintf("origins/o%03d", i))
	}
	var got []string
	var sizes []int
	req := &originv1.ListOriginsRequest{}
	for round := 0; ; round++ {
		res, err := r.ListOrigins(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(res.GetOrigins()))
		for _, o := range res.GetOrigins() {
			got = append(got, o.GetName())
		}
		if res.GetNextPageToken() == "" {
			break
		}
		req.PageToken = res.GetNextPageToken()
		r.create(t, fmt.Sprint("o249z", round))
		if err := r.delete(t.Context(), fmt.Sprintf("o24%d", 9-round), ""); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(sizes, []int{100, 100, 50}) || !slices.Equal(got, want) {
		t.Errorf("C3.25, C6.17: pages of %v: %v", sizes, got)
	}
	res, err := r.ListOrigins(t.Context(), &originv1.ListOriginsRequest{PageSize: 5000})
	if err != nil || len(res.GetOrigins()) != 250 || res.GetNextPageToken() != "" {
		t.Errorf("C6.17: %d origins, token %q, %v", len(res.GetOrigins()), res.GetNextPageToken(), err)
	}
}

func TestResolve(t *testing.T) {
	r := serve(t, etcdtest.Client(t))
	a, b := r.create(t, "a"), r.create(t, "b")
	res, err := r.ResolveOrigins(t.Context(), &originv1.ResolveOriginsRequest{Names: []string{"origins/b", "origins/gone", "origins/a", "origins/b", "origins/lost"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &originv1.ResolveOriginsResponse{
		Origins: []*originv1.ResolvedOrigin{{Origin: b}, {Origin: a}, {Origin: b}}, Missing: []string{"origins/gone", "origins/lost"},
	}
	if diff := cmp.Diff(want, res, protocmp.Transform(), protocmp.IgnoreFields(&originv1.ResolvedOrigin{}, "mod_revision")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	before := r.revision(t, "a")
	if _, err := r.rename(t.Context(), "a", "", "new"); err != nil {
		t.Fatal(err)
	}
	if after := r.revision(t, "a"); before <= 0 || after <= before {
		t.Errorf("C8.46: revision %d, after a write %d", before, after)
	}
}

func TestQuota(t *testing.T) {
	r := start(t, originregistry.Config{Etcd: etcdtest.Client(t), MaxOrigins: 2})
	r.create(t, "a")
	r.create(t, "b")
	req := &originv1.CreateOriginRequest{OriginId: "c", Origin: &originv1.Origin{Endpoint: httpEndpoint("www.example.com")}}
	_, err := r.CreateOrigin(t.Context(), req)
	wantError(t, "C4.66", err, codes.ResourceExhausted, "ENTITY_LIMIT_EXCEEDED")
	if err := r.delete(t.Context(), "a", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateOrigin(t.Context(), req); err != nil {
		t.Errorf("C4.66: below the quota again: %v", err)
	}
}
