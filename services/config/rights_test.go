// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// TestWithItsRightsOnly: config does its work as the etcd user that etcd-roles makes
// for it (C8.101).
func TestWithItsRightsOnly(t *testing.T) {
	rights, err := keys.Rights(keys.ConfigProgram, "")
	if err != nil {
		t.Fatal(err)
	}
	limited, root := etcdtest.Limited(t, etcdtest.Start(t), rights)
	putOrigin(t, root, "o", httpEndpoint())
	register(t, root, "a")
	r := start(t, config.Config{Etcd: limited})
	r.await(t, 1)
	d := r.mustCreate(t, referring("ref", "o"))
	report(t, root, "a", now(t, root))
	r.awaitEdge(t, "edges/a", serving)
	if _, err := r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/a"}); err != nil {
		t.Error(body(err))
	}
	if _, err := root.Delete(t.Context(), keys.EdgeStatus("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.fleet().DeleteEdge(t.Context(), &edgev1.DeleteEdgeRequest{Name: "edges/a"}); err != nil {
		t.Error(body(err))
	}
	off := r.disable(t, d)
	r.edgesForgotten(t)
	if err := r.delete(t.Context(), d.GetName(), off.GetEtag()); err != nil {
		t.Error(body(err))
	}
	checkKeys(t, root)
}

// edgesForgotten waits until the server no longer knows any edge.
func (r replica) edgesForgotten(t *testing.T) {
	t.Helper()
	for {
		res, err := r.fleet().ListEdges(t.Context(), &edgev1.ListEdgesRequest{})
		if err != nil {
			t.Fatal(body(err))
		}
		if len(res.GetEdges()) == 0 {
			return
		}
	}
}
