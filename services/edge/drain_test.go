// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/edge"
)

// wish writes what operators want of an edge, as config does.
func wish(t *testing.T, c *clientv3.Client, id string, draining bool) int64 {
	t.Helper()
	resource, err := proto.Marshal(&storev1.EdgeIntent{Draining: draining})
	if err != nil {
		t.Fatal(err)
	}
	value, err := keys.Encode(&storev1.Record{WriteId: 1, Generation: 1, Resource: resource})
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Put(t.Context(), keys.EdgeIntent(id), string(value))
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Revision
}

func checkReady(t *testing.T, what string, e *running, status int, word string) {
	t.Helper()
	if got, body := e.admin("/readyz"); got != status || !strings.Contains(body, word) {
		t.Errorf("%s: /readyz is %d %q, want %d with %q", what, got, body, status, word)
	}
}

func TestDrain(t *testing.T) {
	m := etcdtest.Start(t)
	c, origin, dir := m.Client(t), newOrigin(t), t.TempDir()
	e := start(t, m.Client(t), dir)
	awaitStatus(t, c, applied(write(t, c, "1", site(t, "1", origin, optimized))))
	checkReady(t, "before", e, 200, "")
	wish(t, c, "another", true)
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s != nil && !s.GetDraining() })

	rev := wish(t, c, "e1", true)
	s := awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s.GetDraining() })
	if s.GetAppliedRevision() < rev {
		t.Errorf("draining is told at revision %d, wanted at %d", s.GetAppliedRevision(), rev)
	}
	checkReady(t, "drained", e, 503, "draining")
	want(t, "drained, and still asked", e.get("http://d1.cdn.test/a"), 200, "Miss")
	// What changes is obeyed all the same.
	awaitStatus(t, c, applied(write(t, c, "2", site(t, "2", origin, optimized))))
	want(t, "a later distribution", e.get("http://d2.cdn.test/a"), 200, "Miss")

	// C8.37: the identity that the edge writes at its start takes nothing of the wish.
	e.stop()
	e = start(t, m.Client(t), dir)
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool {
		return s.GetDraining() && s.GetSource() == edgev1.EdgeStatus_SOURCE_ETCD
	})
	checkReady(t, "after a restart", e, 503, "draining")
	e.stop()

	m.Stop()
	e = start(t, m.Client(t), dir)
	checkReady(t, "after a restart without etcd", e, 503, "draining")
	want(t, "without etcd", e.get("http://d1.cdn.test/a"), 200, "Miss")
	m.Restart(t)
	c = m.Client(t)
	rev = wish(t, c, "e1", false)
	s = awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s != nil && !s.GetDraining() })
	if s.GetAppliedRevision() < rev {
		t.Errorf("the end of draining is told at revision %d, wanted at %d", s.GetAppliedRevision(), rev)
	}
	checkReady(t, "undrained", e, 200, "")
	wish(t, c, "e1", true)
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s.GetDraining() })
	if _, err := c.Delete(t.Context(), keys.EdgeIntent("e1")); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s != nil && !s.GetDraining() })
}

func TestDrainedWhileDisconnected(t *testing.T) {
	m := etcdtest.Start(t)
	c, dir := m.Client(t), t.TempDir()
	e := start(t, m.Client(t), dir)
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s.GetSource() == edgev1.EdgeStatus_SOURCE_ETCD })
	wish(t, c, "e1", true)
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s.GetDraining() })
	e.stop()
	if _, err := c.Delete(t.Context(), keys.EdgeIntent("e1")); err != nil {
		t.Fatal(err)
	}
	e = start(t, m.Client(t), dir) // the delta list finds the wish gone (C8.82)
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool {
		return s != nil && !s.GetDraining() && s.GetSource() == edgev1.EdgeStatus_SOURCE_ETCD
	})
	checkReady(t, "undrained while stopped", e, 200, "")
}

func TestDeletedRegistrationComesBack(t *testing.T) {
	c := etcdtest.Client(t)
	start(t, c, t.TempDir(), func(cfg *edge.Config) { cfg.Labels = map[string]string{"rack": "7"} })
	first := awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s.GetSource() == edgev1.EdgeStatus_SOURCE_ETCD })
	if _, err := c.Delete(t.Context(), keys.Edge("e1")); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool {
		return s.GetJoinRevision() > first.GetJoinRevision() && s.GetAppliedRevision() >= s.GetJoinRevision()
	})
	got, err := c.Get(t.Context(), keys.Edge("e1"))
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("identity %v, %v", got, err)
	}
	var identity edgev1.Edge
	if err := keys.Decode(got.Kvs[0].Value, &identity); err != nil || identity.GetLabels()["rack"] != "7" {
		t.Errorf("C6.56: identity %v, %v", &identity, err)
	}
}

// TestWithItsRightsOnly: an edge does its work as the etcd user that etcd-roles makes
// for it, and cannot speak for another (C8.101).
func TestWithItsRightsOnly(t *testing.T) {
	rights, err := keys.Rights(keys.EdgeProgram, "e1")
	if err != nil {
		t.Fatal(err)
	}
	limited, root := etcdtest.Limited(t, etcdtest.Start(t), rights)
	e := start(t, limited, t.TempDir())
	awaitStatus(t, root, applied(write(t, root, "1", site(t, "1", newOrigin(t), optimized))))
	want(t, "served", e.get("http://d1.cdn.test/a"), 200, "Miss")
	wish(t, root, "e1", true)
	awaitStatus(t, root, func(s *edgev1.EdgeStatus) bool { return s.GetDraining() })
	for _, key := range []string{keys.EdgeStatus("e2"), keys.Edge("e2"), keys.EdgeIntent("e1"), keys.Resource(keys.Distributions, "1")} {
		if _, err := limited.Put(t.Context(), key, ""); err == nil {
			t.Errorf("C8.101: it may write %s", key)
		}
	}
	e.stop()
	if s := status(t, root); s != nil {
		t.Errorf("a stopped edge has a status: %v", s)
	}
}
