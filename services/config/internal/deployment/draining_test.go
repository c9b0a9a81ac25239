// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

const draining = commonv1.EdgeState_EDGE_STATE_DRAINING

// wish writes what operators want of an edge.
func (w *world) wish(id string, drain bool) int64 {
	return w.put(keys.EdgeIntent(id), record(w.t, &storev1.EdgeIntent{Draining: drain, UpdateTime: timestamppb.New(w.now)}))
}

func drains(s *edgev1.EdgeStatus) { s.Draining = true }

func TestDraining(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.register("b")
	w.report("a", w.revision)
	w.report("b", w.revision)
	w.wish("b", true)
	// It does not count from the wish on, whether it has taken it in or not.
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": draining})
	rev := w.distribution("E1", caching)
	w.report("a", rev)
	w.wantCondition("E1", isTrue, ReasonDeployed)
	if got := w.index.Of(Question{ID: "E1"}).Converged.GetMessage(); !strings.HasSuffix(got, "; not counted: 1 draining") {
		t.Errorf("message %q", got)
	}
	w.report("b", rev, drains)
	w.pass(10 * time.Minute)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": draining})
	// The registration at a restart takes nothing of the wish (C8.37).
	w.remove(keys.EdgeStatus("b"))
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": gone})
	w.register("b")
	w.report("b", w.revision, drains)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": draining})

	// The end of it is like joining: it has to serve what was current then (C8.72).
	back := w.wish("b", false)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": draining})
	w.report("b", back-1)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": joining})
	w.report("b", back)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": serving})
}

// A replica that starts and lists judges as one that has watched all along.
func TestDrainingIsSeenByAList(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.report("a", 102)
	w.revision = 110
	w.list(
		mirror.Event{Key: keys.Edge("a"), Value: encode(t, &edgev1.Edge{}), ModRevision: 101},
		mirror.Event{Key: keys.EdgeIntent("a"), Value: record(t, &storev1.EdgeIntent{}), ModRevision: 105},
		mirror.Event{Key: keys.EdgeStatus("a"), Value: encode(t, &edgev1.EdgeStatus{Epoch: w.epoch, AppliedRevision: 104, JoinRevision: 101}), ModRevision: 104},
	)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": joining})
	w.report("a", 105)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving})
	var held []string
	for key := range w.index.Keys() {
		held = append(held, key)
	}
	if got := strings.Join(held, " "); !strings.Contains(got, keys.EdgeIntent("a")) {
		t.Errorf("C8.82: a list would not find the wish gone: %s", got)
	}
	w.wish("a", true)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": draining})
	w.remove(keys.EdgeIntent("a"))
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving})
	// What cannot be read drains nobody.
	w.put(keys.EdgeIntent("a"), []byte{9})
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving})
}

// An edge that lagged, drained and was undrained is judged by what it serves then.
func TestDrainingEndsLagging(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.report("a", w.revision)
	w.distribution("E1", caching)
	w.pass(time.Minute)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": lagging})
	w.wish("a", true)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": draining})
	back := w.wish("a", false)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": joining})
	w.report("a", back)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving})
}

func TestNobodyIsLive(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.register("b")
	w.report("a", w.revision)
	w.wish("a", true)
	w.distribution("E1", caching)
	w.wantCondition("E1", isFalse, ReasonNoneLive) // C8.70
	if got := w.index.Of(Question{ID: "E1"}).Converged.GetMessage(); got != "no registered edge is live; not counted: 1 draining, 1 gone" {
		t.Errorf("message %q", got)
	}
	// What is left when the last edge is deleted does not count as one.
	w.remove(keys.EdgeStatus("a"))
	w.remove(keys.Edge("a"))
	w.remove(keys.Edge("b"))
	w.wantCondition("E1", isUnknown, ReasonNoEdge)
}

func TestShownEdges(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.report("a", w.revision)
	w.register("b")
	rev := w.distribution("E1", caching)
	w.pass(30 * time.Second)
	w.wish("c", true) // never registered
	a, ok := w.index.Edge("a", w.now)
	if !ok || a.GetBehind().AsDuration() != 30*time.Second || a.GetNewestRevision() != rev || a.GetStatus().GetAppliedRevision() != 101 ||
		a.GetEtag() != keys.ETag(0) || a.GetState() != serving || a.GetPop() != "AMS1" {
		t.Errorf("edge %v, %v", a, ok)
	}
	if b, ok := w.index.Edge("b", w.now); !ok || b.GetState() != gone || b.GetStatus() != nil || b.GetBehind() != nil {
		t.Errorf("edge %v, %v", b, ok)
	}
	if c, ok := w.index.Edge("c", w.now); ok {
		t.Errorf("an edge that never registered: %v", c)
	}
	for after, want := range map[string]string{"": "a b", "a": "b", "aa": "b", "b": ""} {
		var got []string
		w.index.Edges(after, w.now, func(id string, _ *edgev1.Edge) bool { got = append(got, id); return true })
		if strings.Join(got, " ") != want {
			t.Errorf("after %q: %v, want %s", after, got, want)
		}
	}
}
