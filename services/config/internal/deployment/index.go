// SPDX-License-Identifier: Apache-2.0

// Package deployment knows how far each distribution has travelled to the edges.
// An Index is fed with what config watches in etcd: the revisions of resources and
// the status that edges keep there. It answers for one distribution at a time,
// computed when asked (C8.69 to C8.78); nothing is written per distribution, and a
// report of an edge costs the same with ten or a hundred thousand of them. It does
// no I/O and promises nothing about what it has not been told.
package deployment

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Index is the state of the deployment. It is safe for concurrent use.
type Index struct {
	mu            sync.RWMutex // guards all below
	revision      int64        // everything up to here is in
	epoch         string
	loaded        bool
	distributions map[string]distribution
	staging       int                // how many of them are staging distributions
	resources     map[string]version // what distributions refer to, by name
	edges         []*edge            // by id
	changes       changes
	invalidations changes
	settings      map[string]bool // the keys of settings that exist
	beat          Beat
	heard         time.Time     // when Apply was last called
	moved         chan struct{} // closed, and replaced, when anything above changes
}

// version is a resource at its last write.
type version struct {
	revision int64
	// accepted is the time of that write by the clock of the server that accepted
	// it, in nanoseconds; 0 when this server did not see it happen.
	accepted int64
}

// distribution is what the deployment of one depends on.
type distribution struct {
	version
	deps    []string // names of all that it refers to and that has a record
	staging bool
}

// Beat is the last beat that the index has seen.
type Beat struct {
	Revision int64
	// Seen is when, by this server's clock.
	Seen time.Time
}

// New makes an index that knows nothing yet.
func New() *Index {
	x := &Index{moved: make(chan struct{})}
	x.forget()
	return x
}

func (x *Index) forget() {
	x.distributions, x.staging = map[string]distribution{}, 0
	x.resources = map[string]version{}
	x.edges, x.changes, x.invalidations = nil, changes{}, changes{}
	x.settings, x.beat = map[string]bool{}, Beat{}
}

// Apply takes in a step of the mirror.
func (x *Index) Apply(b mirror.Batch, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if b.Reset {
		x.forget()
	}
	if now.Sub(x.heard) > deafness {
		x.changes.again(now)
		x.invalidations.again(now)
	}
	x.epoch, x.heard = b.Epoch, now
	for _, ev := range b.Events {
		x.apply(ev, b.Live, now)
	}
	x.revision, x.loaded = b.Revision, true
	x.judge(now)
	x.announce()
}

// deafness is how long nothing may be heard before time ceases to count against
// edges: what they report is not heard either. A beat comes every 5 s.
const deafness = 15 * time.Second

// Tick lets time pass: edges that are behind for too long cease to count.
func (x *Index) Tick(now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now.Sub(x.heard) <= deafness && x.judge(now) {
		x.announce()
	}
}

func (x *Index) judge(now time.Time) bool {
	changed := false
	due := goal{x.changes.due(now), x.invalidations.due(now)}
	for _, e := range x.edges {
		changed = e.judge(x.epoch, due, x.newest()) || changed
	}
	return changed
}

// newest is what an edge that is up to date has come to.
func (x *Index) newest() goal { return goal{x.changes.newest, x.invalidations.newest} }

func (x *Index) announce() {
	close(x.moved)
	x.moved = make(chan struct{})
}

func (x *Index) apply(ev mirror.Event, live bool, now time.Time) {
	kind, id := keys.Parse(ev.Key)
	switch kind {
	case keys.KindDistribution:
		x.putDistribution(id, ev, live)
	case keys.KindCachePolicy:
		x.putResource(keys.CachePolicies.Name(id), ev, live)
	case keys.KindOriginRequestPolicy:
		x.putResource(keys.OriginRequestPolicies.Name(id), ev, live)
	case keys.KindCertificate:
		x.putResource(keys.Certificates.Name(id), ev, live)
	case keys.KindOrigin:
		x.putResource(keys.Origins.Name(id), ev, live)
	case keys.KindEdge:
		x.putIdentity(id, ev)
		return
	case keys.KindEdgeIntent:
		x.putIntent(id, ev)
		return
	case keys.KindEdgeStatus:
		x.putStatus(id, ev, live)
		return
	case keys.KindEpoch:
		x.putSetting(ev)
	case keys.KindInvalidation:
		if !ev.Deleted { // edges need not know that one expires
			x.invalidations.add(ev.ModRevision, now)
		}
		return
	case keys.KindBeat:
		x.putSetting(ev)
		x.beat = Beat{Revision: ev.ModRevision, Seen: now}
		return
	default:
		return
	}
	// Every edge has to follow. When a list finds a key gone, the revision is not that
	// of the deletion, and an edge that has long followed would seem to be behind.
	if live || !ev.Deleted {
		x.changes.add(ev.ModRevision, now)
	}
}

func (x *Index) putSetting(ev mirror.Event) {
	if ev.Deleted {
		delete(x.settings, ev.Key)
		return
	}
	x.settings[ev.Key] = true
}

func (x *Index) putDistribution(id string, ev mirror.Event, live bool) {
	if x.distributions[id].staging {
		x.staging--
	}
	if ev.Deleted {
		delete(x.distributions, id)
		return
	}
	// A record that cannot be read has a revision all the same; edges reject it.
	d := distribution{version: version{revision: ev.ModRevision}}
	var m configv1.Distribution
	if decode(ev.Value, &m) {
		d.deps, d.staging = dependencies(&m), m.GetStaging()
		if live {
			d.accepted = nanoseconds(m.GetUpdateTime())
		}
	}
	if d.staging {
		x.staging++
	}
	x.distributions[id] = d
}

// Staging is how many staging distributions there are, as far as the index knows
// (C4.5).
func (x *Index) Staging() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.staging
}

// dependencies are the names of all that d refers to and that has a record.
func dependencies(d *configv1.Distribution) []string {
	var out []string
	for _, ref := range rules.DistributionRefs(d).Held() {
		out = append(out, ref.Name())
	}
	return out
}

func (x *Index) putResource(name string, ev mirror.Event, live bool) {
	if ev.Deleted {
		delete(x.resources, name)
		return
	}
	v := version{revision: ev.ModRevision}
	if live {
		v.accepted = accepted(name, ev.Value)
	}
	x.resources[name] = v
}

func accepted(name string, value []byte) int64 {
	collection, _, _ := strings.Cut(name, "/")
	var m interface {
		proto.Message
		GetUpdateTime() *timestamppb.Timestamp
	}
	switch keys.Collection(collection) {
	case keys.Origins:
		m = &originv1.Origin{}
	case keys.OriginRequestPolicies:
		m = &configv1.OriginRequestPolicy{}
	case keys.Certificates:
		m = &configv1.Certificate{}
	default:
		m = &configv1.CachePolicy{}
	}
	if decode(value, m) {
		return nanoseconds(m.GetUpdateTime())
	}
	return 0
}

func (x *Index) putIdentity(id string, ev mirror.Event) {
	e := x.edge(id)
	e.identity = nil
	if !ev.Deleted {
		e.identity = &edgev1.Edge{}
		if err := keys.Decode(ev.Value, e.identity); err != nil {
			e.identity = &edgev1.Edge{} // registered, whatever it says
		}
	}
	x.drop(e)
}

func (x *Index) putIntent(id string, ev mirror.Event) {
	e := x.edge(id)
	e.intent = intent{}
	var r storev1.Record
	if !ev.Deleted && keys.Decode(ev.Value, &r) == nil {
		var m storev1.EdgeIntent
		// One that cannot be read does not drain: the edge does not see it either.
		_ = proto.Unmarshal(r.GetResource(), &m)
		e.intent = intent{ev.ModRevision, r.GetWriteId(), m.GetDraining(), m.GetUpdateTime()}
	}
	x.drop(e)
}

func (x *Index) putStatus(id string, ev mirror.Event, live bool) {
	e := x.edge(id)
	var s edgev1.EdgeStatus
	// A status of a later form is that of an edge that nothing is known about.
	if ev.Deleted || keys.Decode(ev.Value, &s) != nil {
		e.leave()
		x.drop(e)
		return
	}
	e.report(&s, x.newest(), live && e.status == nil)
}

// edge finds an edge or makes one.
func (x *Index) edge(id string) *edge {
	i, ok := x.place(id)
	if !ok {
		x.edges = slices.Insert(x.edges, i, &edge{id: id})
	}
	return x.edges[i]
}

// drop forgets an edge of which nothing is left.
func (x *Index) drop(gone *edge) {
	if gone.identity == nil && gone.status == nil && gone.intent.revision == 0 {
		x.edges = slices.DeleteFunc(x.edges, func(e *edge) bool { return e == gone })
	}
}

// Keys yields every key that the index holds, for the mirror. The loop must not call
// the index.
func (x *Index) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		x.mu.RLock()
		defer x.mu.RUnlock()
		for id := range x.distributions {
			if !yield(keys.Resource(keys.Distributions, id)) {
				return
			}
		}
		for name := range x.resources {
			collection, id, _ := strings.Cut(name, "/")
			if !yield(keys.Resource(keys.Collection(collection), id)) {
				return
			}
		}
		for key := range x.settings {
			if !yield(key) {
				return
			}
		}
		for _, e := range x.edges {
			if e.identity != nil && !yield(keys.Edge(e.id)) || e.status != nil && !yield(keys.EdgeStatus(e.id)) ||
				e.intent.revision != 0 && !yield(keys.EdgeIntent(e.id)) {
				return
			}
		}
	}
}

// Reach returns true once the index is complete up to revision, false when ctx ends
// before that: a watch is not linearizable, so a server that reads its own write has
// to wait for it (C9.46).
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

// LastBeat is the last beat seen, zero when there was none. loaded is false while
// the index knows nothing.
func (x *Index) LastBeat() (last Beat, loaded bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.beat, x.loaded
}

// decode reads the resource out of a record.
func decode(value []byte, m proto.Message) bool {
	var r storev1.Record
	return keys.Decode(value, &r) == nil && proto.Unmarshal(r.GetResource(), m) == nil
}

func nanoseconds(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	return t.AsTime().UnixNano()
}
