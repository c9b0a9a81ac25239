// SPDX-License-Identifier: Apache-2.0

// Package http1 is the edge's own HTTP/1.x: it reads requests from a connection, gives
// each to a handler, and writes the answers, one blocking goroutine for a connection,
// clear or TLS.
//
// It promises: a request is framed once, by a parser that is the only door and mends
// nothing, so nobody behind it can disagree about where a request ends; what is refused
// is answered and the connection ended, with the answer arriving; an answer that is not
// whole is seen as such (D17.12); every wait for a viewer has a bound, and so has
// everything that a viewer can make it keep; a request that is answered from memory
// costs no allocation. It knows nothing of hosts, caching, certificates or listeners.
package http1

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// Defaults of Config.
const (
	DefaultHeaderTimeout  = 10 * time.Second
	DefaultIdleTimeout    = 30 * time.Second // D22.9
	DefaultBodyTimeout    = 20 * time.Second
	DefaultStallTimeout   = time.Minute
	DefaultTunnelTimeout  = 10 * time.Minute // D24.4
	DefaultLeaveGrace     = 2 * time.Second
	DefaultMinBodyRate    = 1000
	DefaultMaxHeaderBytes = 32768 // D4.5
	DefaultMaxURLBytes    = 8192  // D4.5
	DefaultMaxFields      = 256
	DefaultMaxBodyBytes   = 64 << 30 // D4.8
)

// Config is what a Server needs. Zero values have the default of their name.
type Config struct {
	// Handler answers each request. It is required.
	Handler exchange.Handler
	// Refuser answers what was refused before it became a request. Default
	// exchange.Plain.
	Refuser exchange.Refuser
	// HeaderTimeout bounds the time from the first byte of a head to its last,
	// IdleTimeout the wait for the first.
	HeaderTimeout, IdleTimeout time.Duration
	// BodyTimeout bounds each wait for bytes of a request body. MinBodyRate, in bytes a
	// second, bounds all of them together: a viewer may keep the edge waiting for
	// BodyTimeout, and for a second more with each MinBodyRate bytes that it sends.
	BodyTimeout time.Duration
	MinBodyRate int
	// StallTimeout is how long a viewer may take nothing of an answer; it is cut at most
	// half as much later.
	StallTimeout time.Duration
	// TunnelTimeout ends an upgraded connection when the origin sends nothing for so
	// long (D24.4).
	TunnelTimeout time.Duration
	// LeaveGrace is how long a viewer that has ended its sending half still counts as
	// waiting for an answer that has not begun.
	LeaveGrace time.Duration
	// MaxHeaderBytes bounds request line and fields, MaxURLBytes the URL as the edge
	// rebuilds it (D4.5), MaxFields the number of fields.
	MaxHeaderBytes, MaxURLBytes, MaxFields int
	// MaxBodyBytes bounds a request body (D4.8).
	MaxBodyBytes int64
	// MaxRequests ends a connection after so many; 0 is no bound.
	MaxRequests int
	// Draining, when set, says whether viewers are to go elsewhere: each connection then
	// ends after its next answer.
	Draining func() bool
	// Log gets what is wrong with the edge, not with viewers. Nil: nothing.
	Log *slog.Logger
	// Meter gives the metrics. Nil: there are none.
	Meter metric.MeterProvider
}

// Server serves connections. It is safe for concurrent use.
type Server struct {
	cfg     Config
	limits  limits
	began   time.Time // times are durations since then, which costs less
	metrics *metrics
	works   sync.Pool // of *work
	blocks  sync.Pool // of *[blockBytes]byte
	closing atomic.Bool

	mu    sync.Mutex // guards conns and what closes gone
	conns map[*conn]struct{}
	gone  chan struct{} // closed when nothing is left of a Server that closes
}

// New returns a Server. It starts nothing.
func New(cfg Config) (*Server, error) {
	cfg.HeaderTimeout = cmp.Or(cfg.HeaderTimeout, DefaultHeaderTimeout)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, DefaultIdleTimeout)
	cfg.BodyTimeout = cmp.Or(cfg.BodyTimeout, DefaultBodyTimeout)
	cfg.StallTimeout = cmp.Or(cfg.StallTimeout, DefaultStallTimeout)
	cfg.TunnelTimeout = cmp.Or(cfg.TunnelTimeout, DefaultTunnelTimeout)
	cfg.LeaveGrace = cmp.Or(cfg.LeaveGrace, DefaultLeaveGrace)
	cfg.MinBodyRate = cmp.Or(cfg.MinBodyRate, DefaultMinBodyRate)
	if cfg.Refuser == nil {
		cfg.Refuser = exchange.Plain{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Meter == nil {
		cfg.Meter = metricnoop.NewMeterProvider()
	}
	s := &Server{cfg: cfg, conns: map[*conn]struct{}{}, gone: make(chan struct{}), began: time.Now()}
	s.limits = limits{
		head:   cmp.Or(cfg.MaxHeaderBytes, DefaultMaxHeaderBytes),
		url:    cmp.Or(cfg.MaxURLBytes, DefaultMaxURLBytes),
		fields: cmp.Or(cfg.MaxFields, DefaultMaxFields),
		body:   cmp.Or(cfg.MaxBodyBytes, DefaultMaxBodyBytes),
	}
	s.works.New = func() any { return newWork() }
	s.blocks.New = func() any { return new([blockBytes]byte) }
	var err error
	if s.metrics, err = newMetrics(cfg.Meter, s); err != nil {
		return nil, fmt.Errorf("http1: make metrics: %w", err)
	}
	return s, nil
}

// ServeConn serves a connection until it is over, and closes it. A *tls.Conn has its
// handshake behind it. The end of ctx, which the handler gets, does not end a
// connection that waits for its viewer: Shutdown does.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn, peer exchange.Peer) {
	c := newConn(s, nc, peer)
	if !s.add(c) {
		_ = nc.Close() // after the end of the server
		return
	}
	defer s.remove(c)
	c.serve(ctx)
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.gone:
		return false
	default:
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.end()
}

// end closes gone when the last connection of a closing Server has ended. It is called
// with mu held.
func (s *Server) end() {
	if !s.closing.Load() || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.gone:
	default:
		close(s.gone)
	}
}

// Shutdown ends connections that wait for a request, lets the others have the answer
// that they wait for, and returns when there is none. At the end of ctx it cuts those
// that are left and returns the error of ctx; who called ServeConn ends the contexts of
// its handlers then. No connection may be served after Shutdown has returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing.Store(true)
	for c := range s.conns {
		c.wake()
	}
	s.end()
	s.mu.Unlock()
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.cut()
	}
	return ctx.Err()
}

// Close ends the metrics.
func (s *Server) Close() { s.metrics.close() }
