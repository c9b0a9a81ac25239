// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"testing"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// stored is how many keys there are.
func stored(t *testing.T, kv *clientv3.Client) (n int64) {
	t.Helper()
	res, err := kv.Get(t.Context(), keys.Root, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return res.Count
}

func TestValidateOnly(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	o := &originv1.Origin{DisplayName: "one", Endpoint: httpEndpoint("www.example.com")}
	made, err := r.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: "web", Origin: o, ValidateOnly: true, RequestId: uuid.NewString()})
	if err != nil || made.GetOrigin().GetName() != "" || made.GetOrigin().GetEtag() != "" || made.GetOrigin().GetDisplayName() != "one" || stored(t, kv) != 0 {
		t.Fatalf("C6.18: create = %v, %v", made, err)
	}
	before := r.create(t, "web")
	_, err = r.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: "web", Origin: o, ValidateOnly: true})
	wantError(t, "C6.18: uniqueness is checked", err, codes.AlreadyExists, "ENTITY_ALREADY_EXISTS")
	change := proto.CloneOf(before)
	change.DisplayName = "two"
	got, err := r.UpdateOrigin(t.Context(), &originv1.UpdateOriginRequest{Origin: change, ValidateOnly: true})
	if err != nil || got.GetOrigin().GetDisplayName() != "two" || got.GetOrigin().GetEtag() != "" || got.GetOrigin().GetName() != "origins/web" {
		t.Errorf("C6.18: update = %v, %v", got, err)
	}
	if _, err := r.DeleteOrigin(t.Context(), &originv1.DeleteOriginRequest{Name: "origins/web", ValidateOnly: true}); err != nil {
		t.Errorf("C6.18: delete: %v", err)
	}
	if now := r.get(t, "web"); !proto.Equal(now, before) {
		t.Errorf("C6.18: it is %v, was %v", now, before)
	}
}

func TestRequestID(t *testing.T) {
	kv := etcdtest.Client(t)
	a, b := serve(t, kv), serve(t, kv)
	create := &originv1.CreateOriginRequest{OriginId: "web", Origin: &originv1.Origin{Endpoint: httpEndpoint("www.example.com")}, RequestId: uuid.NewString()}
	first, err := a.CreateOrigin(t.Context(), create)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.CreateOrigin(t.Context(), create)
	if err != nil || !proto.Equal(again.GetOrigin(), first.GetOrigin()) {
		t.Errorf("C3.17: create again = %v, %v", again, err)
	}
	other := proto.CloneOf(create)
	other.OriginId = "other"
	_, err = b.CreateOrigin(t.Context(), other)
	wantError(t, "C3.17: another request", err, codes.InvalidArgument, "REQUEST_ID_REUSED")
	other.RequestId = "1"
	_, err = b.CreateOrigin(t.Context(), other)
	wantError(t, "C3.17: no UUID", err, codes.InvalidArgument, "INVALID_ARGUMENT")

	update := &originv1.UpdateOriginRequest{
		Origin: &originv1.Origin{Name: "origins/web", Etag: first.GetOrigin().GetEtag(), DisplayName: "two"}, RequestId: uuid.NewString(),
	}
	changed, err := a.UpdateOrigin(t.Context(), update)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := b.UpdateOrigin(t.Context(), update) // its etag is stale by now
	if err != nil || twice.GetOrigin().GetEtag() != changed.GetOrigin().GetEtag() {
		t.Errorf("C3.17: update again = %v, %v", twice, err)
	}
	remove := &originv1.DeleteOriginRequest{Name: "origins/web", RequestId: uuid.NewString()}
	for range 2 {
		if _, err := a.DeleteOrigin(t.Context(), remove); err != nil {
			t.Errorf("C3.17: delete: %v", err)
		}
	}
}

func TestAllowMissing(t *testing.T) {
	r := serve(t, etcdtest.Client(t))
	_, err := r.DeleteOrigin(t.Context(), &originv1.DeleteOriginRequest{Name: "origins/web"})
	wantError(t, "C2.204", err, codes.NotFound, "ENTITY_NOT_FOUND")
	remove := &originv1.DeleteOriginRequest{Name: "origins/web", AllowMissing: true, RequestId: uuid.NewString()}
	if _, err := r.DeleteOrigin(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	r.create(t, "web")
	if _, err := r.DeleteOrigin(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	r.get(t, "web") // the repeated request deletes nothing that was created since
}
