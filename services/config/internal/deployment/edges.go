// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

// patience is how long an edge may be behind a change before it no longer counts
// (C8.73, C9.52).
const patience = time.Minute

// maxSteps bounds what is remembered of each edge's progress.
const maxSteps = 128

// edge is one cache server as its identity and its status tell.
type edge struct {
	id       string
	identity *edgev1.Edge       // nil: not registered, counts for nothing
	status   *edgev1.EdgeStatus // nil: its lease has ended
	state    commonv1.EdgeState
	// steps are the revisions that the edge was seen to serve, ascending: the first
	// one of this run, and one for each report that took in at least one change.
	steps []step
	// catchUp is what an edge which came back, or was behind for too long, has to serve
	// before it counts again (C8.73, C8.74).
	catchUp goal
	lagging bool
	intent  intent
}

// intent is what operators want of an edge.
type intent struct {
	revision int64 // 0: nothing was ever wanted
	writeID  uint64
	draining bool
	since    *timestamppb.Timestamp
}

// goal is how far an edge has to be: the newest change that it has to serve, and the
// newest invalidation that it has to obey.
type goal struct{ change, invalidation int64 }

// step says that an edge serves revision since a moment of its own clock.
type step struct {
	revision int64
	since    time.Time
}

// applied is the revision that the edge serves, 0 when it belongs to another data
// set (C8.88).
func (e *edge) applied(epoch string) int64 {
	if e.status == nil || e.status.GetEpoch() != epoch {
		return 0
	}
	return e.status.GetAppliedRevision()
}

// obeyed is the revision up to which the edge obeys invalidations.
func (e *edge) obeyed(epoch string) int64 {
	if e.applied(epoch) == 0 {
		return 0
	}
	return e.status.GetAppliedInvalidationRevision()
}

// met says whether the edge is as far as g. One that says nothing of invalidations
// is of a release that knows none: it holds their completion up, and no deployment.
func (e *edge) met(epoch string, g goal) bool {
	obeyed := e.obeyed(epoch)
	return e.applied(epoch) >= g.change && (obeyed >= g.invalidation || obeyed == 0)
}

// report takes in a new status. newest is the last change and invalidation; returned
// says that the edge was away and is here again.
func (e *edge) report(s *edgev1.EdgeStatus, newest goal, returned bool) {
	again := e.status == nil || e.status.GetBootId() != s.GetBootId() || e.status.GetEpoch() != s.GetEpoch() ||
		s.GetAppliedRevision() < e.status.GetAppliedRevision()
	if again {
		e.steps = nil
	}
	if returned {
		e.catchUp = newest
	}
	e.status = s
	// A report that only follows the beat says nothing new about any change.
	if n := len(e.steps); n == 0 || newest.change > e.steps[n-1].revision && s.GetAppliedRevision() > e.steps[n-1].revision {
		e.steps = append(e.steps, step{s.GetAppliedRevision(), s.GetAppliedTime().AsTime()})
	}
	if len(e.steps) > maxSteps {
		e.steps = slices.Delete(e.steps, 0, len(e.steps)-maxSteps)
	}
}

// leave is the end of the lease.
func (e *edge) leave() {
	e.status, e.steps, e.catchUp, e.lagging = nil, nil, goal{}, false
}

// reached is the first known step at which the edge served revision. What happened
// before this server began to look is taken as having happened then.
func (e *edge) reached(revision int64) step {
	i, _ := slices.BinarySearchFunc(e.steps, revision, func(s step, r int64) int { return cmp.Compare(s.revision, r) })
	if i < len(e.steps) {
		return e.steps[i]
	}
	return step{e.status.GetAppliedRevision(), e.status.GetAppliedTime().AsTime()}
}

// judge sets the state of the edge: joining until it serves what was current when
// it came (C8.72), lagging when it is still behind a change that was known for
// patience, until it serves what is current then (C8.73), gone without a status
// (C8.74), draining from the wish until it has taken in the end of it and serves what
// was current then, like one that joins. An edge that does not obey an invalidation is
// behind as one that does not serve a change. due is the newest that was known for
// patience, newest the newest of all. It reports whether the state changed.
func (e *edge) judge(epoch string, due, newest goal) bool {
	before := e.state
	if e.met(epoch, e.catchUp) {
		e.catchUp, e.lagging = goal{}, false
	}
	switch {
	case e.status == nil:
		e.state = commonv1.EdgeState_EDGE_STATE_GONE
	case e.intent.draining || e.status.GetDraining():
		e.state, e.lagging, e.catchUp = commonv1.EdgeState_EDGE_STATE_DRAINING, false, newest
	case e.lagging:
		e.state = commonv1.EdgeState_EDGE_STATE_LAGGING
	case e.status.GetEpoch() != epoch || e.applied(epoch) < max(e.status.GetJoinRevision(), e.intent.revision) || !e.met(epoch, e.catchUp):
		e.state = commonv1.EdgeState_EDGE_STATE_JOINING
	case !e.met(epoch, due):
		e.state, e.lagging, e.catchUp = commonv1.EdgeState_EDGE_STATE_LAGGING, true, newest
	default:
		e.state = commonv1.EdgeState_EDGE_STATE_SERVING
	}
	return e.state != before
}

// live says whether the edge counts for deployments.
func (e *edge) live() bool {
	return e.identity != nil && e.state == commonv1.EdgeState_EDGE_STATE_SERVING
}

// changes remembers when this server first saw which change.
type changes struct {
	seen   []sighting // ascending; all but the last two are at least resolution apart
	newest int64
}

type sighting struct {
	revision int64
	at       time.Time
}

// resolution is how exactly the time of a change is known.
const resolution = time.Second

// add takes in a change of desired state. Of a burst, the last one stands for those
// before it.
func (c *changes) add(revision int64, now time.Time) {
	c.newest = max(c.newest, revision)
	if n := len(c.seen); n > 1 && c.seen[n-1].at.Sub(c.seen[n-2].at) < resolution {
		c.seen = c.seen[:n-1]
	}
	c.seen = append(c.seen, sighting{revision, now})
}

// again makes the time of every change begin anew, after a time in which no edge
// could say that it had followed.
func (c *changes) again(now time.Time) {
	if n := len(c.seen); n > 0 {
		c.seen = []sighting{{c.seen[n-1].revision, now}}
	}
}

// due is the newest change that was seen at least patience ago, 0 for none.
// Older ones are forgotten.
func (c *changes) due(now time.Time) int64 {
	n := 0
	for n < len(c.seen) && now.Sub(c.seen[n].at) >= patience {
		n++
	}
	if n == 0 {
		return 0
	}
	c.seen = slices.Delete(c.seen, 0, n-1) // the due one stays
	return c.seen[0].revision
}

// waiting is how long the oldest change beyond applied has been known, 0 when there
// is none.
func (c *changes) waiting(applied int64, now time.Time) time.Duration {
	for _, s := range c.seen {
		if s.revision > applied {
			return now.Sub(s.at)
		}
	}
	return 0
}
