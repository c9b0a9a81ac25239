// SPDX-License-Identifier: Apache-2.0

// Package viewer is the edge's face to viewers: listeners, who may connect, the PROXY
// protocol, TLS, and which protocol serves a connection.
//
// It promises: who opens too many connections, or comes while memory is short, is
// closed at once; a handshake has a bound; a connection is counted until it is closed;
// when the edge is to end, connections that wait are closed, answers under way are
// finished within the time of grace, and the rest is cut. It knows nothing of requests
// and answers: packages http1 and h2 do, on the exchange that they are given.
package viewer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/h2"
	"github.com/seafront-cdn/seafront/services/edge/internal/http1"
	"github.com/seafront-cdn/seafront/services/edge/internal/proxyproto"
	"github.com/seafront-cdn/seafront/services/edge/internal/sni"
)

// Defaults of Config.
const (
	DefaultHeaderTimeout = 10 * time.Second
	DefaultGrace         = 10 * time.Second
)

// Config is what a Server needs. Zero values have the default of packages http1 and h2.
type Config struct {
	// Handler answers each request.
	Handler exchange.Handler
	// Refuser answers what never becomes a request. Default exchange.Plain.
	Refuser exchange.Refuser
	// Snapshots tells which certificate and which HTTP versions go with a name.
	Snapshots interface{ Current() *snapshot.Snapshot }
	// Draining, when set, says whether viewers are to go elsewhere: each connection then
	// ends after the answer that it waits for, HTTP/2 with those that are under way.
	Draining func() bool
	// Overloaded, when set, says that memory is short: new connections are closed at
	// once, and HTTP/2 takes no new requests.
	Overloaded func() bool
	// ProxyNetworks are those whose connections begin with a PROXY header, which names
	// the viewer.
	ProxyNetworks []netip.Prefix
	// Certificate is shown to viewers that name none with a certificate of its own.
	Certificate *Certificate
	// MaxConnections bounds the connections in all, MaxPerAddress those from one
	// IPv4 address or IPv6 /64. One more is closed at once. 0 is no bound.
	MaxConnections, MaxPerAddress int
	// Grace bounds the time for answers under way when Run is to end.
	Grace time.Duration
	Limits
	Log   *slog.Logger
	Meter metric.MeterProvider
}

// Limits bound what a viewer on a connection may do. Package http1 says what each means.
type Limits struct {
	// HeaderTimeout also bounds a TLS handshake.
	HeaderTimeout, IdleTimeout, BodyTimeout, StallTimeout, TunnelTimeout, LeaveGrace time.Duration
	MinBodyRate                                                                      int
	MaxHeaderBytes, MaxURLBytes, MaxFields, MaxRequests                              int
	MaxBodyBytes                                                                     int64
}

// Server answers viewers.
type Server struct {
	cfg     Config
	guard   *guard
	proxies *proxyproto.Reader
	http1   *http1.Server
	http2   *h2.Server
	conns   sync.WaitGroup
}

// New returns a Server. It starts nothing.
func New(cfg Config) (*Server, error) {
	cfg.HeaderTimeout = cmp.Or(cfg.HeaderTimeout, DefaultHeaderTimeout)
	cfg.Grace = cmp.Or(cfg.Grace, DefaultGrace)
	s := &Server{cfg: cfg}
	var errs [4]error
	s.guard, errs[0] = newGuard(cfg.MaxConnections, cfg.MaxPerAddress, cfg.Overloaded, cfg.Meter)
	s.http1, errs[1] = http1.New(http1.Config{
		Handler: cfg.Handler, Refuser: cfg.Refuser, Draining: cfg.Draining,
		HeaderTimeout: cfg.HeaderTimeout, IdleTimeout: cfg.IdleTimeout, BodyTimeout: cfg.BodyTimeout, MinBodyRate: cfg.MinBodyRate,
		StallTimeout: cfg.StallTimeout, TunnelTimeout: cfg.TunnelTimeout, LeaveGrace: cfg.LeaveGrace,
		MaxHeaderBytes: cfg.MaxHeaderBytes, MaxURLBytes: cfg.MaxURLBytes, MaxFields: cfg.MaxFields,
		MaxBodyBytes: cfg.MaxBodyBytes, MaxRequests: cfg.MaxRequests, Log: cfg.Log, Meter: cfg.Meter,
	})
	s.http2, errs[2] = h2.New(h2.Config{
		Handler: cfg.Handler, Refuser: cfg.Refuser, Draining: cfg.Draining, Overloaded: cfg.Overloaded,
		HeaderTimeout: cfg.HeaderTimeout, IdleTimeout: cfg.IdleTimeout, BodyTimeout: cfg.BodyTimeout, MinBodyRate: cfg.MinBodyRate,
		StallTimeout: cfg.StallTimeout, MaxHeaderBytes: cfg.MaxHeaderBytes, MaxURLBytes: cfg.MaxURLBytes, MaxFields: cfg.MaxFields,
		MaxBodyBytes: cfg.MaxBodyBytes, Log: cfg.Log, Meter: cfg.Meter,
	})
	s.proxies, errs[3] = proxyproto.New(proxyproto.Config{Networks: cfg.ProxyNetworks, Timeout: cfg.HeaderTimeout, Meter: cfg.Meter})
	return s, errors.Join(errs[:]...)
}

// Run answers on both listeners, which it closes, until ctx ends. Then it takes no
// more connections, finishes answers under way for the time of grace, and cuts the
// rest.
func (s *Server) Run(ctx context.Context, plain, secure net.Listener) error {
	defer s.guard.close()
	defer s.http1.Close()
	serving, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	g, ended := errgroup.WithContext(ctx)
	g.Go(func() error { return s.accept(serving, plain, s.serve) })
	g.Go(func() error {
		return s.accept(serving, secure, s.shake(sni.New(s.cfg.Snapshots, s.cfg.Certificate.current.Load)))
	})
	g.Go(func() error { return s.cfg.Certificate.keep(ended, s.cfg.Log) })
	g.Go(func() error {
		<-ended.Done()
		return errors.Join(endAccepting(plain), endAccepting(secure))
	})
	err := g.Wait()
	s.drain(ctx, cut)
	s.conns.Wait()
	if err != nil {
		return fmt.Errorf("serve viewers: %w", err)
	}
	return nil
}

// drain waits for the answers under way, and calls cut when their time is over.
func (s *Server) drain(ctx context.Context, cut func()) {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer cancel()
	defer context.AfterFunc(grace, cut)()
	var both errgroup.Group
	both.Go(func() error { return s.http1.Shutdown(grace) })
	both.Go(func() error { return s.http2.Shutdown(grace) })
	if both.Wait() != nil {
		s.cfg.Log.WarnContext(ctx, "answers are cut: they took longer than the time of grace")
	}
	cut() // what is left has not begun: handshakes
}
