// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/completion"
)

// ack is an acknowledgement as callers see it.
func (st *stored) ack(a *storev1.Acknowledgement) *configv1.InvalidationAck {
	return &configv1.InvalidationAck{
		Edge: keys.Edges.Name(a.GetEdge()), Pop: a.GetPop(), Time: a.GetTime(), Delay: st.delay(a.GetTime().AsTime()),
	}
}

// delay is from the creation of the invalidation to at. The clocks are two machines'.
func (st *stored) delay(at time.Time) *durationpb.Duration {
	return durationpb.New(max(0, at.Sub(st.inv.GetCreateTime().AsTime())))
}

// progress is an edge's part as a stream tells it.
func (st *stored) progress(e completion.Edge) *configv1.InvalidationProgress {
	out := &configv1.InvalidationProgress{Edge: keys.Edges.Name(e.ID), Pop: e.Pop, EdgeState: e.State, Acknowledged: e.Acknowledged}
	if e.Acknowledged {
		out.Time, out.Delay = timestamppb.New(e.At), st.delay(e.At)
	}
	return out
}

// news are the edges that are not as they were, by name. One that is no longer
// registered is shown as gone once more.
func news(before, after []*configv1.InvalidationProgress) []*configv1.InvalidationProgress {
	known := map[string]*configv1.InvalidationProgress{}
	for _, p := range before {
		known[p.GetEdge()] = p
	}
	var out []*configv1.InvalidationProgress
	for _, p := range after {
		if was := known[p.GetEdge()]; was == nil || !proto.Equal(was, p) {
			out = append(out, p)
		}
		delete(known, p.GetEdge())
	}
	for _, p := range known {
		p = proto.CloneOf(p)
		p.EdgeState = commonv1.EdgeState_EDGE_STATE_GONE
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *configv1.InvalidationProgress) int { return strings.Compare(a.GetEdge(), b.GetEdge()) })
	return out
}
