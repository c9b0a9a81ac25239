// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/seafront-cdn/seafront/pkg/audit"
	"github.com/seafront-cdn/seafront/pkg/auth"
)

// defaultGrace is how long calls may go on after the end was announced.
const defaultGrace = 10 * time.Second

// ServerConfig is what a server reports to, whom it lets in and how long it takes to
// end. Its zero value reports nowhere and lets everybody in: who serves others than
// itself sets Guard.
type ServerConfig struct {
	Log    *slog.Logger
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// TLS, when set, encrypts what comes over a network; see ServerTLS.
	TLS *tls.Config
	// Guard decides who may call what. Nil: nobody is asked who they are.
	Guard *auth.Guard
	// Audit gets a line of each call but those of health checks. Nil: nobody does.
	Audit *audit.Log
	// Grace bounds the shutdown. Default 10 s. Unary calls have four fifths of it to
	// finish; then their contexts end, and at its end connections are cut.
	Grace time.Duration
}

// server is one gRPC server with the parts behind it.
type server struct {
	log    *slog.Logger
	grace  time.Duration
	access *auth.Guard
	audit  *audit.Log
	grpc   *grpc.Server
	health *conditions
	drain  *drain
}

// Serve answers on all listeners with all parts until ctx ends or a part or listener
// fails, and closes the listeners. The end comes in this order: health turns to
// NOT_SERVING, contexts of streams end (their callers get UNAVAILABLE), unary calls
// finish, and then the context of the parts' Run ends. It returns nil when nothing
// but ctx was the cause.
func Serve(ctx context.Context, cfg ServerConfig, listeners []net.Listener, parts ...Part) error {
	s := newServer(cfg)
	// Parts work until the last call has ended, so their context is not ctx.
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	running, work := errgroup.WithContext(work)
	run := make([]func() error, 0, len(parts))
	for _, part := range parts {
		services := &named{ServiceRegistrar: s.grpc}
		part.Register(services)
		serving := s.health.add(services.names)
		run = append(run, func() error { return ended(work, part.Run(work, serving)) })
	}
	reflection.Register(s.grpc) // after the parts: it lists what is there
	for _, r := range run {
		running.Go(r)
	}
	for _, l := range listeners {
		running.Go(func() error { return s.serve(l) })
	}
	running.Go(func() error {
		select {
		case <-ctx.Done():
		case <-work.Done(): // a part or a listener failed
		}
		s.stop()
		stopWork()
		return nil
	})
	return running.Wait()
}

func newServer(cfg ServerConfig) *server {
	s := &server{
		log:    cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		grace:  cmp.Or(cfg.Grace, defaultGrace),
		access: cfg.Guard,
		audit:  cfg.Audit,
		health: newConditions(),
		drain:  newDrain(),
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(newDoors(cfg.TLS)),
		grpc.StatsHandler(otelgrpc.NewServerHandler(instruments(cfg.Tracer, cfg.Meter)...)),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.stream),
		grpc.UnknownServiceHandler(unknown),
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: leastPingPause, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true), // Serve returns when nothing of it runs any more
	)
	healthpb.RegisterHealthServer(s.grpc, s.health.server)
	return s
}

// ended is what a part's Run returned, without the end of its context.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (s *server) serve(l net.Listener) error {
	err := s.grpc.Serve(l)
	if err == nil || errors.Is(err, grpc.ErrServerStopped) { // the end was faster than the start
		return nil
	}
	return fmt.Errorf("serve gRPC on %s: %w", l.Addr(), err)
}

// stop ends all calls, kindly as long as the grace lasts.
func (s *server) stop() {
	s.health.server.Shutdown()
	s.drain.endStreams()
	done := make(chan struct{})
	var hurry sync.WaitGroup
	hurry.Go(func() {
		if !within(done, s.grace*4/5) {
			s.drain.endCalls()
		}
		if !within(done, s.grace/5) {
			s.grpc.Stop()
		}
	})
	s.grpc.GracefulStop()
	close(done)
	hurry.Wait()
}

// within says whether done is closed before d has passed.
func within(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
