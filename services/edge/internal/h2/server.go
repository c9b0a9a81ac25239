// SPDX-License-Identifier: Apache-2.0

// Package h2 answers viewers by HTTP/2: golang.org/x/net/http2 behind a connection
// that counts frames.
//
// It promises: a viewer that floods, with frames that cost it little and the edge
// much, is told so by GOAWAY and closed, whatever it does; one that only asks for much
// is not. Names, values and the target reach the pipeline as they were sent, and what
// the protocol forbids (RFC 9113 §8.2.2, §8.3) resets the stream or is answered 400
// and never reaches it. An answer that is not whole ends in a reset (D17.12). Nothing
// that a viewer controls is without a bound in bytes or time.
//
// It knows nothing of caching, hosts and TLS. What x/net decides by itself: fields are
// in no order of the viewer's, since it keeps them in a map; a target whose percent
// signs are no escapes resets the stream; an answer of 431 when a header is more than
// twice as long as the limit.
package h2

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/net/http2"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// Defaults of Config.
const (
	DefaultHeaderTimeout  = 10 * time.Second
	DefaultIdleTimeout    = 30 * time.Second
	DefaultBodyTimeout    = 20 * time.Second
	DefaultStallTimeout   = time.Minute
	DefaultMinBodyRate    = 1000
	DefaultMaxHeaderBytes = 32768 // D4.5
	DefaultMaxURLBytes    = 8192  // D4.5
	DefaultMaxFields      = 256
	DefaultMaxBodyBytes   = 64 << 30 // D4.8
)

// Bounds of what a connection may make the edge hold of request bodies that nobody has
// read yet.
const (
	streamWindow     = 256 << 10
	connectionWindow = 512 << 10
)

// frameSize is the longest payload that is read, the least that RFC 9113 §4.2 allows.
const frameSize = 16 << 10

// Config is what a Server needs. Zero values have the default that they name.
type Config struct {
	// Handler answers each request.
	Handler exchange.Handler
	// Refuser answers what is refused here. Default exchange.Plain.
	Refuser exchange.Refuser
	// Draining, when set, says whether viewers are to go elsewhere: each answer then
	// announces the end of its connection.
	Draining func() bool
	// Overloaded, when set, says that memory is short: the streams of requests are then
	// reset with REFUSED_STREAM. A viewer that does not take that for an answer, with as
	// many streams of a connection as may be open at once, is answered 503, and its
	// connection ends with that.
	Overloaded func() bool
	// HeaderTimeout bounds the time for a header block, IdleTimeout that without a
	// request.
	HeaderTimeout, IdleTimeout time.Duration
	// BodyTimeout bounds each wait for bytes of a request body. MinBodyRate, in bytes a
	// second, bounds all of them together: a viewer may keep the edge waiting for
	// BodyTimeout, and for a second more with each MinBodyRate bytes that it sends.
	BodyTimeout time.Duration
	MinBodyRate int
	// StallTimeout bounds the time in which a viewer takes nothing of an answer,
	// because of its windows or its connection.
	StallTimeout time.Duration
	// MaxHeaderBytes bounds request line and header as HTTP/1.1 would write them, and
	// MaxFields their number (494); MaxURLBytes the URL (414), MaxBodyBytes the body (413).
	MaxHeaderBytes, MaxURLBytes, MaxFields int
	MaxBodyBytes                           int64
	// Limits bound frames.
	Limits Limits
	Log    *slog.Logger
	Meter  metric.MeterProvider
}

func (c Config) withDefaults() Config {
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, DefaultHeaderTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, DefaultIdleTimeout)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, DefaultBodyTimeout)
	c.MinBodyRate = cmp.Or(c.MinBodyRate, DefaultMinBodyRate)
	c.StallTimeout = cmp.Or(c.StallTimeout, DefaultStallTimeout)
	c.MaxHeaderBytes = cmp.Or(c.MaxHeaderBytes, DefaultMaxHeaderBytes)
	c.MaxURLBytes = cmp.Or(c.MaxURLBytes, DefaultMaxURLBytes)
	c.MaxFields = cmp.Or(c.MaxFields, DefaultMaxFields)
	c.MaxBodyBytes = cmp.Or(c.MaxBodyBytes, DefaultMaxBodyBytes)
	if c.Refuser == nil {
		c.Refuser = exchange.Plain{}
	}
	if c.Limits.HeaderBytes == 0 {
		c.Limits.HeaderBytes = max(DefaultLimits().HeaderBytes, c.listBytes())
	}
	c.Limits = c.Limits.withDefaults()
	return c
}

// listBytes is where x/net cuts a header list itself. It counts 32 octets for each
// field, and has to leave what is a little too long to the 494 here.
func (c *Config) listBytes() int { return 2*c.MaxHeaderBytes + 32*c.MaxFields }

// Server answers viewers on connections that it is handed.
type Server struct {
	cfg     Config
	base    *http.Server  // what x/net reads its settings and the drain from
	http2   *http2.Server //nolint:staticcheck // net/http serves no connection that is not a *tls.Conn, so none that counts
	metrics *metrics

	mu      sync.Mutex // guards the rest
	open    map[net.Conn]struct{}
	gone    chan struct{} // closed when a Server that closes has no connections
	closing bool
}

// New returns a Server. It starts nothing.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	m, err := newMetrics(cfg.Meter)
	if err != nil {
		return nil, fmt.Errorf("metrics of HTTP/2: %w", err)
	}
	s := &Server{cfg: cfg, metrics: m, open: map[net.Conn]struct{}{}, gone: make(chan struct{})}
	s.base = &http.Server{
		MaxHeaderBytes: cfg.listBytes(),
		IdleTimeout:    cfg.IdleTimeout,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          int(cfg.Limits.Streams),
			MaxReadFrameSize:              frameSize,
			WriteByteTimeout:              cfg.StallTimeout,
			MaxReceiveBufferPerConnection: connectionWindow,
			MaxReceiveBufferPerStream:     streamWindow,
		},
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug), // strangers cause these lines
	}
	s.http2 = new(http2.Server)                                    //nolint:staticcheck // see above
	if err := http2.ConfigureServer(s.base, s.http2); err != nil { //nolint:staticcheck // see above
		return nil, fmt.Errorf("configure HTTP/2: %w", err)
	}
	return s, nil
}

// ServeConn answers requests on c, which has agreed on HTTP/2 and on which nothing was
// read, and returns when the connection is over and closed. The end of ctx cuts it.
func (s *Server) ServeConn(ctx context.Context, c net.Conn, peer exchange.Peer) {
	if !s.enter(c) {
		_ = c.Close() // too late
		return
	}
	defer s.leave(c)
	counted := newConn(c, &s.cfg.Limits, s.cfg.HeaderTimeout, func(r Reason) {
		s.metrics.ended(r)
		s.cfg.Log.DebugContext(ctx, "HTTP/2 connection ended for what the viewer sent",
			slog.String("reason", r.String()), slog.String("viewer", peer.Address.String()))
	})
	defer counted.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // it is given up
	defer stop()
	var shown net.Conn = counted
	if t, ok := c.(stater); ok {
		shown = secure{conn: counted, tls: t}
	}
	s.http2.ServeConn(shown, &http2.ServeConnOpts{ //nolint:staticcheck // see New
		Context:    ctx,
		BaseConfig: s.base,
		Handler:    &adapter{cfg: &s.cfg, metrics: s.metrics, peer: peer, refused: &counted.out.refused},
	})
}

func (s *Server) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Server) leave(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	s.end()
}

// end closes gone when nothing is left of a Server that closes. It is called with mu
// held.
func (s *Server) end() {
	if !s.closing || len(s.open) > 0 {
		return
	}
	select {
	case <-s.gone:
	default:
		close(s.gone)
	}
}

// Shutdown tells every viewer by GOAWAY to send no more requests, and returns when the
// answers under way are sent and all connections are closed. When ctx ends before, it
// cuts the rest and returns the error of ctx. ServeConn takes no connection after it.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.end()
	s.mu.Unlock()
	_ = s.base.Shutdown(ctx) // it has no connections of its own, and tells x/net
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close() // it had its time
	}
	s.mu.Unlock()
	<-s.gone
	return ctx.Err()
}
