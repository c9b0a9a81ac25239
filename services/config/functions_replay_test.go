// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// TestPublicationIsAnsweredAgain: a publication that is repeated publishes nothing, and
// says so when what it published is gone.
func TestPublicationIsAnsweredAgain(t *testing.T) {
	f := serve(t, etcdtest.Client(t)).functions()
	made, err := f.create(t.Context(), "f", code("1"))
	if err != nil {
		t.Fatal(body(err))
	}
	req := &configv1.PublishFunctionRequest{Name: made.GetName(), Etag: made.GetEtag(), RequestId: uuid.NewString()}
	first, err := f.PublishFunction(t.Context(), req)
	if err != nil {
		t.Fatal(body(err))
	}
	again, err := f.PublishFunction(t.Context(), req)
	if err != nil || again.GetFunction().GetEtag() != first.GetFunction().GetEtag() {
		t.Errorf("C3.17: again %v, %v; want %v", again, body(err), first)
	}
	if _, err := f.DeleteFunction(t.Context(), &configv1.DeleteFunctionRequest{Name: made.GetName()}); err != nil {
		t.Fatal(body(err))
	}
	if _, err := f.create(t.Context(), "f", code("2")); err != nil {
		t.Fatal(body(err))
	}
	if _, err := f.PublishFunction(t.Context(), req); status.Code(err) != codes.NotFound {
		t.Errorf("C3.17: after another function took the name: %v", body(err))
	}
	if live := f.stages(t, configv1.Function_STAGE_LIVE); live != "" {
		t.Errorf("C3.17: published %s", live)
	}
}
