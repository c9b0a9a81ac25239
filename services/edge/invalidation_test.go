// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

func TestInvalidation(t *testing.T) {
	c := etcdtest.Client(t)
	o := newOrigin(t)
	configured := write(t, c, "1", site(t, "1", o, optimized))
	e := start(t, c, t.TempDir())
	awaitStatus(t, c, applied(configured))
	url := "http://d1.cdn.test/a"
	e.get(url)
	await(t, func() bool { return e.get(url).header.Get("X-Cache") == "Hit from seafront" })
	res, err := c.Put(t.Context(), keys.Invalidation("1", "I1"), string(recordOf(t, &configv1.Invalidation{Paths: []string{"/*"}})))
	if err != nil {
		t.Fatal(err)
	}
	revision := res.Header.Revision
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s.GetAppliedInvalidationRevision() >= revision })
	if got := e.get(url).header.Get("X-Cache"); got != "Miss from seafront" {
		t.Errorf("D25.14: X-Cache %q after the acknowledgement", got)
	}
	put(t, c, keys.Beat, "x") // as config does
	s := awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return len(s.GetDead()) > 0 })
	if d := s.GetDead()[0]; d.GetInvalidation() != "distributions/1/invalidations/I1" || d.GetObjects() != 1 {
		t.Errorf("objects found dead: %v", d)
	}
}
