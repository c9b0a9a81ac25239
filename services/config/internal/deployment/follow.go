// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
)

// ErrDeleted ends a wait or a stream whose distribution no longer exists.
var ErrDeleted = errors.New("distribution is deleted")

// Await returns when the distribution is deployed as asked (nil), deleted
// (ErrDeleted), or ctx ends (its error). The caller has made sure by Reach that the
// index knows the distribution.
func (x *Index) Await(ctx context.Context, q Question) error {
	for {
		v := x.look(q)
		if !v.exists {
			return ErrDeleted
		}
		if v.answer.Deployed() {
			return nil
		}
		if err := v.next(ctx); err != nil {
			return err
		}
	}
}

// Follow calls send with the deployment and every registered edge, and again with
// the edges that changed after each change, until the distribution is deployed as
// asked (nil; never when endless), deleted (ErrDeleted), ctx ends or send fails. What
// happens while send is at work is joined into the next call, so that a slow
// receiver holds nothing up.
func (x *Index) Follow(ctx context.Context, q Question, endless bool, send func(*commonv1.Deployment, []*commonv1.EdgeProgress) error) error {
	var last view
	for {
		v := x.look(q)
		if !v.exists {
			return ErrDeleted
		}
		if edges := v.since(last); last.edges == nil || len(edges) > 0 || differs(last.answer.Deployment, v.answer.Deployment) {
			if err := send(v.answer.Deployment, edges); err != nil {
				return err
			}
			last = v
		}
		if v.answer.Deployed() && !endless {
			return nil
		}
		if err := v.next(ctx); err != nil {
			return err
		}
	}
}

// view is what a follower sees at one moment.
type view struct {
	exists bool
	answer Answer
	edges  []*commonv1.EdgeProgress // every registered one, by name; not nil
	moved  <-chan struct{}
}

func (x *Index) look(q Question) view {
	x.mu.RLock()
	defer x.mu.RUnlock()
	v := view{answer: x.of(q), edges: []*commonv1.EdgeProgress{}, moved: x.moved}
	_, v.exists = x.distributions[q.ID]
	s := x.subject(q)
	for _, e := range x.edges {
		if e.identity != nil {
			v.edges = append(v.edges, e.progress(x.epoch, s))
		}
	}
	return v
}

// next waits for the index to move on.
func (v view) next(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-v.moved:
		return nil
	}
}

// since returns the edges that are not as they were in old. An edge that is no
// longer registered is shown as gone once more.
func (v view) since(old view) []*commonv1.EdgeProgress {
	same := v.answer.Deployment.GetTargetRevision() == old.answer.Deployment.GetTargetRevision()
	var out []*commonv1.EdgeProgress
	for _, p := range v.edges {
		before, known := find(old.edges, p.GetEdge())
		if !known || !same || news(before, p) {
			out = append(out, p)
		}
	}
	for _, p := range old.edges {
		if _, known := find(v.edges, p.GetEdge()); !known {
			out = append(out, &commonv1.EdgeProgress{
				Edge: p.GetEdge(), Pop: p.GetPop(), EdgeState: commonv1.EdgeState_EDGE_STATE_GONE, State: commonv1.EdgeProgress_STATE_PENDING,
			})
		}
	}
	slices.SortFunc(out, func(a, b *commonv1.EdgeProgress) int { return strings.Compare(a.GetEdge(), b.GetEdge()) })
	return out
}

// news says whether a follower should hear of the difference between two moments of
// one edge and one target. Where a deployed edge goes from there is of no interest.
func news(before, after *commonv1.EdgeProgress) bool {
	if before.GetState() == commonv1.EdgeProgress_STATE_DEPLOYED && after.GetState() == commonv1.EdgeProgress_STATE_DEPLOYED {
		return before.GetEdgeState() != after.GetEdgeState() || before.GetPop() != after.GetPop()
	}
	return !proto.Equal(before, after)
}

// differs compares what a follower cares for beyond single edges.
func differs(a, b *commonv1.Deployment) bool {
	return a.GetState() != b.GetState() || a.GetTargetRevision() != b.GetTargetRevision() || a.GetEdgesTotal() != b.GetEdgesTotal() ||
		a.GetEdgesCurrent() != b.GetEdgesCurrent() || a.GetEdgesRejected() != b.GetEdgesRejected()
}

func find(edges []*commonv1.EdgeProgress, name string) (*commonv1.EdgeProgress, bool) {
	i, ok := slices.BinarySearchFunc(edges, name, func(p *commonv1.EdgeProgress, name string) int { return strings.Compare(p.GetEdge(), name) })
	if !ok {
		return nil, false
	}
	return edges[i], true
}

// progress is the edge's part in the deployment of the subject.
func (e *edge) progress(epoch string, s subject) *commonv1.EdgeProgress {
	out := &commonv1.EdgeProgress{
		Edge: keys.Edges.Name(e.id), Pop: e.identity.GetPop(), EdgeState: e.state, State: commonv1.EdgeProgress_STATE_PENDING,
	}
	applied := e.applied(epoch)
	if applied == 0 {
		return out
	}
	out.Revision, out.Time = applied, e.status.GetAppliedTime()
	if rejections := e.rejections(s, applied); len(rejections) > 0 {
		out.State, out.Reason = commonv1.EdgeProgress_STATE_REJECTED, rejections[0].GetReason()
		return out
	}
	if applied < s.target {
		return out
	}
	first := e.reached(s.target)
	out.State, out.Revision, out.Time = commonv1.EdgeProgress_STATE_DEPLOYED, first.revision, timestamppb.New(first.since)
	if s.accepted != 0 {
		out.Delay = durationpb.New(max(0, first.since.Sub(time.Unix(0, s.accepted))))
	}
	return out
}
