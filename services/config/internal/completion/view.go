// SPDX-License-Identifier: Apache-2.0

package completion

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
)

// Named is how many edges an answer, or a stored completion, names in each of its
// lists.
const Named = 256

// Edge is one registered edge's part in an invalidation.
type Edge struct {
	deployment.Registered
	Acknowledged bool
	// At is when the edge first reported it, by its own clock.
	At time.Time
}

// View is an invalidation as the index sees it at one moment.
type View struct {
	// Edges are all registered ones, by id.
	Edges []Edge
	// Dead is how many objects were found dead by it.
	Dead int64
	// InProgress says that the index holds the invalidation and has not seen its
	// completion.
	InProgress bool

	moved <-chan struct{}
}

// Look returns the invalidation that was written at revision.
func (x *Index) Look(id ID, revision int64) View {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.look(id, revision)
}

func (x *Index) look(id ID, revision int64) View {
	v := View{Dead: x.dead.sums[keys.InvalidationName(id.Distribution, id.Invalidation)], moved: x.moved}
	_, v.InProgress = x.pending[id]
	for _, r := range x.fleet {
		e := Edge{Registered: r}
		e.At, e.Acknowledged = x.edges[r.ID].acknowledged(revision)
		v.Edges = append(v.Edges, e)
	}
	return v
}

// Next waits for the index to move on from the view, or for ctx to end.
func (v View) Next(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-v.moved:
		return nil
	}
}

// Acknowledgements are the edges of the view that have acknowledged, the slowest of
// them when there are many, by id.
func (v View) Acknowledgements() []*storev1.Acknowledgement {
	var out []*storev1.Acknowledgement
	for _, e := range v.Edges {
		if e.Acknowledged {
			out = append(out, e.Acknowledgement())
		}
	}
	return Slowest(out)
}

// Acknowledgement is that of an edge that has acknowledged.
func (e Edge) Acknowledgement() *storev1.Acknowledgement {
	return &storev1.Acknowledgement{Edge: e.ID, Pop: e.Pop, Time: timestamppb.New(e.At)}
}

// Slowest returns the last Named of acks by time, in the order of their edges.
func Slowest(acks []*storev1.Acknowledgement) []*storev1.Acknowledgement {
	slices.SortFunc(acks, func(a, b *storev1.Acknowledgement) int { return b.GetTime().AsTime().Compare(a.GetTime().AsTime()) })
	acks = acks[:min(len(acks), Named)]
	slices.SortFunc(acks, func(a, b *storev1.Acknowledgement) int { return cmp.Compare(a.GetEdge(), b.GetEdge()) })
	return acks
}

// Waiting are the ids of edges that have not acknowledged: of the live ones, or of
// those that do not count. At most Named.
func (v View) Waiting(live bool) []string {
	var out []string
	for _, e := range v.Edges {
		if !e.Acknowledged && e.Live() == live && len(out) < Named {
			out = append(out, e.ID)
		}
	}
	return out
}
