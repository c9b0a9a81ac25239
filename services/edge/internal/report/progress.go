// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

// Progress is what the edge serves at one moment.
type Progress struct {
	// Snapshot is in service since Since; nil before anything was loaded.
	Snapshot *snapshot.Snapshot
	Since    time.Time
	// Source says where it came from.
	Source edgev1.EdgeStatus_Source
	// Obeyed is the revision up to which every invalidation is on disk and obeyed.
	Obeyed int64
	// Met is how many objects invalidations have ended. It is told in time.
	Met int64
	// Changes counts what is worth telling at once. A revision alone is not.
	Changes int64
	// Edges is how many edges are registered; Registered says whether this one is
	// among them.
	Edges      int
	Registered bool
	// Draining says that operators want the edge to drain.
	Draining bool
}

// Rates of status writes (design 3.4, C8.68).
const (
	// writesPerSecond is what all edges together write at most.
	writesPerSecond = 400
	// idleInterval is the time between writes that tell of a revision and nothing else.
	idleInterval = 10 * time.Second
	// countInterval is the time between writes that tell of objects found dead.
	countInterval = 5 * time.Second
)

// turn is what each registered edge adds to the time that an acknowledgement waits.
const turn = 100 * time.Microsecond

// yield is how long to wait before an acknowledgement: with a hundred edges 10 to 20 ms.
// A change wakes all edges at once, and etcd would be busy with the acknowledgements of
// the first before the last have the change.
func yield(edges int) time.Duration {
	span := time.Duration(edges) * turn
	return span + rand.N(max(span, 1))
}

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// pause says how long after the last write the next one may go, never when there is
// nothing to tell. written is what that write told, join the revision from which on
// the edge is no longer joining.
func pause(written, now Progress, join int64) time.Duration {
	pace := time.Duration(now.Edges) * time.Second / writesPerSecond
	switch {
	case now.Snapshot == nil:
		return never
	case written.Snapshot == nil:
		return 0
	case written.Changes != now.Changes, written.Snapshot.Revision < join && now.Snapshot.Revision >= join:
		return pace
	case written.Met != now.Met:
		return max(pace, countInterval)
	case written.Snapshot.Revision != now.Snapshot.Revision:
		return max(pace, idleInterval)
	}
	return never
}

// forgotten says why an edge that registered at revision join of a data set has to do
// so again, nil when it need not: what it serves shows its registration no more. It was
// deleted, or the store is another one, restored from a backup perhaps (C8.88).
func forgotten(now Progress, epoch string, join int64) error {
	switch {
	case now.Snapshot == nil || now.Source != edgev1.EdgeStatus_SOURCE_ETCD:
		return nil
	case epoch != "" && now.Snapshot.Epoch != epoch:
		return errAnotherDataSet
	case now.Snapshot.Revision >= join && !now.Registered:
		return errForgotten
	}
	return nil
}

// mostRejected is how many rejections a status names.
const mostRejected = 100

// status puts progress into the form that config reads.
func (r *Reporter) status(p Progress, join int64, now time.Time) *edgev1.EdgeStatus {
	rejections := p.Snapshot.Rejections()
	out := &edgev1.EdgeStatus{
		Edge:            keys.Edges.Name(r.cfg.ID),
		Epoch:           p.Snapshot.Epoch,
		BootId:          r.boot,
		AppliedRevision: p.Snapshot.Revision,
		AppliedTime:     timestamppb.New(p.Since),
		JoinRevision:    join,
		RejectedCount:   int32(min(len(rejections), 1<<31-1)),
		Source:          p.Source,
		Build:           r.cfg.Build,
		ReportTime:      timestamppb.New(now),
		Draining:        p.Draining,

		AppliedInvalidationRevision: p.Obeyed,
	}
	for _, x := range rejections[:min(len(rejections), mostRejected)] {
		out.Rejected = append(out.Rejected, &edgev1.RejectedRecord{
			Resource: x.Resource, Revision: x.Revision, Reason: x.Reason, Message: x.Message,
		})
	}
	if r.cfg.Ended != nil {
		for _, e := range r.cfg.Ended() {
			out.Dead = append(out.Dead, &edgev1.DeadCount{Invalidation: keys.InvalidationName(e.Distribution, e.ID), Objects: e.Objects})
		}
	}
	return out
}
