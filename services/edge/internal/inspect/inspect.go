// SPDX-License-Identifier: Apache-2.0

// Package inspect tells what a cache holds and why: CacheService, and the same for the
// page /debug/key.
//
// It promises: a request that is inspected takes the steps of the pipeline itself, changes
// nothing that is stored, is not counted among those of viewers, and asks no origin; after Close
// nothing looks into the store any more. It knows nobody's rights: the server that it is
// registered at does.
package inspect

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/pipeline"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// Config is what a Service looks at. Everything is required.
type Config struct {
	// Edge is the id of the edge.
	Edge string
	// Pipeline takes the steps, and counts.
	Pipeline Steps
	Store    *store.Store
	// Loaded says whether there is a configuration.
	Loaded func() bool
	// Started is when the counters began.
	Started time.Time
}

// Steps is what a Service needs of a pipeline; *pipeline.Pipeline is one.
type Steps interface {
	Explain(ctx context.Context, req *exchange.Request) pipeline.Explanation
	Counts() pipeline.Counts
	Fills() fill.Stats
}

// Service answers CacheService. It is safe for concurrent use.
type Service struct {
	edgev1.UnimplementedCacheServiceServer
	cfg Config

	mu     sync.RWMutex // held by who looks into the store
	closed bool
}

// New returns a Service. It starts nothing.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Register adds the service to a server.
func (s *Service) Register(to grpc.ServiceRegistrar) { edgev1.RegisterCacheServiceServer(to, s) }

// Run says that the service can answer, and waits for the end of ctx.
func (s *Service) Run(ctx context.Context, serving func(bool)) error {
	serving(true)
	<-ctx.Done()
	return nil
}

// Close waits for the calls under way and refuses all that come later: the store is about
// to be closed.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// open lets the caller look into the store until it calls leave.
func (s *Service) open() (leave func(), err error) {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return nil, apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "the edge is being stopped")
	}
	return s.mu.RUnlock, nil
}

// GetCacheStats is part of CacheService.
func (s *Service) GetCacheStats(context.Context, *edgev1.GetCacheStatsRequest) (*edgev1.GetCacheStatsResponse, error) {
	leave, err := s.open()
	if err != nil {
		return nil, err
	}
	defer leave()
	fills := s.cfg.Pipeline.Fills()
	return &edgev1.GetCacheStatsResponse{Stats: &edgev1.CacheStats{
		Edge: "edges/" + s.cfg.Edge, StartTime: timestamppb.New(s.cfg.Started),
		Tiers: tiers(s.cfg.Store.Stats()), Lookups: lookups(s.cfg.Pipeline.Counts()),
		Fills: fills.Fills, FillBytes: fills.Bytes,
	}}, nil
}

// InspectRequest is part of CacheService.
func (s *Service) InspectRequest(ctx context.Context, req *edgev1.InspectRequestRequest) (*edgev1.InspectRequestResponse, error) {
	r, bad := parse(req)
	if e := apierr.BadFields(bad); e != nil {
		return nil, e
	}
	leave, err := s.open()
	if err != nil {
		return nil, err
	}
	defer leave()
	return &edgev1.InspectRequestResponse{Inspection: s.inspect(ctx, r)}, nil
}
