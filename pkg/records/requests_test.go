// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// TestRequestsWithSecrets: one that gives or clears a secret is not one that keeps it,
// and what the secret is does not lie in the store, not even as a hash.
func TestRequestsWithSecrets(t *testing.T) {
	kv := etcdtest.Client(t)
	requests := records.NewRequests(kv)
	update := func(value string, drop bool) *originv1.UpdateOriginRequest {
		return &originv1.UpdateOriginRequest{Origin: &originv1.Origin{
			Name: "origins/web", CustomHeaders: []*originv1.OriginHeader{{Name: "X-Key", Value: value, Clear: drop}},
		}}
	}
	id := uuid.NewString()
	r, done, err := requests.Recall(t.Context(), "UpdateOrigin", id, update("", false))
	if err != nil || done != "" {
		t.Fatal(done, err)
	}
	tx := etcd.NewTx(kv)
	if err := r.Remember(tx, "origins/web"); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		req    *originv1.UpdateOriginRequest
		reused bool
	}{
		"the same":          {update("", false), false},
		"a secret is given": {update("secret", false), true},
		"it is cleared":     {update("", true), true},
	} {
		_, done, err := requests.Recall(t.Context(), "UpdateOrigin", id, tt.req)
		e, _ := errors.AsType[*apierr.Error](err)
		if reused := e != nil && e.Reason == records.ReasonRequestIDReused; reused != tt.reused || !tt.reused && (err != nil || done != "origins/web") {
			t.Errorf("C3.17: %s: %q, %v", name, done, err)
		}
	}
}
