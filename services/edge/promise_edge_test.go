// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/seafront-cdn/seafront/pkg/cdn/brand"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/follow"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
	"github.com/seafront-cdn/seafront/services/edge/internal/pipeline"
	"github.com/seafront-cdn/seafront/services/edge/internal/report"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// actor is an edge whose directory outlives its process.
type actor struct {
	*world
	name string
	dir  string
	life int // number of the process, each with a directory of its own for the cache

	mu           sync.RWMutex // held for writing while there is no process
	acknowledged int64        // by any process
	process      *process
}

// process is one life of an actor.
type process struct {
	follower *follow.Follower
	pipeline *pipeline.Pipeline
	disk     *keeper
	gate     *gateway
	stop     func()
}

// Applied takes the acknowledgement.
func (a *actor) Applied(p report.Progress) {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.acknowledged = max(a.acknowledged, p.Obeyed)
}

func (a *actor) obeyed() int64 {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	return a.acknowledged
}

// keeper gives a step to the store only when it has to be on disk, or with one that has
// to: so a killed process leaves as little as it may.
type keeper struct {
	to *lastgood.Store

	mu     sync.Mutex // guards the rest
	held   []lastgood.Step
	killed bool
}

func (d *keeper) Keep(s lastgood.Step) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.killed {
		return
	}
	d.held = append(d.held, s)
	if s.Synced == nil && s.Point.Revision%5 > 0 {
		return
	}
	for _, s := range d.held {
		d.to.Keep(s)
	}
	d.held = nil
}

// gateway lets batches through, or holds them: an edge that hears nothing.
type gateway struct {
	mu   sync.Mutex
	shut chan struct{} // closed when it opens again; nil while it is open
}

func (g *gateway) wait(int64) {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

func (g *gateway) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if shut && g.shut == nil {
		g.shut = make(chan struct{})
	} else if !shut && g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// start begins a process, with etcd or without.
func (a *actor) start(client *clientv3.Client) {
	a.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	kept, content, refused, err := lastgood.Open(a.dir, quiet)
	if err != nil || refused != "" {
		a.t.Fatal(err, refused)
	}
	ended := invalidation.New(content.Era, content.Floor)
	log, err := disk.Open(disk.Config{
		Dir: a.cacheDir(), Limit: 32 << 20,
		Alive: func(r disk.Record) (disk.Stamp, bool) { return store.Keep(ended, r) },
	})
	if err != nil {
		a.t.Fatal(err)
	}
	objects, err := store.Open(store.Config{MemoryBytes: 1 << 20, Disk: log, Ended: ended})
	if err != nil {
		a.t.Fatal(err)
	}
	p := &process{disk: &keeper{to: kept}, gate: &gateway{}}
	p.follower, err = follow.New(follow.Config{
		Etcd: client, Edge: a.name, Report: a, Keep: p.disk, Invalidations: ended, Log: quiet,
		Tracer: tracenoop.NewTracerProvider(), Meter: metricnoop.NewMeterProvider(), BeforeSwap: p.gate.wait,
	}, content)
	if err != nil {
		a.t.Fatal(err)
	}
	p.pipeline, err = pipeline.New(pipeline.Config{
		Snapshots: p.follower, Store: objects, Invalidations: ended, Origins: a.world, Brand: brand.Seafront(),
	})
	if err != nil {
		a.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(a.t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = p.follower.Run(ctx) })
	running.Go(func() { _ = objects.Run(ctx, kept.Forget) })
	running.Go(func() { _ = log.Run(ctx) })
	<-log.Loaded() // a warm cache is the harder one
	keeping, flush := context.WithCancel(a.t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := kept.Run(keeping); err != nil {
			a.t.Error(err)
		}
	})
	p.stop = func() {
		p.gate.set(false)
		cancel()
		running.Wait()
		a.found(log.Stats().Hits)
		p.pipeline.Close()
		flush()
		writing.Wait()
		if err := errors.Join(objects.Close(), log.Close(), kept.Close()); err != nil {
			a.t.Error(err)
		}
	}
	a.process = p
}

// cacheDir is the directory of the cache of the present process.
func (a *actor) cacheDir() string { return filepath.Join(a.dir, fmt.Sprint("cache", a.life)) }

// found counts what a process has found on its disk.
func (a *actor) found(n int64) {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.warm += n
}

// kill ends the process with what the disk has: the next one finds the files of the cache
// as they are while this one still runs.
func (a *actor) kill() {
	a.process.disk.mu.Lock()
	a.process.disk.killed = true
	a.process.disk.mu.Unlock()
	was := a.cacheDir()
	a.life++
	if err := os.CopyFS(a.cacheDir(), os.DirFS(was)); err != nil {
		a.t.Fatal(err)
	}
	a.process.stop()
	if err := os.RemoveAll(was); err != nil {
		a.t.Fatal(err)
	}
}
