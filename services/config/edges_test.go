// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

const (
	serving  = commonv1.EdgeState_EDGE_STATE_SERVING
	joining  = commonv1.EdgeState_EDGE_STATE_JOINING
	draining = commonv1.EdgeState_EDGE_STATE_DRAINING
	gone     = commonv1.EdgeState_EDGE_STATE_GONE
)

func (r replica) fleet() edgev1.EdgeServiceClient { return edgev1.NewEdgeServiceClient(r.conn) }

func (r replica) edge(t *testing.T, name string) *edgev1.Edge {
	t.Helper()
	res, err := r.fleet().GetEdge(t.Context(), &edgev1.GetEdgeRequest{Name: name})
	if err != nil {
		t.Fatalf("get %s: %v", name, body(err))
	}
	return res.GetEdge()
}

// awaitEdge reads an edge until it is in a state: its status comes by a watch.
func (r replica) awaitEdge(t *testing.T, name string, want commonv1.EdgeState) *edgev1.Edge {
	t.Helper()
	watch := r.kv.Watch(t.Context(), keys.Root, clientv3.WithPrefix())
	for {
		if e := r.edge(t, name); e.GetState() == want {
			return e
		}
		if _, ok := <-watch; !ok { // the beat comes every 5 s
			t.Fatalf("%s is %v, want %v", name, r.edge(t, name).GetState(), want)
		}
	}
}

func TestDrainAndUndrain(t *testing.T) {
	client := etcdtest.Client(t)
	r := serve(t, client)
	register(t, client, "a")
	report(t, client, "a", now(t, client))
	before := r.awaitEdge(t, "edges/a", serving)
	if before.GetStatus().GetBootId() != "boot" || before.GetPop() != "AMS1" || before.GetEtag() == "" || before.GetDraining() {
		t.Errorf("C6.56: %v", before)
	}
	dry, err := r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/a", Etag: before.GetEtag(), ValidateOnly: true})
	if e := dry.GetEdge(); err != nil || !e.GetDraining() || e.GetState() != draining || e.GetEtag() != before.GetEtag() {
		t.Errorf("validate_only: %v, %v", e, err)
	}
	if e := r.edge(t, "edges/a"); e.GetDraining() {
		t.Errorf("validate_only has written: %v", e)
	}
	drained, err := r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/a", Etag: before.GetEtag()})
	if e := drained.GetEdge(); err != nil || !e.GetDraining() || e.GetState() != draining || e.GetEtag() == before.GetEtag() || e.GetDrainUpdateTime() == nil {
		t.Fatalf("drain: %v, %v", e, err)
	}
	again, err := r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/a"})
	if err != nil || again.GetEdge().GetEtag() != drained.GetEdge().GetEtag() {
		t.Errorf("a second drain: %v, %v", again, err)
	}
	_, err = r.fleet().UndrainEdge(t.Context(), &edgev1.UndrainEdgeRequest{Name: "edges/a", Etag: before.GetEtag()})
	wantError(t, "C3.6: old etag", err, codes.Aborted, "PRECONDITION_FAILED")
	// C8.37: the edge starts anew and writes its identity.
	register(t, client, "a")
	if e := r.edge(t, "edges/a"); !e.GetDraining() || e.GetEtag() != drained.GetEdge().GetEtag() {
		t.Errorf("after the edge registered again: %v", e)
	}
	back, err := r.fleet().UndrainEdge(t.Context(), &edgev1.UndrainEdgeRequest{Name: "edges/a", Etag: drained.GetEdge().GetEtag()})
	if e := back.GetEdge(); err != nil || e.GetDraining() || e.GetState() != joining {
		t.Fatalf("C8.72: undrain: %v, %v", e, err)
	}
	report(t, client, "a", now(t, client))
	r.awaitEdge(t, "edges/a", serving)
}

// TestDrainLosesNothing: edges that start over and over and operators who drain and
// undrain through two servers; each wish and each identity that was acknowledged last
// is there at the end.
func TestDrainLosesNothing(t *testing.T) {
	space := etcdtest.New(t)
	one, other, client := serve(t, space.Client(t)), serve(t, space.Client(t)), space.Client(t)
	register(t, client, "a")
	const rounds = 50
	var wg sync.WaitGroup
	for _, r := range []replica{one, other} {
		wg.Go(func() {
			for i := range rounds {
				var err error
				if i%2 == 0 {
					_, err = r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/a"})
				} else {
					_, err = r.fleet().UndrainEdge(t.Context(), &edgev1.UndrainEdgeRequest{Name: "edges/a"})
				}
				if code, _ := reason(err); code != codes.OK && code != codes.Unavailable {
					t.Errorf("round %d: %v", i, err)
				}
			}
		})
	}
	for i := range rounds {
		putRaw(t, client, keys.Edge("a"), &edgev1.Edge{Name: "edges/a", Pop: fmt.Sprint("POP", i)})
	}
	wg.Wait()
	if _, err := one.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/a"}); err != nil {
		t.Fatal(err)
	}
	putRaw(t, client, keys.Edge("a"), &edgev1.Edge{Name: "edges/a", Pop: "LAST"})
	if e := other.edge(t, "edges/a"); e.GetPop() != "LAST" || !e.GetDraining() {
		t.Errorf("C8.37: %v", e)
	}
}

func TestListEdges(t *testing.T) {
	client := etcdtest.Client(t)
	r := serve(t, client)
	for i := range 7 {
		id := fmt.Sprintf("edge %d", i)
		putRaw(t, client, keys.Edge(id), &edgev1.Edge{Name: keys.Edges.Name(id), Pop: []string{"AMS1", "FRA2"}[i%2]})
	}
	list := func(req *edgev1.ListEdgesRequest) string {
		t.Helper()
		var out []string
		for {
			res, err := r.fleet().ListEdges(t.Context(), req)
			if err != nil {
				t.Fatal(body(err))
			}
			var page []string
			for _, e := range res.GetEdges() {
				page = append(page, strings.TrimPrefix(e.GetName(), "edges/edge "))
			}
			out = append(out, strings.Join(page, " "))
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				return strings.Join(out, "|")
			}
		}
	}
	report(t, client, "edge 3", now(t, client))
	report(t, client, "edge 5", now(t, client))
	r.awaitEdge(t, "edges/edge 5", serving)
	for _, tt := range []struct {
		name string
		req  *edgev1.ListEdgesRequest
		want string
	}{
		{"all", &edgev1.ListEdgesRequest{}, "0 1 2 3 4 5 6"},
		{"C6.17: pages", &edgev1.ListEdgesRequest{PageSize: 3}, "0 1 2|3 4 5|6"},
		{"one place", &edgev1.ListEdgesRequest{Pop: "FRA2", PageSize: 2}, "1 3|5"},
		{"one state", &edgev1.ListEdgesRequest{State: serving, PageSize: 1}, "3|5"},
		{"both", &edgev1.ListEdgesRequest{State: gone, Pop: "AMS1"}, "0 2 4 6"},
		{"none", &edgev1.ListEdgesRequest{State: draining}, ""},
	} {
		if got := list(tt.req); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	first, err := r.fleet().ListEdges(t.Context(), &edgev1.ListEdgesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]*edgev1.ListEdgesRequest{
		"C6.17: negative":              {PageSize: -1},
		"C3.25: another filter":        {PageToken: first.GetNextPageToken(), Pop: "AMS1"},
		"C3.25: not a token":           {PageToken: "x"},
		"C6.60: a state of the future": {State: 99},
	} {
		_, err := r.fleet().ListEdges(t.Context(), req)
		if code, _ := reason(err); code != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeleteEdge(t *testing.T) {
	client := etcdtest.Client(t)
	r := serve(t, client)
	register(t, client, "a")
	report(t, client, "a", now(t, client))
	if _, err := r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/a"}); err != nil {
		t.Fatal(err)
	}
	remove := func(etag string, dry bool) error {
		_, err := r.fleet().DeleteEdge(t.Context(), &edgev1.DeleteEdgeRequest{Name: "edges/a", Etag: etag, ValidateOnly: dry})
		return err
	}
	wantError(t, "C2.225: it reports", remove("", false), codes.FailedPrecondition, "RESOURCE_IN_USE")
	wantError(t, "it reports, validate_only", remove("", true), codes.FailedPrecondition, "RESOURCE_IN_USE")
	if _, err := client.Delete(t.Context(), keys.EdgeStatus("a")); err != nil {
		t.Fatal(err)
	}
	r.awaitEdge(t, "edges/a", gone)
	wantError(t, "C3.6: old etag", remove(keys.ETag(7), false), codes.Aborted, "PRECONDITION_FAILED")
	if err := remove("", true); err != nil {
		t.Error(err)
	}
	if err := remove(r.edge(t, "edges/a").GetEtag(), false); err != nil {
		t.Fatal(err)
	}
	_, err := r.fleet().GetEdge(t.Context(), &edgev1.GetEdgeRequest{Name: "edges/a"})
	wantError(t, "C2.191: deleted", err, codes.NotFound, "NO_SUCH_RESOURCE")
	wantError(t, "deleted twice", remove("", false), codes.NotFound, "NO_SUCH_RESOURCE")
	register(t, client, "a") // it comes back, and nothing is left of the old wish
	if e := r.edge(t, "edges/a"); e.GetDraining() {
		t.Errorf("after it came back: %v", e)
	}
	for _, name := range []string{"", "a", "edges/", "edges/a/b", "edges/a\n"} {
		_, err := r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: name})
		wantError(t, fmt.Sprintf("%q", name), err, codes.InvalidArgument, "INVALID_ARGUMENT")
	}
	_, err = r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/none"})
	wantError(t, "not registered", err, codes.NotFound, "NO_SUCH_RESOURCE")
}

// TestDeleteDistributionWithoutSomeEdges: edges that drain, joined and never came
// further, or are gone hold no deletion up; lagging ones, see
// internal/distribution (C9.52).
func TestDeleteDistributionWithoutSomeEdges(t *testing.T) {
	client := etcdtest.Client(t)
	r := serve(t, client)
	for _, id := range []string{"live", "drained", "joining", "gone"} {
		register(t, client, id)
	}
	d := r.mustCreate(t, simple("ref"))
	start := now(t, client)
	report(t, client, "live", start)
	report(t, client, "drained", start)
	report(t, client, "joining", start, func(s *edgev1.EdgeStatus) { s.JoinRevision = start + 1000 })
	r.awaitEdge(t, "edges/drained", serving)
	off := r.disable(t, d)
	wantError(t, "C1.52: two have not followed", r.delete(t.Context(), d.GetName(), off.GetEtag()), codes.FailedPrecondition, "DISTRIBUTION_NOT_DISABLED")
	report(t, client, "live", now(t, client))
	if _, err := r.fleet().DrainEdge(t.Context(), &edgev1.DrainEdgeRequest{Name: "edges/drained"}); err != nil {
		t.Fatal(err)
	}
	if err := r.delete(t.Context(), d.GetName(), off.GetEtag()); err != nil {
		t.Errorf("C8.73: %v", body(err))
	}
}
