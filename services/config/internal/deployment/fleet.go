// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

// Edge returns a registered edge as it is now; false when there is none of that id.
func (x *Index) Edge(id string, now time.Time) (*edgev1.Edge, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	i, ok := x.place(id)
	if !ok || x.edges[i].identity == nil {
		return nil, false
	}
	return x.show(x.edges[i], now), true
}

// Edges calls visit with the registered edges whose ids come after one, in order of
// their ids, until it returns false. visit must not call the index.
func (x *Index) Edges(after string, now time.Time, visit func(id string, e *edgev1.Edge) bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	i, found := x.place(after)
	if found {
		i++
	}
	for _, e := range x.edges[i:] {
		if e.identity != nil && !visit(e.id, x.show(e, now)) {
			return
		}
	}
}

// Revision is how far the index has come.
func (x *Index) Revision() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.revision
}

// place is where an edge is among the edges, or would be.
func (x *Index) place(id string) (int, bool) {
	return slices.BinarySearchFunc(x.edges, id, func(e *edge, id string) int { return strings.Compare(e.id, id) })
}

// show is an edge as operators see it.
func (x *Index) show(e *edge, now time.Time) *edgev1.Edge {
	out := &edgev1.Edge{
		Name: keys.Edges.Name(e.id), Pop: e.identity.GetPop(), Addresses: e.identity.GetAddresses(), Labels: e.identity.GetLabels(),
		Etag: keys.ETag(e.intent.writeID), State: e.state, Draining: e.intent.draining, DrainUpdateTime: e.intent.since,
		Status: e.status, NewestRevision: x.changes.newest,
	}
	if e.status != nil {
		if behind := x.changes.waiting(e.applied(x.epoch), now); behind > 0 {
			out.Behind = durationpb.New(behind)
		}
	}
	return proto.CloneOf(out)
}
