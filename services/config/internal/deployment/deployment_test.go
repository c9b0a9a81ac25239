// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

func TestWithoutEdges(t *testing.T) {
	w := newWorld(t)
	rev := w.distribution("E1", caching)
	// C8.70: nobody has ever registered, so a fresh installation is usable.
	w.wantDeployment("E1", &commonv1.Deployment{State: deployed, TargetRevision: rev})
	w.wantCondition("E1", isUnknown, ReasonNoEdge)

	w.register("a")
	w.wantDeployment("E1", &commonv1.Deployment{State: inWork, TargetRevision: rev})
	w.wantCondition("E1", isFalse, ReasonNoneLive)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": gone})

	w.report("a", rev)
	w.wantCondition("E1", isTrue, ReasonDeployed)
	w.remove(keys.EdgeStatus("a"))
	w.remove(keys.Edge("a"))
	w.wantCondition("E1", isUnknown, ReasonNoEdge)
}

func TestTarget(t *testing.T) {
	w := newWorld(t)
	w.policy(custom)
	w.origin("web")
	w.origin("other")
	first := w.distribution("E1", custom, "web")
	unrelated := w.distribution("E2", caching)
	target := func(id string) int64 { return w.index.Of(Question{ID: id}).Deployment.GetTargetRevision() }
	if got := target("E1"); got != first {
		t.Errorf("C8.69: target %d, want its own %d", got, first)
	}
	if rev := w.origin("web"); target("E1") != rev {
		t.Errorf("C8.69: target %d, want the origin's %d", target("E1"), rev)
	}
	if rev := w.policy(custom); target("E1") != rev {
		t.Errorf("C8.69: target %d, want the policy's %d", target("E1"), rev)
	}
	if w.origin("other"); target("E1") == w.revision {
		t.Error("C8.69: a foreign origin moves the target")
	}
	if got := target("E2"); got != unrelated {
		t.Errorf("C8.69: target of another distribution %d, want %d", got, unrelated)
	}
	if got := w.index.Of(Question{ID: "E2", Revision: 5000}).Deployment.GetTargetRevision(); got != 5000 {
		t.Errorf("C9.46: target %d, want the asker's newer revision", got)
	}
	if got := w.index.Of(Question{ID: "E2", Want: 77}).Deployment.GetTargetRevision(); got != 77 {
		t.Errorf("C8.78: target %d, want the one asked for", got)
	}
}

func TestDeployed(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.register("b")
	w.report("a", w.revision)
	w.report("b", w.revision)
	rev := w.distribution("E1", caching)
	w.wantDeployment("E1", &commonv1.Deployment{
		State: inWork, TargetRevision: rev, MinAppliedRevision: 102, EdgesTotal: 2, PendingEdges: []string{"edges/a", "edges/b"},
	})
	w.wantCondition("E1", isFalse, ReasonPending)

	w.now = w.now.Add(20 * time.Millisecond)
	w.report("b", rev)
	w.wantDeployment("E1", &commonv1.Deployment{
		State: inWork, TargetRevision: rev, MinAppliedRevision: 102, EdgesTotal: 2, EdgesCurrent: 1, PendingEdges: []string{"edges/a"},
	})
	w.now = w.now.Add(10 * time.Millisecond)
	w.report("a", rev)
	since := timestamppb.New(w.now)
	all := &commonv1.Deployment{State: deployed, TargetRevision: rev, MinAppliedRevision: rev, EdgesTotal: 2, EdgesCurrent: 2, Since: since}
	w.wantDeployment("E1", all)
	w.wantCondition("E1", isTrue, ReasonDeployed)

	// Reports that only follow the beat move nothing but the revision.
	w.now = w.now.Add(time.Hour)
	w.put(keys.Beat, []byte("x"))
	w.report("a", w.revision)
	w.report("b", w.revision)
	all.MinAppliedRevision = w.revision - 2
	w.wantDeployment("E1", all)

	w.remove(keys.Resource(keys.Distributions, "E1"))
	if got := w.index.Stats(w.now).Distributions; got != 0 {
		t.Errorf("%d distributions after the deletion", got)
	}
}

func TestPendingIsBounded(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		id := fmt.Sprintf("e%02d", i)
		w.register(id)
		w.report(id, 100, func(s *edgev1.EdgeStatus) {
			s.Rejected = []*edgev1.RejectedRecord{{Resource: "distributions/E1", Revision: 1000, Reason: "X"}}
			s.RejectedCount = 1
			s.AppliedRevision = 1000
		})
	}
	w.revision = 999
	w.distribution("E1", caching)
	d := w.index.Of(Question{ID: "E1"}).Deployment
	if len(d.GetPendingEdges()) != 20 || len(d.GetRejections()) != 20 || d.GetEdgesTotal() != 30 || d.GetEdgesRejected() != 30 {
		t.Errorf("C6.35: %v", d)
	}
}

func TestRejected(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.register("b")
	w.report("a", w.revision)
	w.report("b", w.revision)
	w.origin("web")
	rev := w.distribution("E1", caching, "web")
	bad := w.origin("web")
	reject := func(s *edgev1.EdgeStatus) {
		s.Rejected = []*edgev1.RejectedRecord{
			{Resource: "origins/web", Revision: bad, Reason: "UNKNOWN_ENUM_VALUE", Message: "endpoint.http.ip_family has the number 9"},
			{Resource: "distributions/E1", Revision: rev - 1, Reason: "OLD", Message: "a version that was since replaced"},
			{Resource: "distributions/E9", Revision: bad, Reason: "FOREIGN"},
		}
		s.RejectedCount = 3
	}
	w.report("a", bad, reject)
	w.report("b", bad)
	w.wantDeployment("E1", &commonv1.Deployment{
		State: inWork, TargetRevision: bad, MinAppliedRevision: bad, EdgesTotal: 2, EdgesCurrent: 1, EdgesRejected: 1, PendingEdges: []string{"edges/a"},
		Rejections: []*commonv1.EdgeRejection{{Edge: "edges/a", Resource: "origins/web", Revision: bad, Reason: "UNKNOWN_ENUM_VALUE", Message: "endpoint.http.ip_family has the number 9"}},
	})
	w.wantCondition("E1", isFalse, ReasonRejected)
	// C8.76: nobody else is held up.
	w.distribution("E2", caching)
	w.report("a", w.revision, reject)
	w.report("b", w.revision)
	w.wantCondition("E2", isTrue, ReasonDeployed)
	w.wantCondition("E1", isFalse, ReasonRejected)
	// An edge that rejects more than it can name may reject this one.
	w.report("a", w.revision, func(s *edgev1.EdgeStatus) {
		s.Rejected, s.RejectedCount = []*edgev1.RejectedRecord{{Resource: "distributions/E9", Revision: bad, Reason: "FOREIGN"}}, 500
	})
	w.wantCondition("E2", isFalse, ReasonRejected)
	if got := w.index.Of(Question{ID: "E2"}).Deployment.GetRejections()[0].GetReason(); got != reasonTruncated {
		t.Errorf("rejection reason %q", got)
	}
	// Mended.
	good := w.origin("web")
	w.report("a", good)
	w.report("b", good)
	w.wantCondition("E1", isTrue, ReasonDeployed)
}

func TestEpoch(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	rev := w.distribution("E1", caching)
	w.report("a", rev, func(s *edgev1.EdgeStatus) { s.Epoch = "another"; s.AppliedRevision = 1 << 40 })
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": joining})
	// C8.88: it counts as serving nothing.
	w.wantDeployment("E1", &commonv1.Deployment{State: inWork, TargetRevision: rev})

	// A restored data set replaces all that was known.
	w.epoch, w.revision = "epoch-2", 5000
	w.list(mirror.Event{Key: keys.Edge("a"), Value: encode(t, &edgev1.Edge{Pop: "AMS1"}), ModRevision: 4000})
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": gone})
	if s := w.index.Stats(w.now); s.Distributions != 0 || s.Revision != 5000 {
		t.Errorf("after a reset: %+v", s)
	}
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.policy(custom)
	w.origin("web")
	w.distribution("E1", custom, "web")
	w.register("a/b")
	w.report("a/b", 1)
	w.put(keys.Epoch, []byte(epochOne))
	w.put(keys.Beat, []byte("x"))
	w.put(keys.Root+"r/keyGroups/x", []byte("of a later release"))
	want := []string{
		keys.Edge("a/b"), keys.Resource(keys.CachePolicies, custom), keys.Resource(keys.Distributions, "E1"), keys.Resource(keys.Origins, "web"),
		keys.Beat, keys.Epoch, keys.EdgeStatus("a/b"),
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(w.index.Keys())); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for range w.index.Keys() {
		break // a loop may end early
	}
	for _, key := range want {
		w.remove(key)
	}
	if got := slices.Collect(w.index.Keys()); len(got) != 0 {
		t.Errorf("keys after all is deleted: %q", got)
	}
	if len(w.index.edges) != 0 {
		t.Error("an edge without a trace is kept")
	}
}

func TestUnreadableRecord(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	rev := w.put(keys.Resource(keys.Distributions, "E1"), []byte{9, 9})
	w.put(keys.Resource(keys.Origins, "web"), []byte{9, 9})
	w.put(keys.Edge("b"), []byte{9, 9})
	w.report("a", w.revision, func(s *edgev1.EdgeStatus) {
		s.Rejected = []*edgev1.RejectedRecord{{Resource: "distributions/E1", Revision: rev, Reason: "UNREADABLE_RECORD"}}
	})
	w.wantCondition("E1", isFalse, ReasonRejected)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": gone})
}

func TestStats(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.register("b")
	w.report("a", w.revision)
	w.distribution("E1", caching)
	w.pass(3 * time.Second)
	w.distribution("E2", caching)
	w.pass(2 * time.Second)
	got := w.index.Stats(w.now)
	want := Stats{Distributions: 2, Edges: map[commonv1.EdgeState]int{serving: 1, gone: 1}, Lag: 5 * time.Second, Revision: w.revision}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	w.report("a", w.revision)
	if lag := w.index.Stats(w.now).Lag; lag != 0 {
		t.Errorf("lag %v when all is served", lag)
	}
}

func TestBehind(t *testing.T) {
	a := Behind(Question{ID: "E1", Revision: 7})
	if a.Deployed() || a.Deployment.GetTargetRevision() != 7 || a.Converged.GetReason() != ReasonUnknown || a.Converged.GetStatus() != isUnknown {
		t.Errorf("C9.46: %+v", a)
	}
}

// A report of an edge costs the same with many distributions as with none (C8.77).
func BenchmarkReport(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			index, now := New(), time.Now()
			batch := mirror.Batch{Revision: 1, Epoch: epochOne}
			for i := range n {
				batch.Events = append(batch.Events, mirror.Event{Key: keys.Resource(keys.Distributions, fmt.Sprint(i)), Value: []byte{9}, ModRevision: 1})
			}
			index.Apply(batch, now)
			value, err := keys.Encode(&edgev1.EdgeStatus{Epoch: epochOne, AppliedRevision: 1})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			revision := int64(1)
			for b.Loop() {
				revision++
				index.Apply(mirror.Batch{Revision: revision, Epoch: epochOne, Live: true, Events: []mirror.Event{{Key: keys.EdgeStatus("a"), Value: value, ModRevision: revision}}}, now)
			}
		})
	}
}
