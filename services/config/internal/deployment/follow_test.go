// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := New()
		reach := func(rev int64, d time.Duration) <-chan bool {
			out := make(chan bool, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				out <- index.Reach(ctx, rev)
			}()
			synctest.Wait()
			return out
		}
		early, never := reach(7, time.Minute), reach(8, time.Minute)
		index.Apply(mirror.Batch{Revision: 6}, time.Now())
		synctest.Wait()
		select {
		case <-early:
			t.Error("C9.46: reached before the revision")
		default:
		}
		index.Apply(mirror.Batch{Revision: 7}, time.Now())
		if !<-early {
			t.Error("C9.46: not reached")
		}
		if <-never {
			t.Error("C9.46: reached what never came")
		}
		if !<-reach(5, time.Minute) {
			t.Error("C9.46: an old revision is not reached")
		}
	})
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.register("a")
		rev := w.distribution("E1", caching)
		await := func(q Question) <-chan error {
			out := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				out <- w.index.Await(ctx, q)
			}()
			synctest.Wait()
			return out
		}
		done, explicit, timedOut := await(Question{ID: "E1"}), await(Question{ID: "E1", Want: rev}), await(Question{ID: "E1", Want: 1 << 40})
		w.report("a", rev)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := <-explicit; err != nil {
			t.Error(err)
		}
		if err := <-timedOut; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("C3.34: %v", err)
		}
		deleted := await(Question{ID: "E1", Want: 1 << 40})
		w.remove(keys.Resource(keys.Distributions, "E1"))
		if err := <-deleted; !errors.Is(err, ErrDeleted) {
			t.Errorf("deleted: %v", err)
		}
	})
}

type message struct {
	Deployment *commonv1.Deployment
	Edges      []*commonv1.EdgeProgress
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.register("b")
		w.register("a")
		w.register("z")
		w.report("a", w.revision)
		w.report("b", w.revision)
		rev := w.distribution("E1", caching)
		got := make(chan message)
		ended := make(chan error, 1)
		go func() {
			ended <- w.index.Follow(t.Context(), Question{ID: "E1"}, false, func(d *commonv1.Deployment, edges []*commonv1.EdgeProgress) error {
				got <- message{d, edges}
				return nil
			})
		}()
		state := func(edge string, s commonv1.EdgeProgress_State, revision int64, at time.Time) *commonv1.EdgeProgress {
			p := &commonv1.EdgeProgress{Edge: edge, Pop: "AMS1", EdgeState: serving, State: s, Revision: revision, Time: timestamppb.New(at)}
			return p
		}
		expect := func(step string, want message) {
			t.Helper()
			if diff := cmp.Diff(want, <-got, protocmp.Transform()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step, diff)
			}
		}
		start := w.now
		expect("first message: every registered edge, sorted", message{
			&commonv1.Deployment{State: inWork, TargetRevision: rev, MinAppliedRevision: 103, EdgesTotal: 2, PendingEdges: []string{"edges/a", "edges/b"}},
			[]*commonv1.EdgeProgress{
				state("edges/a", commonv1.EdgeProgress_STATE_PENDING, 103, start),
				state("edges/b", commonv1.EdgeProgress_STATE_PENDING, 104, start),
				{Edge: "edges/z", Pop: "AMS1", EdgeState: gone, State: commonv1.EdgeProgress_STATE_PENDING},
			},
		})
		synctest.Wait()
		w.put(keys.Beat, []byte("x")) // nothing changes
		w.distribution("E2", caching) // of no interest
		w.now = start.Add(30 * time.Millisecond)
		w.report("b", rev)
		b := state("edges/b", commonv1.EdgeProgress_STATE_DEPLOYED, rev, w.now)
		b.Delay = durationpb.New(30 * time.Millisecond)
		expect("one edge is there", message{
			&commonv1.Deployment{State: inWork, TargetRevision: rev, MinAppliedRevision: 103, EdgesTotal: 2, EdgesCurrent: 1, PendingEdges: []string{"edges/a"}},
			[]*commonv1.EdgeProgress{b},
		})
		synctest.Wait()
		w.report("b", rev+2) // further than asked for: no news
		w.now = start.Add(-time.Second)
		w.report("a", rev)
		a := state("edges/a", commonv1.EdgeProgress_STATE_DEPLOYED, rev, w.now)
		a.Delay = durationpb.New(0) // its clock is slow
		expect("all are there", message{
			&commonv1.Deployment{State: deployed, TargetRevision: rev, MinAppliedRevision: rev, EdgesTotal: 2, EdgesCurrent: 2, Since: timestamppb.New(start.Add(30 * time.Millisecond))},
			[]*commonv1.EdgeProgress{a},
		})
		if err := <-ended; err != nil {
			t.Errorf("a stream that does not go on ends with %v", err)
		}
	})
}

func TestFollowEndless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.register("a")
		rev := w.distribution("E1", caching)
		w.report("a", rev)
		got := make(chan message)
		ended := make(chan error, 1)
		go func() {
			ended <- w.index.Follow(t.Context(), Question{ID: "E1"}, true, func(d *commonv1.Deployment, edges []*commonv1.EdgeProgress) error {
				got <- message{d, edges}
				return nil
			})
		}()
		names := func(m message) (out []string) {
			for _, p := range m.Edges {
				out = append(out, fmt.Sprintf("%s %s %s", p.GetEdge(), p.GetEdgeState(), p.GetState()))
			}
			return out
		}
		expect := func(step string, state commonv1.Deployment_State, edges ...string) {
			t.Helper()
			m := <-got
			if diff := cmp.Diff(edges, names(m)); diff != "" || m.Deployment.GetState() != state {
				t.Errorf("%s: %v (-want +got):\n%s", step, m.Deployment.GetState(), diff)
			}
			synctest.Wait()
		}
		expect("first", deployed, "edges/a EDGE_STATE_SERVING STATE_DEPLOYED")
		next := w.distribution("E1", caching)
		expect("a new version", inWork, "edges/a EDGE_STATE_SERVING STATE_PENDING")
		w.report("a", next, func(s *edgev1.EdgeStatus) {
			s.Rejected = []*edgev1.RejectedRecord{{Resource: "distributions/E1", Revision: next, Reason: "UNKNOWN_ENUM_VALUE"}}
		})
		expect("rejected", inWork, "edges/a EDGE_STATE_SERVING STATE_REJECTED")
		// A slow receiver holds nothing up, and hears of the outcome only.
		w.report("a", w.distribution("E1", caching))
		w.report("a", w.distribution("E1", caching))
		synctest.Wait()
		w.register("new")
		w.remove(keys.EdgeStatus("a"))
		last := <-got
		if len(names(last)) == 0 {
			t.Error("nothing is told")
		}
		synctest.Wait()
		for len(w.index.look(Question{ID: "E1"}).since(view{})) > 0 {
			m := <-got
			if slices.Contains(names(m), "edges/a EDGE_STATE_GONE STATE_PENDING") {
				break
			}
			synctest.Wait()
		}
		w.remove(keys.Edge("new"))
		expect("no longer registered", inWork, "edges/new EDGE_STATE_GONE STATE_PENDING")
		w.remove(keys.Resource(keys.Distributions, "E1"))
		if err := <-ended; !errors.Is(err, ErrDeleted) {
			t.Errorf("deleted: %v", err)
		}
	})
}

func TestFollowEndsWithTheReceiver(t *testing.T) {
	w := newWorld(t)
	w.distribution("E1", caching)
	broken := errors.New("broken")
	err := w.index.Follow(t.Context(), Question{ID: "E1"}, true, func(*commonv1.Deployment, []*commonv1.EdgeProgress) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = w.index.Follow(ctx, Question{ID: "E1"}, true, func(*commonv1.Deployment, []*commonv1.EdgeProgress) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
