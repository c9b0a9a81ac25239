// SPDX-License-Identifier: Apache-2.0

// Package viewer is the edge's face to viewers: listeners, TLS, and the adapter from
// net/http to package exchange (design 3.7).
//
// It promises: the request target reaches the pipeline byte for byte; an answer that
// is not whole is seen as such by the viewer (D17.12); each piece of a stream is on
// its way before the next is asked for; whoever stops reading, and whoever opens too
// many connections, is cut. It knows no rule of the CDN but the HTTP version of a
// distribution. What net/http refuses by itself (400, 431, 501, in plain text), the
// order of header lines and their spelling towards the pipeline are net/http's.
package viewer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// maxHead is where net/http itself refuses a request: above the pipeline's own bound,
// so that the pipeline answers 414 and 494 (D4.6).
const maxHead = 64 << 10

// maxStreams is how many requests one HTTP/2 connection may have under way.
const maxStreams = 128

// Defaults of Config.
const (
	DefaultHeaderTimeout = 10 * time.Second
	DefaultIdleTimeout   = 30 * time.Second // D22.9
	DefaultStallTimeout  = time.Minute
	DefaultGrace         = 10 * time.Second
)

// Config is what a Server needs. Zero times have the default that they name.
type Config struct {
	// Handler answers each request.
	Handler interface {
		Serve(ctx context.Context, req *exchange.Request, to exchange.Sender)
	}
	// Snapshots tells which HTTP versions a name may use.
	Snapshots interface{ Current() *snapshot.Snapshot }
	// Draining, when set, says whether viewers are to go elsewhere: each connection then
	// ends after the answer that it waits for, HTTP/2 with those that are under way.
	Draining func() bool
	// Certificate is shown to every viewer.
	Certificate *Certificate
	// HeaderTimeout bounds a TLS handshake and the head of a request, IdleTimeout the
	// wait for the next request.
	HeaderTimeout, IdleTimeout time.Duration
	// StallTimeout bounds the time in which a viewer takes nothing of an answer.
	StallTimeout time.Duration
	// Grace bounds the time for answers under way when Run is to end.
	Grace time.Duration
	// MaxConnections bounds the connections in all, MaxPerAddress those from one
	// IPv4 address or IPv6 /64. One more is closed at once. 0 is no bound.
	MaxConnections, MaxPerAddress int
	Log                           *slog.Logger
	Meter                         metric.MeterProvider
}

// Server answers viewers.
type Server struct {
	cfg   Config
	http  *http.Server
	guard *guard
}

// New returns a Server. It starts nothing.
func New(cfg Config) (*Server, error) {
	cfg.HeaderTimeout = cmp.Or(cfg.HeaderTimeout, DefaultHeaderTimeout)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, DefaultIdleTimeout)
	cfg.StallTimeout = cmp.Or(cfg.StallTimeout, DefaultStallTimeout)
	cfg.Grace = cmp.Or(cfg.Grace, DefaultGrace)
	guard, err := newGuard(cfg.MaxConnections, cfg.MaxPerAddress, cfg.Meter)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, guard: guard}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // over TLS only (D1.2)
	s.http = &http.Server{
		Handler:                      s,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the pipeline's to refuse
		TLSConfig:                    serverTLS(cfg.Certificate, cfg.Snapshots),
		ReadHeaderTimeout:            cfg.HeaderTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		MaxHeaderBytes:               maxHead,
		Protocols:                    protocols,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: cfg.StallTimeout},
		ErrorLog:                     slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug), // strangers cause these lines
	}
	return s, nil
}

// Run answers on both listeners, which it closes, until ctx ends. Then it takes no
// more connections, finishes answers under way for the time of grace, and cuts the
// rest.
func (s *Server) Run(ctx context.Context, plain, secure net.Listener) error {
	defer s.guard.close()
	g, ended := errgroup.WithContext(ctx)
	g.Go(func() error { return served(plain, s.http.Serve(s.guard.listen(plain))) })
	g.Go(func() error { return served(secure, s.http.ServeTLS(s.guard.listen(secure), "", "")) })
	g.Go(func() error { return s.cfg.Certificate.keep(ended, s.cfg.Log) })
	g.Go(func() error {
		<-ended.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ended), s.cfg.Grace)
		defer cancel()
		if err := s.http.Shutdown(grace); err != nil {
			s.cfg.Log.WarnContext(ctx, "answers are cut: they took longer than the time of grace")
			return s.http.Close()
		}
		return nil
	})
	return g.Wait()
}

func served(l net.Listener, err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve viewers on %s: %w", l.Addr(), err)
}

// ServeHTTP adapts one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := &sender{w: w, control: http.NewResponseController(w), request: r, stall: s.cfg.StallTimeout, draining: s.cfg.Draining}
	s.cfg.Handler.Serve(r.Context(), request(r), to)
	if !to.whole {
		to.abort()
	}
}
