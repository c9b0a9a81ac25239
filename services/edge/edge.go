// SPDX-License-Identifier: Apache-2.0

// Package edge is one cache server. It answers viewers by HTTP and HTTPS from its
// cache and from origins, under a configuration that it follows in etcd.
//
// It promises: it needs nobody in order to start or to serve; a change is obeyed by
// the next request after it came into service; what it reports as served is served;
// a stop answers what has begun. It writes no desired state.
package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/cdn/brand"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	"github.com/seafront-cdn/seafront/services/edge/internal/accesslog"
	"github.com/seafront-cdn/seafront/services/edge/internal/debug"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/follow"
	"github.com/seafront-cdn/seafront/services/edge/internal/inspect"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/overload"
	"github.com/seafront-cdn/seafront/services/edge/internal/pipeline"
	"github.com/seafront-cdn/seafront/services/edge/internal/report"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
	"github.com/seafront-cdn/seafront/services/edge/internal/viewer"
)

// Edge is a cache server.
type Edge struct {
	cfg                  Config
	clear, secure, admin net.Listener
	etcd                 *clientv3.Client
	kept                 *lastgood.Store
	disk                 *disk.Log // nil without
	access               *accesslog.Log
	accessFile           *accesslog.File // nil unless the log is one
	objects              *store.Store
	inspector            *inspect.Service
	reporter             *report.Reporter
	follower             *follow.Follower
	viewers              *viewer.Server
	overload             *overload.Watch
	pages                *http.ServeMux

	running, draining atomic.Bool
	closers           []func() error // last opened, first closed
}

// New opens what the edge needs: sockets, files, and the last good configuration,
// which it makes ready to be served. It starts nothing; Run does, and closes
// everything at its end.
func New(cfg Config) (*Edge, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	e := &Edge{cfg: cfg}
	if err := e.wire(); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// wire makes every part and gives it what it needs, top to bottom.
func (e *Edge) wire() error {
	cfg, t := e.cfg, e.cfg.Telemetry
	words, err := brand.Parse(cfg.Brand)
	if err != nil {
		return err
	}
	kept, content, refused, err := lastgood.Open(cfg.DataDir, t.Log)
	if err != nil {
		return err
	}
	e.kept = kept
	e.closers = append(e.closers, kept.Close)
	if err := kept.Measure(t.Meter); err != nil {
		return err
	}
	ended, err := e.invalidations(content)
	if err != nil {
		return err
	}
	certificate, err := viewer.OpenCertificate(filepath.Join(cfg.DataDir, "tls"), cfg.BaseDomain, t.Log)
	if err != nil {
		return err
	}
	if err := errors.Join(e.listen(), e.dial()); err != nil {
		return err
	}
	e.reporter = report.New(report.Config{
		Etcd: e.etcd, ID: cfg.ID, Pop: cfg.Pop, Addresses: e.advertised(), Labels: cfg.Labels, Build: cfg.build(), Ended: ended.Counts, Log: t.Log,
	})
	e.follower, err = follow.New(follow.Config{
		Etcd: e.etcd, Edge: cfg.ID, Pop: cfg.Pop, Report: e.reporter, Keep: kept, Invalidations: ended,
		Secrets: cfg.opener(), Log: t.Log, Tracer: t.Tracer, Meter: t.Meter, BeforeSwap: cfg.BeforeSwap,
	}, content)
	if err != nil {
		return err
	}
	if err := errors.Join(e.openCache(ended), e.openAccessLog()); err != nil {
		return err
	}
	answers, err := e.answers(words, ended)
	if err != nil {
		return err
	}
	if e.overload, err = overload.New(overload.Config{Watermark: cfg.MemoryWatermarkBytes, Log: t.Log, Meter: t.Meter}); err != nil {
		return err
	}
	e.viewers, err = viewer.New(viewer.Config{
		Handler: &gate{e.follower, answers, words}, Refuser: answers, Snapshots: e.follower, Draining: e.leaving,
		Overloaded: e.overload.Over, ProxyNetworks: cfg.ProxyProtocolNetworks,
		Certificate: certificate, MaxConnections: cfg.MaxConnections, MaxPerAddress: cfg.MaxPerAddress, Grace: cfg.DrainGrace,
		Limits: cfg.viewerLimits(), Log: t.Log, Meter: t.Meter,
	})
	e.pages = t.AdminMux(e.ready)
	debug.Register(e.pages, debug.Config{
		Edge: cfg.ID, Pop: cfg.Pop, Build: cfg.build(), Follower: e.follower, Inspect: e.inspector, Refused: refused, Disk: kept,
	})
	return err
}

// answers makes what answers requests, and its client to origins.
func (e *Edge) answers(words brand.Brand, ended *invalidation.Table) (*pipeline.Pipeline, error) {
	cfg, t := e.cfg, e.cfg.Telemetry
	origins := origin.NewClient(origin.Config{
		MaxConcurrent: cfg.OriginConcurrency, MaxQueue: cfg.OriginQueue, QueueTimeout: cfg.OriginQueueTimeout,
		MaxPerViewer: cfg.OriginPerViewer, MaxTunnels: cfg.OriginTunnels, Resolver: cfg.resolver(),
	})
	e.closers = append(e.closers, func() error { origins.Close(); return nil })
	answers, err := pipeline.New(pipeline.Config{
		Snapshots: e.follower, Store: e.objects, Invalidations: ended, Origins: origins, Brand: words, Pop: cfg.Pop,
		PublicHTTPSPort: e.publicHTTPSPort(), MaxHeaderBytes: cfg.MaxHeaderBytes, MaxURLBytes: cfg.MaxURLBytes,
		MaxFillBytes: cfg.MaxFillBytes, TrustTrace: cfg.trusts, Events: e.access, Log: t.Log, Tracer: requestTracer(t), Meter: t.Meter,
	})
	if err != nil {
		return nil, err
	}
	uncollect := t.Collect(answers)
	e.closers = append(e.closers, func() error { uncollect(); answers.Close(); return nil })
	e.inspect(answers)
	return answers, nil
}

// invalidations makes the table that the cache is held against, for what was kept.
func (e *Edge) invalidations(kept lastgood.Content) (*invalidation.Table, error) {
	table := invalidation.New(kept.Era, kept.Floor)
	end, err := table.Measure(e.cfg.Telemetry.Meter)
	if err != nil {
		return nil, err
	}
	e.closers = append(e.closers, end)
	return table, nil
}

// requestTracer is nil where spans go nowhere: then a request has no cost of them.
func requestTracer(t *telemetry.Telemetry) trace.TracerProvider {
	if !t.Exports() {
		return nil
	}
	return t.Tracer
}

// Run serves until ctx ends or a part fails. Then, in this order: the edge is no
// longer ready, and connections end with the next answer; after Config.DrainDelay, unless
// a part has failed, no connection is taken any more and answers under way are finished;
// the lease is given back; the last good configuration is written; everything is
// closed.
func (e *Edge) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, e.close()) }()
	background := context.WithoutCancel(ctx)
	parts, failed := errgroup.WithContext(background)
	serving, drain := context.WithCancel(background)
	following, leave := context.WithCancel(background)
	keeping, flush := context.WithCancel(background)

	parts.Go(func() error {
		defer drain()
		e.awaitEnd(ctx, failed)
		return nil
	})
	parts.Go(func() error {
		defer leave()
		return e.viewers.Run(serving, e.clear, e.secure)
	})
	parts.Go(func() error {
		defer flush()
		both, ctx := errgroup.WithContext(following)
		both.Go(func() error { return e.follower.Run(ctx) })
		both.Go(func() error { return e.reporter.Run(ctx) })
		return both.Wait()
	})
	parts.Go(func() error { return e.objects.Run(following, e.kept.Forget) })
	parts.Go(func() error { return e.overload.Run(following) })
	parts.Go(func() error { return e.kept.Run(keeping) })
	parts.Go(func() error { return e.writeAccessLog(keeping) })
	if e.disk != nil {
		parts.Go(func() error { return e.disk.Run(keeping) })
	}
	parts.Go(func() error { return e.cfg.Telemetry.ServeAdmin(keeping, e.admin, e.pages) })
	e.running.Store(true)
	return parts.Wait()
}

// awaitEnd returns when no more connections are to be taken: at the end of failed, or as
// long after that of ctx as balancers need in order to notice.
func (e *Edge) awaitEnd(ctx, failed context.Context) {
	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	e.draining.Store(true)
	timer := time.NewTimer(e.cfg.DrainDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-failed.Done():
	}
}

// leaving says whether viewers are to go elsewhere, by a stop or by an operator.
func (e *Edge) leaving() bool { return e.draining.Load() || e.follower.Draining() }

// ready is nil while viewers should be sent here (design 3.15).
func (e *Edge) ready() error {
	switch {
	case e.draining.Load():
		return errors.New("draining: the edge is being stopped")
	case !e.running.Load():
		return errors.New("starting")
	case e.disk != nil && e.disk.Resuming(): // until then all would be misses
		return errors.New("starting: the index of the cache on disk is being read")
	case !e.follower.Loaded():
		return errors.New("no configuration: etcd has not been reached, and there is none on disk")
	case e.follower.Draining():
		return errors.New("draining: an operator has asked for it; UndrainEdge ends it")
	}
	return nil
}

// Addresses are where the edge listens.
type Addresses struct {
	HTTP, HTTPS, Admin string // host:port
}

// Addresses returns where the edge listens; ports that the system chose are known.
func (e *Edge) Addresses() Addresses {
	return Addresses{HTTP: e.clear.Addr().String(), HTTPS: e.secure.Addr().String(), Admin: e.admin.Addr().String()}
}

func (e *Edge) advertised() []string {
	if len(e.cfg.Advertise) > 0 {
		return e.cfg.Advertise
	}
	return []string{e.clear.Addr().String(), e.secure.Addr().String()}
}

func (e *Edge) publicHTTPSPort() int {
	if at, ok := e.secure.Addr().(*net.TCPAddr); ok && e.cfg.PublicHTTPSPort == 0 {
		return at.Port
	}
	return e.cfg.PublicHTTPSPort
}

// listen opens the sockets. Viewers who come before Run wait.
func (e *Edge) listen() error {
	for _, l := range []struct {
		what, addr string
		to         *net.Listener
	}{
		{"viewers by HTTP", e.cfg.HTTPListen, &e.clear},
		{"viewers by HTTPS", e.cfg.HTTPSListen, &e.secure},
		{"admin pages", e.cfg.AdminListen, &e.admin},
	} {
		opened, err := net.Listen("tcp", l.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", l.what, err)
		}
		*l.to = opened
		e.closers = append(e.closers, func() error {
			if err := opened.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil // by the part that served it
		})
	}
	return nil
}

// dial makes the client of etcd; it connects when etcd is there.
func (e *Edge) dial() error {
	e.etcd = e.cfg.Etcd
	if e.etcd != nil {
		return nil
	}
	client, err := e.cfg.Dial(e.cfg.EtcdEndpoints)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	e.etcd = client
	e.closers = append(e.closers, client.Close)
	return nil
}

func (e *Edge) close() error {
	var errs []error
	for i := len(e.closers) - 1; i >= 0; i-- {
		errs = append(errs, e.closers[i]())
	}
	return errors.Join(errs...)
}
