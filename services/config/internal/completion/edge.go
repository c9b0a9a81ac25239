// SPDX-License-Identifier: Apache-2.0

package completion

import (
	"cmp"
	"slices"
	"time"

	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

// Bounds of what is remembered of each edge: the steps of its progress, and the
// invalidations that it has counted dead objects of.
const (
	maxSteps  = 256
	maxCounts = 300
)

// edge is what one edge has said of invalidations.
type edge struct {
	registered bool
	written    int64 // revision of its status, 0 when it has none
	epoch      string
	obeyed     int64
	// steps are the revisions up to which the edge was seen to obey, ascending: the
	// first, and one for each report that took in at least one invalidation. They
	// outlive its lease: what is on its disk stays there.
	steps []step
	boot  string
	dead  map[string]int64 // by the name of the invalidation, in this run of the edge
}

// step says that an edge reported at a moment, by its own clock, to obey revision.
type step struct {
	revision int64
	at       time.Time
}

// report takes in a status. newest is the newest invalidation.
func (e *edge) report(s *edgev1.EdgeStatus, epoch string, newest int64) {
	e.epoch, e.obeyed = s.GetEpoch(), s.GetAppliedInvalidationRevision()
	obeyed := e.obeyedIn(epoch)
	if n := len(e.steps); n > 0 && obeyed < e.steps[n-1].revision {
		e.steps = nil // it has lost what it had
	}
	if n := len(e.steps); obeyed > 0 && (n == 0 || newest > e.steps[n-1].revision && obeyed > e.steps[n-1].revision) {
		e.steps = append(e.steps, step{obeyed, s.GetReportTime().AsTime()})
	}
	if len(e.steps) > maxSteps {
		e.steps = slices.Delete(e.steps, 0, len(e.steps)-maxSteps)
	}
}

// obeyedIn is the revision up to which the edge obeys invalidations; 0 when it is of
// another data set (C8.88), or has not been heard of.
func (e *edge) obeyedIn(epoch string) int64 {
	if e == nil || e.epoch != epoch {
		return 0
	}
	return e.obeyed
}

// acknowledged says whether and when the edge first reported that it obeys revision.
// What happened before this server began to look, or longer ago than it remembers, is
// taken as having happened at the first report that is known.
func (e *edge) acknowledged(revision int64) (at time.Time, ok bool) {
	if e == nil {
		return time.Time{}, false
	}
	i, _ := slices.BinarySearchFunc(e.steps, revision, func(s step, r int64) int { return cmp.Compare(s.revision, r) })
	if i == len(e.steps) {
		// A report that follows no invalidation makes no step.
		return time.Time{}, false
	}
	return e.steps[i].at, true
}

// found returns how many objects the edge has found dead since its last status, by
// the name of the invalidation.
func (e *edge) found(s *edgev1.EdgeStatus) map[string]int64 {
	if e.boot != s.GetBootId() {
		e.boot, e.dead = s.GetBootId(), nil
	}
	if len(s.GetDead()) == 0 {
		return nil
	}
	out := map[string]int64{}
	now := e.dead
	if now == nil || len(now)+len(s.GetDead()) > maxCounts {
		now = map[string]int64{}
	}
	for _, d := range s.GetDead()[:min(len(s.GetDead()), maxCounts)] {
		if more := d.GetObjects() - e.dead[d.GetInvalidation()]; more > 0 {
			out[d.GetInvalidation()] = more
		}
		now[d.GetInvalidation()] = d.GetObjects()
	}
	e.dead = now
	return out
}

// maxDead is how many invalidations are remembered with the objects found dead by
// them.
const maxDead = 1 << 14

// deaths sums the objects found dead by invalidation. What came first is forgotten
// first.
type deaths struct {
	sums  map[string]int64
	names []string // a ring once it is full
	next  int      // of names, to be replaced
}

func (d *deaths) add(name string, n int64) {
	if d.sums == nil {
		d.sums = map[string]int64{}
	}
	if _, known := d.sums[name]; !known {
		if len(d.names) < maxDead {
			d.names = append(d.names, name)
		} else {
			delete(d.sums, d.names[d.next])
			d.names[d.next] = name
			d.next = (d.next + 1) % maxDead
		}
	}
	d.sums[name] += n
}
