// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

func TestJoining(t *testing.T) {
	w := newWorld(t)
	rev := w.distribution("E1", caching)
	w.register("a")
	w.report("a", rev)
	w.register("new")
	join := func(s *edgev1.EdgeStatus) { s.JoinRevision = rev + 1 }
	w.report("new", rev-1, join)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/new": joining})
	// C8.72: a new edge never turns Deployed back.
	w.wantCondition("E1", isTrue, ReasonDeployed)
	w.pass(10 * time.Minute)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/new": joining})
	w.report("new", rev+1, join)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/new": serving})
}

func TestLagging(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.register("slow")
	w.report("a", w.revision)
	w.report("slow", w.revision)
	rev := w.distribution("E1", caching)
	w.report("a", rev)
	w.pass(59 * time.Second)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/slow": serving})
	w.wantCondition("E1", isFalse, ReasonPending)
	later := w.distribution("E2", caching)
	w.report("a", later)
	w.pass(time.Second)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/slow": lagging})
	// C9.52: it no longer holds anybody up.
	w.wantCondition("E1", isTrue, ReasonDeployed)
	// C8.73: it has to catch up with what was current when it fell out.
	w.report("slow", rev)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/slow": lagging})
	w.report("slow", later)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/slow": serving})
}

// TestBehindAnInvalidation: an edge whose invalidations hang holds nobody up, however
// well it follows the configuration (C9.52).
func TestBehindAnInvalidation(t *testing.T) {
	w := newWorld(t)
	obeys := func(revision int64) func(*edgev1.EdgeStatus) {
		return func(s *edgev1.EdgeStatus) { s.AppliedInvalidationRevision = revision }
	}
	for _, id := range []string{"a", "old", "slow"} {
		w.register(id)
	}
	first := w.put(keys.Invalidation("E1", "I1"), nil)
	w.report("a", first, obeys(first))
	w.report("slow", first, obeys(first))
	w.report("old", first) // of a release that knows no invalidations
	w.pass(5 * time.Second)
	second := w.put(keys.Invalidation("E1", "I2"), nil)
	w.report("a", second, obeys(second))
	w.report("slow", second, obeys(first))
	w.report("old", second)
	w.pass(59 * time.Second)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/old": serving, "edges/slow": serving})
	third := w.put(keys.Invalidation("E1", "I3"), nil)
	w.report("a", third, obeys(third))
	w.pass(time.Second)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/old": serving, "edges/slow": lagging})
	w.report("slow", third, obeys(second))
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/old": serving, "edges/slow": lagging})
	w.report("slow", third, obeys(third))
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/old": serving, "edges/slow": serving})

	// C8.74: back from an absence, it is joining until it obeys what came meanwhile.
	w.remove(keys.EdgeStatus("slow"))
	fourth := w.put(keys.Invalidation("E1", "I4"), nil)
	w.report("slow", fourth, obeys(third))
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/old": serving, "edges/slow": joining})
	w.report("slow", fourth, obeys(fourth))
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/old": serving, "edges/slow": serving})
	// One that expires is nothing to follow.
	w.remove(keys.Invalidation("E1", "I1"))
	w.pass(2 * time.Minute)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": lagging, "edges/old": serving, "edges/slow": serving})
	if got := w.index.Registered(); len(got) != 3 || got[0] != (Registered{"a", "AMS1", lagging}) || got[0].Live() || !got[2].Live() {
		t.Errorf("registered: %v", got)
	}
}

func TestLaggingBehindTheLastOfABurst(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.report("a", w.revision)
	w.distribution("E1", caching)
	w.now = w.now.Add(200 * time.Millisecond)
	w.distribution("E1", caching)
	w.now = w.now.Add(200 * time.Millisecond)
	last := w.distribution("E1", caching)
	w.report("a", last-1)
	w.pass(time.Minute - time.Second)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving})
	w.pass(time.Second)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": lagging})
	if n := len(w.index.changes.seen); n > 3 {
		t.Errorf("%d sightings for a burst", n)
	}
}

func TestBeatsDoNotMakeAnEdgeLag(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.report("a", w.revision)
	for range 100 {
		w.pass(5 * time.Second)
		w.put(keys.Beat, []byte("x"))
	}
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving})
	if beat, loaded := w.index.LastBeat(); beat.Revision != w.revision || !beat.Seen.Equal(w.now) || !loaded {
		t.Errorf("last beat %+v, %v", beat, loaded)
	}
}

func TestGone(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.register("b")
	w.report("a", w.revision)
	w.report("b", w.revision)
	w.remove(keys.EdgeStatus("b"))
	rev := w.distribution("E1", caching)
	w.report("a", rev)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": gone})
	w.wantCondition("E1", isTrue, ReasonDeployed)
	// C8.74: on return it is joining, whatever it says it had to reach.
	w.report("b", rev-1)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": joining})
	w.wantCondition("E1", isTrue, ReasonDeployed)
	w.report("b", rev)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": serving})
	// A status that cannot be read is as good as none.
	w.put(keys.EdgeStatus("b"), []byte{9})
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": gone})
}

func TestStepsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	first := w.distribution("E1", caching)
	w.report("a", first)
	for range 3 * maxSteps {
		w.now = w.now.Add(time.Second)
		w.report("a", w.distribution("E2", caching))
	}
	if n := len(w.index.edges[0].steps); n != maxSteps {
		t.Errorf("%d steps", n)
	}
	// The time of what was forgotten is that of the oldest step known.
	if got, want := w.index.Of(Question{ID: "E1"}).Deployment.GetSince().AsTime(), w.now.Add(-(maxSteps-1)*time.Second); !got.Equal(want) {
		t.Errorf("since %v, want %v", got, want)
	}
	if n := len(w.index.changes.seen); n > 70 {
		t.Errorf("%d sightings", n)
	}
}

// TestOutageIsNoDelay: while nothing is heard of etcd, nothing is heard of its edges
// either. That is no reason to call a change deployed without them.
func TestOutageIsNoDelay(t *testing.T) {
	w := newWorld(t)
	w.register("a")
	w.register("b")
	w.report("a", 101)
	w.report("b", 102)
	w.report("a", w.distribution("E1", caching))
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": serving})
	w.silence(10 * time.Minute)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": serving})
	if got := w.index.Of(Question{ID: "E1"}).Deployment.GetState(); got != inWork {
		t.Errorf("C8.73: %v during an outage; b has not said that it serves the change", got)
	}
	w.index.Apply(mirror.Batch{Revision: w.revision, Epoch: w.epoch}, w.now) // the list after it
	w.pass(59 * time.Second)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": serving})
	w.pass(time.Second)
	w.wantStates(map[string]commonv1.EdgeState{"edges/a": serving, "edges/b": lagging})
}
