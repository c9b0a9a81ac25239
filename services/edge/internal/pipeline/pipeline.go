// SPDX-License-Identifier: Apache-2.0

// Package pipeline answers viewers: it is the path of a request through an edge, one
// file per named step. Receive, match and admit decide whether there is an answer at
// all; key and lookup look for a stored one; fetch asks the origin, once for all who
// wait; deliver sends; record tells what happened.
//
// It promises: every request is answered through its Sender exactly once and makes
// one event; it sees one configuration; a hit takes no lock, parses nothing of the
// configuration and makes no span unless it is sampled. It knows no server library:
// package exchange is all that it shares with the adapters. Decisions about
// freshness, keys, conditions and ranges are made by the pure packages that it calls.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/pkg/cdn/brand"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/accesslog"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// Defaults of Config.
const (
	DefaultMaxHeaderBytes = 32768 // D4.5
	DefaultMaxURLBytes    = 8192  // D4.5
)

// Config is what a Pipeline needs. Snapshots, Store, Invalidations, Origins and Brand
// are required.
type Config struct {
	// Snapshots gives the configuration in service; Current is called once for each
	// request and never returns nil.
	Snapshots interface{ Current() *snapshot.Snapshot }
	// Store keeps the answers; what Invalidations ends it does not give out.
	Store         *store.Store
	Invalidations *invalidation.Table
	// Origins asks origins; *origin.Client is one.
	Origins fetcher
	// Brand holds the words by which the edge shows itself.
	Brand brand.Brand
	// Pop is the name of the place, for the viewer (D22.3).
	Pop string
	// PublicHTTPSPort stands in redirects to HTTPS unless it is 443. Default 443.
	PublicHTTPSPort int
	// MaxHeaderBytes bounds request line and header, MaxURLBytes the URL (D4.5).
	MaxHeaderBytes, MaxURLBytes int
	// MaxFillBytes bounds the body bytes of all origin responses under way. At the
	// bound further misses get a stale object or 503. Default fill.DefaultMaxBytes.
	MaxFillBytes int64
	// FillWindow bounds what is held of a response that is not kept. Default
	// fill.DefaultWindow.
	FillWindow int64
	// TrustTrace says whether a viewer's own trace context is to be continued, by
	// address. For all others it is a link, and its sampled flag counts for nothing.
	// Nil trusts nobody.
	TrustTrace func(netip.Addr) bool
	// Sample is asked for each request that has no trusted trace context whether to
	// start a span. It makes an unsampled hit free of tracing costs. Nil leaves the
	// decision to the sampler of Tracer, which is asked by starting a span.
	Sample func() bool
	// Events gets one event for each request, and keeps nothing of it. Nil: nobody does.
	Events interface{ Append(e *accesslog.Event) }
	// Log is told of what should not happen. Default: none.
	Log *slog.Logger
	// Tracer gives the spans. Nil: there are none.
	Tracer trace.TracerProvider
	// Meter gives the metrics. Nil: there are none.
	Meter metric.MeterProvider
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// fetcher asks an origin.
type fetcher interface {
	Fetch(ctx context.Context, req *origin.Request) (*origin.Response, error)
}

// Pipeline answers requests. It is safe for concurrent use.
type Pipeline struct {
	Config
	fills     *fill.Group[*served]
	limits    limits
	words     words
	tracer    trace.Tracer // nil: no spans
	metrics   *metrics
	pseudonym string // of this edge in Via (D15.4)
	since     func(time.Time) time.Duration
}

// New returns a Pipeline. It starts nothing.
func New(cfg Config) (*Pipeline, error) {
	if cfg.Snapshots == nil || cfg.Store == nil || cfg.Invalidations == nil || cfg.Origins == nil || cfg.Brand.Name == "" {
		return nil, errors.New("pipeline: snapshots, store, invalidations, origins and brand are required")
	}
	cfg.PublicHTTPSPort = cmp.Or(cfg.PublicHTTPSPort, 443)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Meter == nil {
		cfg.Meter = metricnoop.NewMeterProvider()
	}
	since := time.Since // one look at the clock, where Now takes two
	if now := cfg.Now; now != nil {
		since = func(t time.Time) time.Duration { return now().Sub(t) }
	} else {
		cfg.Now = time.Now
	}
	p := &Pipeline{
		Config: cfg,
		fills:  fill.NewGroup[*served](fill.Config{MaxBytes: cfg.MaxFillBytes, Window: cfg.FillWindow}),
		limits: limits{
			header: cmp.Or(cfg.MaxHeaderBytes, DefaultMaxHeaderBytes),
			url:    cmp.Or(cfg.MaxURLBytes, DefaultMaxURLBytes),
		},
		pseudonym: newPseudonym(),
		since:     since,
	}
	p.words = newWords(cfg.Brand, p.pseudonym)
	if cfg.Tracer != nil {
		p.tracer = cfg.Tracer.Tracer(scope)
	}
	var err error
	if p.metrics, err = newMetrics(cfg.Meter, p); err != nil {
		return nil, fmt.Errorf("pipeline: make metrics: %w", err)
	}
	return p, nil
}

// Close refuses new fills and waits for those under way: the ones that somebody
// reads end with their readers, the others are ended.
func (p *Pipeline) Close() {
	p.fills.Close()
	p.metrics.close()
}

// step is one part of the path. It says whether the request has its answer.
type step struct {
	name string
	take func(*Pipeline, context.Context, *visit) bool
}

// answering are the steps that lead to an answer, in order; the first that has one is
// the last to run. Deliver and record follow for every request. (The rewrite step,
// between admit and key, comes with functions.)
var answering = [...]step{
	{"receive", (*Pipeline).receive}, // what did the viewer send? 400, 414, 494
	{"match", (*Pipeline).match},     // which distribution, which behavior? 403, 421
	{"admit", (*Pipeline).admit},     // may this viewer have it? 301, 307, 403
	{"key", (*Pipeline).key},         // which stored object is this?
	{"lookup", (*Pipeline).lookup},   // do we have it and may we use it?
	{"fetch", (*Pipeline).fetch},     // ask the origin: 502, 503, 504
}

// Serve answers one request through to, once, and records it. The end of ctx means
// that the viewer has left.
func (p *Pipeline) Serve(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	x := newVisit(req, to, p.Now())
	defer x.free()
	ctx = p.open(ctx, x)
	p.answer(ctx, x)
	p.deliver(ctx, x, to)
	p.record(ctx, x)
	if x.refresh {
		p.refresh(ctx, x)
	}
}

// answer takes the steps that lead to an answer. A panic in one of them is an answer
// too: 500.
func (p *Pipeline) answer(ctx context.Context, x *visit) {
	defer func() {
		if v := recover(); v != nil {
			p.panicked(ctx, x, v)
			x.refuse(500, "The edge failed to handle this request.")
		}
	}()
	for i := range answering {
		if p.take(ctx, x, &answering[i]) {
			return
		}
	}
}

// take runs one step, in a span of its own if the request has one.
func (p *Pipeline) take(ctx context.Context, x *visit, s *step) bool {
	if x.span == nil {
		return s.take(p, ctx, x)
	}
	ctx, span := p.tracer.Start(ctx, s.name)
	defer span.End()
	return s.take(p, ctx, x)
}
