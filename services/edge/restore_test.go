// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"path/filepath"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

// TestRestoredBackup: an edge that has followed beyond a backup takes the restored data
// set from the beginning: what was written since is gone, what was deleted is back.
func TestRestoredBackup(t *testing.T) {
	m, origin := etcdtest.Start(t), newOrigin(t)
	c := m.Client(t)
	if _, err := records.NewEpoch(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	e := start(t, m.Client(t), t.TempDir())
	write(t, c, "1", site(t, "1", origin, optimized))
	awaitStatus(t, c, applied(write(t, c, "2", site(t, "2", origin, optimized))))
	file := filepath.Join(t.TempDir(), "backup")
	if size, err := etcd.Backup(t.Context(), c, file); err != nil || size == 0 {
		t.Fatal(size, err)
	}
	if _, err := c.Delete(t.Context(), keys.Resource(keys.Distributions, "1")); err != nil {
		t.Fatal(err)
	}
	last := write(t, c, "3", site(t, "3", origin, optimized))
	before := awaitStatus(t, c, applied(last))
	want(t, "before, deleted", e.get("http://d1.cdn.test/a"), 403, "Error")
	want(t, "before, new", e.get("http://d3.cdn.test/a"), 200, "Miss")

	m.Swap(t, func(dir string) {
		if err := embedded.Restore(file, dir); err != nil {
			t.Fatal(err)
		}
	})
	c = m.Client(t)
	epoch, err := records.NewEpoch(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	after := awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool {
		return s.GetEpoch() == epoch && s.GetAppliedRevision() >= s.GetJoinRevision()
	})
	if after.GetAppliedRevision() <= before.GetAppliedRevision() {
		t.Errorf("C8.88: revision %d after the restore, %d before: a revision means two things", after.GetAppliedRevision(), before.GetAppliedRevision())
	}
	want(t, "restored, deleted since", e.get("http://d1.cdn.test/b"), 200, "Miss")
	want(t, "restored, written since", e.get("http://d3.cdn.test/a"), 403, "Error")
	if err := embedded.Restore(file, m.Dir()); err == nil {
		t.Error("a restore over data that exists")
	}
	if err := embedded.Restore(file+".none", t.TempDir()+"/x"); err == nil {
		t.Error("a restore of nothing")
	}
}
