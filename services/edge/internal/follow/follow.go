// SPDX-License-Identifier: Apache-2.0

// Package follow keeps an edge's configuration up to date: from etcd to a compiled
// snapshot in service, to the status, to the disk (design 3.1 to 3.4, C8.80 to C8.84).
//
// It promises the order: compile, swap, acknowledge, persist. What is acknowledged is
// served; what is served may be newer than what is on disk. Invalidations hold when the
// configuration that goes with them is swapped in, and are acknowledged when they are
// on disk (C8.85, design 3.3). A record that does not
// compile leaves its last good version in service and holds up nothing else (C8.76).
// It waits for nobody: an edge without etcd serves what it has.
package follow

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
	"github.com/seafront-cdn/seafront/services/edge/internal/report"
)

// scope names the spans and metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/follow"

// Config is what a Follower needs.
type Config struct {
	Etcd *clientv3.Client
	// Edge and Pop are the names of the edge and its place, for spans.
	Edge, Pop string
	// Report is told what is served. Keep gets what is to be on disk. Neither may
	// block.
	Report interface{ Applied(report.Progress) }
	Keep   interface{ Keep(lastgood.Step) }
	// Invalidations is what objects in the cache are held against: of the era and the
	// floor of what was kept.
	Invalidations *invalidation.Table
	// Secrets opens the secrets of records. Nil: records with secrets are rejected.
	Secrets snapshot.Opener
	Log     *slog.Logger
	Tracer  trace.TracerProvider
	Meter   metric.MeterProvider
	// BeforeSwap, when set, is called between compile and swap with the revision that
	// is about to come into service. Tests hold an edge up with it.
	BeforeSwap func(revision int64)
}

// Follower holds the configuration in service. Its methods are safe for concurrent
// use.
type Follower struct {
	cfg     Config
	tracer  trace.Tracer
	metrics *metrics
	start   mirror.Point

	current   atomic.Pointer[snapshot.Snapshot]
	status    atomic.Pointer[Status]
	connected atomic.Bool
	contact   atomic.Pointer[time.Time] // when etcd was last heard of; nil: never

	progress progress

	// Of the one goroutine that applies.
	edges   map[string]struct{} // keys of the registered edges
	known   bool                // this edge is one of them
	intent  snapshot.Change     // what operators want of this edge; without a key: nothing
	before  time.Time           // when etcd was last heard of, in an earlier run too
	failing bool
}

// Status says where the configuration in service comes from.
type Status struct {
	// Loaded is false until there is a configuration, be it an empty one.
	Loaded bool
	// Since is when it came into service.
	Since time.Time
	// Source is disk until etcd has given a configuration in this run.
	Source edgev1.EdgeStatus_Source
	// Connected says that the watch of etcd stands; Contact is when etcd was last
	// heard of, zero for never.
	Connected bool
	Contact   time.Time
	// Edges is how many edges are registered.
	Edges int
	// Draining says that operators want this edge to take no new viewers. It holds
	// through restarts, with and without etcd.
	Draining bool
}

// New returns a Follower that serves what was kept on disk, if anything was. It
// starts nothing.
func New(cfg Config, kept lastgood.Content) (*Follower, error) {
	f := &Follower{cfg: cfg, tracer: cfg.Tracer.Tracer(scope), start: kept.Point, edges: map[string]struct{}{}}
	f.current.Store(snapshot.Empty().WithSecrets(cfg.Secrets))
	f.status.Store(&Status{})
	var err error
	if f.metrics, err = newMetrics(cfg.Meter, f); err != nil {
		return nil, err
	}
	if kept.Point.Revision == 0 {
		return f, nil
	}
	f.before = kept.Contact
	f.track(kept.Served)
	s, served := f.current.Load().Apply(kept.Point.Revision, kept.Served)
	s, rejected := s.Apply(kept.Point.Revision, kept.Rejected)
	orders, _, _ := f.orders(context.Background(), kept.Invalidations, s)
	f.cfg.Invalidations.Apply(orders)
	f.current.Store(s)
	f.acknowledge(time.Now(), edgev1.EdgeStatus_SOURCE_DISK, true)
	f.tell(context.Background(), served)
	f.tell(context.Background(), rejected)
	return f, nil
}

// Current returns the configuration in service. It is never nil.
func (f *Follower) Current() *snapshot.Snapshot { return f.current.Load() }

// Loaded says whether there is a configuration, be it an empty one.
func (f *Follower) Loaded() bool { return f.status.Load().Loaded }

// Draining says whether operators want this edge to take no new viewers.
func (f *Follower) Draining() bool { return f.status.Load().Draining }

// Status returns where the configuration comes from.
func (f *Follower) Status() Status {
	s := *f.status.Load()
	s.Connected = f.connected.Load()
	if at := f.contact.Load(); at != nil {
		s.Contact = *at
	}
	return s
}

// Run follows etcd until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	defer f.metrics.close()
	return mirror.Run(ctx, f.cfg.Etcd, mirror.Config{
		From: keys.EdgeFrom, To: keys.EdgeTo, EpochKey: keys.Epoch, Start: f.start,
		Keys: f.keys,
		Connected: func(now bool) {
			f.connected.Store(now)
			f.cfg.Log.InfoContext(ctx, "configuration is followed", slog.Bool("connected", now))
			f.failing = false
		},
		Failed: func(err error) {
			if !f.failing { // once for each outage
				f.cfg.Log.WarnContext(ctx, "etcd cannot be followed; what is loaded stays in service", slog.Any("error", etcd.Explain(err)))
			}
			f.failing = true
		},
	}, func(b mirror.Batch) { f.apply(ctx, b) })
}

// keys yields every key that a list must still find.
func (f *Follower) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range f.current.Load().Keys() {
			if !yield(k) {
				return
			}
		}
		for k := range f.edges {
			if !yield(k) {
				return
			}
		}
		if f.intent.Key != "" {
			yield(f.intent.Key)
		}
	}
}

// apply brings one batch into service.
func (f *Follower) apply(ctx context.Context, b mirror.Batch) {
	began := time.Now()
	f.contact.Store(&began)
	absent := away(f.before, began)
	f.before = began
	base := f.current.Load()
	if b.Reset {
		base = snapshot.Empty().WithSecrets(f.cfg.Secrets)
		clear(f.edges)
		f.known, f.intent = false, snapshot.Change{}
	}
	changes := make([]snapshot.Change, len(b.Events))
	for i, e := range b.Events {
		changes[i] = snapshot.Change(e)
	}
	f.track(changes)
	next, done := base.Apply(b.Revision, changes)
	if f.cfg.BeforeSwap != nil {
		f.cfg.BeforeSwap(b.Revision)
	}
	keep := step(b, changes, done, f.cfg.Edge)
	ended := f.swap(ctx, b, changes, next, absent, &keep)
	swapped := time.Now()
	news := len(done.Applied) > 0 || b.Reset || next.Epoch != base.Epoch || f.draining() != f.status.Load().Draining || f.status.Load().Source != edgev1.EdgeStatus_SOURCE_ETCD
	f.acknowledge(swapped, edgev1.EdgeStatus_SOURCE_ETCD, news)
	f.cfg.Keep.Keep(keep)
	if b.Live {
		f.trace(ctx, done, began, swapped)
		f.trace(ctx, ended, began, swapped)
	}
	f.metrics.applied(ctx, done, swapped.Sub(began))
	f.tell(ctx, done)
}

// track keeps what is about edges: those that are registered, which together may write
// so many statuses a second, and what operators want of this one.
func (f *Follower) track(changes []snapshot.Change) {
	for _, c := range changes {
		switch kind, id := keys.Parse(c.Key); {
		case kind == keys.KindEdge && c.Deleted:
			delete(f.edges, c.Key)
			f.known = f.known && id != f.cfg.Edge
		case kind == keys.KindEdge:
			f.edges[c.Key] = struct{}{}
			f.known = f.known || id == f.cfg.Edge
		case kind == keys.KindEdgeIntent && id == f.cfg.Edge && c.Deleted:
			f.intent = snapshot.Change{}
		case kind == keys.KindEdgeIntent && id == f.cfg.Edge:
			f.intent = c
		}
	}
}

// draining is what operators want. A wish of a later release that cannot be read is
// none: an edge that is drained by mistake is an outage.
func (f *Follower) draining() bool {
	if f.intent.Key == "" {
		return false
	}
	var r storev1.Record
	var m storev1.EdgeIntent
	if keys.Decode(f.intent.Value, &r) != nil || proto.Unmarshal(r.GetResource(), &m) != nil {
		return false
	}
	return m.GetDraining()
}

// acknowledge says what is in service since a moment ago.
func (f *Follower) acknowledge(since time.Time, source edgev1.EdgeStatus_Source, news bool) {
	p := &f.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	changes := p.last.Changes
	if news {
		changes++
	}
	draining := f.draining()
	if was := f.status.Swap(&Status{Loaded: true, Since: since, Source: source, Edges: len(f.edges), Draining: draining}); was.Draining != draining {
		f.cfg.Log.Info("draining on request of an operator", slog.Bool("draining", draining))
	}
	p.last = report.Progress{
		Snapshot: f.current.Load(), Since: since, Source: source, Changes: changes,
		Edges: len(f.edges), Registered: f.known, Draining: draining, Met: f.cfg.Invalidations.Met(),
	}
	p.last.Obeyed = p.obeyed()
	f.cfg.Report.Applied(p.last)
}

// tell logs what became of each record: a rejection once, with its reason.
func (f *Follower) tell(ctx context.Context, done snapshot.Report) {
	talkative := f.cfg.Log.Enabled(ctx, slog.LevelDebug)
	for _, a := range done.Applied {
		if a.Rejected == nil && !talkative {
			continue
		}
		if a.Rejected == nil {
			f.cfg.Log.DebugContext(ctx, "record in service", slog.String("resource", a.Resource), slog.Int64("revision", a.ModRevision), slog.Bool("deleted", a.Deleted))
			continue
		}
		f.cfg.Log.WarnContext(ctx, "record rejected; its last good version stays in service",
			slog.String("resource", a.Resource), slog.Int64("revision", a.ModRevision),
			slog.String("reason", a.Rejected.Reason), slog.String("message", a.Rejected.Message))
	}
}
