// SPDX-License-Identifier: Apache-2.0

// Package completion knows how far invalidations have travelled, and completes each
// that every live edge obeys. An Index is fed with what config watches in etcd: the
// invalidations in progress and what edges report of themselves. A Latcher writes the
// completion of an invalidation into etcd, once for all servers: from then on it is
// completed for ever, whatever edges come and go (design 3.5, C8.71).
//
// It promises that at the revision of a completion every registered edge that was live
// had acknowledged the invalidation: the transaction that writes it is refused when an
// edge has come, or come back, that the index had not seen. It remembers of completed
// invalidations only what edges have found dead by them.
package completion

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
)

// ID names an invalidation.
type ID struct{ Distribution, Invalidation string }

// Load is what is in progress for one distribution. Tags count as paths (C2.171).
type Load struct{ Invalidations, Paths, Wildcards int }

// Index is what is known of invalidations in progress and of edges. It is safe for
// concurrent use.
type Index struct {
	// registered is called with mu held, so that the fleet is never older than the rest:
	// an edge that has come must not be overlooked.
	registered func() []deployment.Registered

	mu       sync.RWMutex // guards all below
	revision int64        // everything up to here is in
	epoch    string
	loaded   bool
	newest   int64                   // the newest invalidation seen
	fleet    []deployment.Registered // by id
	edges    map[string]*edge
	pending  map[ID]*entry
	loads    map[string]Load // by distribution
	dead     deaths
	moved    chan struct{} // closed, and replaced, when anything above changes
}

// entry is one invalidation in progress.
type entry struct {
	revision int64
	load     Load
	// tried is the revision that the last attempt to complete it was made with, or has
	// made; until the index has moved on there is nothing new to try with.
	tried int64
}

// NewIndex makes an index that knows nothing yet. registered returns the registered
// edges as they are after the last step of the mirror and the last tick; it must not
// call the index.
func NewIndex(registered func() []deployment.Registered) *Index {
	x := &Index{registered: registered, moved: make(chan struct{})}
	x.forget()
	return x
}

func (x *Index) forget() {
	x.newest, x.edges, x.pending, x.loads = 0, map[string]*edge{}, map[ID]*entry{}, map[string]Load{}
	x.dead = deaths{}
}

// Apply takes in a step of the mirror, after the index of deployments has.
func (x *Index) Apply(b mirror.Batch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if b.Reset {
		x.forget()
	}
	x.epoch, x.fleet = b.Epoch, x.registered()
	for _, ev := range b.Events {
		x.apply(ev)
	}
	x.revision, x.loaded = b.Revision, true
	x.announce()
}

// Tick takes in what time has done to edges.
func (x *Index) Tick() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if fleet := x.registered(); !slices.Equal(fleet, x.fleet) {
		x.fleet = fleet
		x.announce()
	}
}

func (x *Index) announce() {
	close(x.moved)
	x.moved = make(chan struct{})
}

func (x *Index) apply(ev mirror.Event) {
	if d, id, ok := keys.ParseInvalidation(ev.Key); ok {
		x.put(ID{d, id}, ev)
		return
	}
	if d, id, ok := keys.ParseCompletion(ev.Key); ok {
		if !ev.Deleted {
			x.drop(ID{d, id})
		}
		return
	}
	switch kind, id := keys.Parse(ev.Key); kind {
	case keys.KindEdge:
		e := x.edge(id)
		e.registered = !ev.Deleted
		x.prune(id)
	case keys.KindEdgeStatus:
		x.report(id, ev)
	}
}

func (x *Index) put(id ID, ev mirror.Event) {
	x.drop(id)
	if ev.Deleted {
		return
	}
	e := &entry{revision: ev.ModRevision, load: Load{Invalidations: 1}}
	var rec storev1.Record
	var inv configv1.Invalidation
	if keys.Decode(ev.Value, &rec) == nil && proto.Unmarshal(rec.GetResource(), &inv) == nil {
		e.load.Paths, e.load.Wildcards = rules.CountInvalidation(&inv)
	}
	x.newest = max(x.newest, ev.ModRevision)
	x.pending[id] = e
	x.loads[id.Distribution] = x.loads[id.Distribution].plus(e.load, 1)
}

func (x *Index) drop(id ID) {
	e, ok := x.pending[id]
	if !ok {
		return
	}
	delete(x.pending, id)
	left := x.loads[id.Distribution].plus(e.load, -1)
	if left == (Load{}) {
		delete(x.loads, id.Distribution)
		return
	}
	x.loads[id.Distribution] = left
}

func (l Load) plus(other Load, times int) Load {
	return Load{l.Invalidations + times*other.Invalidations, l.Paths + times*other.Paths, l.Wildcards + times*other.Wildcards}
}

func (x *Index) edge(id string) *edge {
	e := x.edges[id]
	if e == nil {
		e = &edge{}
		x.edges[id] = e
	}
	return e
}

// prune forgets an edge of which nothing is left.
func (x *Index) prune(id string) {
	if e := x.edges[id]; !e.registered && e.written == 0 {
		delete(x.edges, id)
	}
}

func (x *Index) report(id string, ev mirror.Event) {
	e := x.edge(id)
	if ev.Deleted {
		e.written = 0
		x.prune(id)
		return
	}
	e.written = ev.ModRevision
	var s edgev1.EdgeStatus
	if keys.Decode(ev.Value, &s) != nil { // of a later form: nothing is known of it
		s.Reset()
	}
	e.report(&s, x.epoch, x.newest)
	for name, n := range e.found(&s) {
		x.dead.add(name, n)
	}
}

// floor is the revision up to which every live edge obeys invalidations. Without any
// registered edge nothing is cached anywhere, and all is obeyed; when edges are
// registered and none is live, they may still serve what they have: nothing is known
// to be obeyed (C8.70).
func (x *Index) floor() int64 {
	floor, live := int64(math.MaxInt64), len(x.fleet) == 0
	for _, r := range x.fleet {
		if r.Live() {
			floor, live = min(floor, x.edges[r.ID].obeyedIn(x.epoch)), true
		}
	}
	if !live || !x.loaded {
		return 0
	}
	return floor
}

// due are the invalidations that can be completed, and a channel that is closed when
// that may have changed.
func (x *Index) due() ([]ID, <-chan struct{}) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	floor := x.floor()
	var out []ID
	for id, e := range x.pending {
		if e.revision <= floor && e.tried < x.revision {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b ID) int { return cmp.Compare(x.pending[a].revision, x.pending[b].revision) })
	return out, x.moved
}

// attempted says that the completion of an invalidation was tried with what the index
// knew at revision, or has been written at it.
func (x *Index) attempted(id ID, revision int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.pending[id]; e != nil {
		e.tried = revision
	}
}

// InProgress is what is in progress for a distribution.
func (x *Index) InProgress(distribution string) Load {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.loads[distribution]
}

// Keys yields the keys of invalidations in progress, for the mirror. Those of edges
// are with the index of deployments. The loop must not call the index.
func (x *Index) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		x.mu.RLock()
		defer x.mu.RUnlock()
		for id := range maps.Keys(x.pending) {
			if !yield(keys.Invalidation(id.Distribution, id.Invalidation)) {
				return
			}
		}
	}
}

// Reach returns true once the index is complete up to revision, false when ctx ends
// before that (C9.46).
func (x *Index) Reach(ctx context.Context, revision int64) bool {
	for {
		x.mu.RLock()
		reached, moved := x.loaded && x.revision >= revision, x.moved
		x.mu.RUnlock()
		if reached {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-moved:
		}
	}
}
