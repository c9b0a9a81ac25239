// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	originregistry "github.com/seafront-cdn/seafront/services/origin-registry"
)

// TestSecretsNeedTheClusterKey: without one, secrets are refused and all else works;
// what is stored is neither lost nor changed. A key of another cluster is no better.
func TestSecretsNeedTheClusterKey(t *testing.T) {
	client := etcdtest.Client(t)
	ring := func() *secret.Keyring {
		line, err := secret.NewKey("k")
		if err != nil {
			t.Fatal(err)
		}
		k, err := secret.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	right := ring()
	with := start(t, originregistry.Config{Etcd: client, Secrets: right})
	without, wrong := serve(t, client), start(t, originregistry.Config{Etcd: client, Secrets: ring()})
	headers := func(h ...*originv1.OriginHeader) *originv1.Origin {
		return &originv1.Origin{Endpoint: httpEndpoint("www.example.com"), CustomHeaders: h}
	}
	refused := func(what string, err error, text string) {
		t.Helper()
		if code, why := reason(err); code != codes.FailedPrecondition || why != records.ReasonSecrets || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "hush") {
			t.Errorf("C8.102: %s: %v", what, err)
		}
	}
	_, err := without.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: "o", Origin: headers(&originv1.OriginHeader{Name: "X-Key", Value: "hush"})})
	refused("create without a key", err, "--cluster-key-file")
	if _, err := without.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: "plain", Origin: headers(&originv1.OriginHeader{Name: "X-Key", Clear: true})}); err != nil {
		t.Errorf("create without a secret: %v", err)
	}
	if _, err := with.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{OriginId: "o", Origin: headers(&originv1.OriginHeader{Name: "X-Key", Value: "hush"})}); err != nil {
		t.Fatal(err)
	}
	more := headers(&originv1.OriginHeader{Name: "X-Key"}, &originv1.OriginHeader{Name: "X-Two", Value: "hush"})
	more.Name = "origins/o"
	_, err = without.UpdateOrigin(t.Context(), &originv1.UpdateOriginRequest{Origin: more})
	refused("update without a key", err, "cluster key")
	_, err = wrong.UpdateOrigin(t.Context(), &originv1.UpdateOriginRequest{Origin: more})
	refused("update with another key", err, `cluster key "k"`)
	res, err := without.UpdateOrigin(t.Context(), &originv1.UpdateOriginRequest{
		Origin: &originv1.Origin{Name: "origins/o", DisplayName: "still"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	})
	if err != nil || res.GetOrigin().GetCustomHeaders()[0].GetValue() != "" {
		t.Errorf("C9.42: a change that keeps the secret, without a key: %v, %v", res, err)
	}
	var o originv1.Origin
	key := keys.Resource(keys.Origins, "o")
	_, sealed, _, err := records.GetWithSecrets(t.Context(), client, key, &o)
	opened, openErr := records.Open(right, key, sealed)
	if errors.Join(err, openErr) != nil || len(opened) != 1 || opened[`custom_headers["x-key"].value`] != "hush" || o.GetDisplayName() != "still" {
		t.Errorf("C9.42: stored %v with %q, %v %v", &o, opened, err, openErr)
	}
}
