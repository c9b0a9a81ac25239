// SPDX-License-Identifier: Apache-2.0

// Package config is the config service: it owns distributions, cache policies and
// invalidations, and answers whether a change has arrived at the edges. It is stateless: any number
// of replicas run side by side, and all agreement between them is an etcd
// transaction. It never serves viewers and never talks to origins.
package config

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/canary"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/canarypolicy"
	"github.com/seafront-cdn/seafront/services/config/internal/certificate"
	"github.com/seafront-cdn/seafront/services/config/internal/completion"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
	"github.com/seafront-cdn/seafront/services/config/internal/distribution"
	"github.com/seafront-cdn/seafront/services/config/internal/fleet"
	"github.com/seafront-cdn/seafront/services/config/internal/function"
	"github.com/seafront-cdn/seafront/services/config/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/config/internal/keygroup"
	"github.com/seafront-cdn/seafront/services/config/internal/keyvaluestore"
	"github.com/seafront-cdn/seafront/services/config/internal/policy"
	"github.com/seafront-cdn/seafront/services/config/internal/publickey"
	"github.com/seafront-cdn/seafront/services/config/internal/realtimelog"
)

// What applies unless the configuration says otherwise.
const (
	DefaultMaxDistributions = 100_000 // C4.4
	DefaultVersions         = 5       // design §5
)

// MostVersions bounds the depth: a listing reads them all.
const MostVersions = 100

// Config is what the service works with.
type Config struct {
	// Etcd is the store. It stays open until Run has returned.
	Etcd *clientv3.Client
	// Origins is the origin registry.
	Origins originv1.OriginServiceClient
	// BaseDomain is the domain of generated host names, for example
	// seafront.localhost.
	BaseDomain string
	// Secrets are the cluster keys. Nil: secrets are refused.
	Secrets *secret.Keyring
	// MaxDistributions is how many distributions there may be; 0 means
	// DefaultMaxDistributions.
	MaxDistributions int64
	// Versions is how many versions of each distribution are kept, the present one
	// included; 0 means DefaultVersions.
	Versions int64
	// Limits are the other quotas.
	Limits Limits
	// CanaryHeaderPrefix is what the headers of continuous deployment policies begin
	// with; empty means canary.DefaultHeaderPrefix.
	CanaryHeaderPrefix string
	// InvalidationRetention is how long an invalidation is kept at least; 0 means
	// DefaultInvalidationRetention. Edges rely on that: one that was away for less than
	// the default keeps its cache (C8.86).
	InvalidationRetention time.Duration
	// Log may be nil: nobody reads it.
	Log *slog.Logger
	// Meter gets the service's figures. Nil: nobody does.
	Meter metric.MeterProvider
}

// Service is the config service. It is an rpc.Part.
type Service struct {
	cfg           Config
	index         *deployment.Index
	distributions *distribution.Server
	cache         *policy.Cache
	request       *policy.OriginRequest
	response      *policy.ResponseHeaders
	publicKeys    *publickey.Server
	keyGroups     *keygroup.Server
	certificates  *certificate.Server
	functions     *function.Server
	stores        *keyvaluestore.Server
	logs          *realtimelog.Server
	canaries      *canarypolicy.Server
	invalidations *invalidation.Server
	completions   *completion.Index
	edges         *fleet.Server
}

// New makes the service. Nothing runs before Run.
func New(cfg Config) *Service {
	cfg.MaxDistributions = cmp.Or(cfg.MaxDistributions, DefaultMaxDistributions)
	cfg.Versions = cmp.Or(cfg.Versions, DefaultVersions)
	cfg.CanaryHeaderPrefix = cmp.Or(cfg.CanaryHeaderPrefix, canary.DefaultHeaderPrefix)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	limits := cfg.Limits.filled()
	requests := records.NewRequests(cfg.Etcd)
	index := deployment.New()
	completions := completion.NewIndex(index.Registered)
	return &Service{
		cfg:   cfg,
		index: index,
		distributions: distribution.New(distribution.Config{
			KV: cfg.Etcd, Origins: cfg.Origins, Index: index, Requests: requests, Secrets: cfg.Secrets,
			InProgress: func(id string) int { return completions.InProgress(id).Invalidations },
			Limits:     limits.distribution(cfg.BaseDomain),
			Most:       cfg.MaxDistributions, MostStaging: limits.StagingDistributions, MostPerPolicy: limits.perPolicy(), Versions: cfg.Versions,
		}),
		cache:         policy.NewCache(cfg.Etcd, requests, limits.CachePolicies, limits.cacheItems()),
		request:       policy.NewOriginRequest(cfg.Etcd, requests, limits.OriginRequestPolicies, limits.requestItems()),
		response:      policy.NewResponseHeaders(cfg.Etcd, requests, limits.ResponseHeadersPolicies, limits.response()),
		publicKeys:    publickey.New(cfg.Etcd, requests, limits.PublicKeys),
		keyGroups:     keygroup.New(cfg.Etcd, requests, limits.KeyGroups, int(limits.PublicKeysPerGroup)),
		certificates:  certificate.New(cfg.Etcd, requests, limits.Certificates, cfg.Secrets),
		functions:     function.New(cfg.Etcd, requests, limits.Functions, int(limits.FunctionBytes)),
		stores:        keyvaluestore.New(cfg.Etcd, requests, limits.KeyValueStores, limits.KeyValueStoreBytes),
		logs:          realtimelog.New(cfg.Etcd, requests, limits.RealtimeLogConfigs),
		canaries:      canarypolicy.New(cfg.Etcd, requests, limits.ContinuousDeploymentPolicies, cfg.CanaryHeaderPrefix),
		invalidations: invalidations(cfg, limits, requests, completions),
		completions:   completions,
		edges:         fleet.New(cfg.Etcd, index),
	}
}

// Register adds the gRPC services.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	configv1.RegisterDistributionServiceServer(r, s.distributions)
	configv1.RegisterCachePolicyServiceServer(r, s.cache)
	configv1.RegisterOriginRequestPolicyServiceServer(r, s.request)
	configv1.RegisterResponseHeadersPolicyServiceServer(r, s.response)
	configv1.RegisterPublicKeyServiceServer(r, s.publicKeys)
	configv1.RegisterKeyGroupServiceServer(r, s.keyGroups)
	configv1.RegisterCertificateServiceServer(r, s.certificates)
	configv1.RegisterFunctionServiceServer(r, s.functions)
	configv1.RegisterKeyValueStoreServiceServer(r, s.stores)
	configv1.RegisterRealtimeLogConfigServiceServer(r, s.logs)
	configv1.RegisterContinuousDeploymentPolicyServiceServer(r, s.canaries)
	configv1.RegisterInvalidationServiceServer(r, s.invalidations)
	edgev1.RegisterEdgeServiceServer(r, s.edges)
}

// Run follows etcd until ctx ends, and returns nil then. It serves while etcd has a
// quorum and the index is loaded. An error means that this etcd will never do.
func (s *Service) Run(ctx context.Context, serving func(bool)) error {
	unobserve, err := s.observe()
	if err != nil {
		return err
	}
	defer unobserve()
	health := newHealth()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return records.Available(ctx, s.cfg.Etcd, health.store) })
	g.Go(func() error {
		health.run(ctx, s.cfg.Log, serving)
		return nil
	})
	g.Go(func() error {
		every(ctx, tick, func() {
			s.index.Tick(time.Now())
			s.completions.Tick()
		})
		return nil
	})
	g.Go(func() error {
		every(ctx, tick, func() { s.beat(ctx, time.Now()) })
		return nil
	})
	g.Go(func() error {
		latcher := completion.Latcher{KV: s.cfg.Etcd, Index: s.completions, Log: s.cfg.Log}
		latcher.Run(ctx)
		return nil
	})
	g.Go(func() error { return s.follow(ctx, health.loaded) })
	return g.Wait()
}

// follow keeps the index up to date until ctx ends. loaded is called after each step.
func (s *Service) follow(ctx context.Context, loaded func()) error {
	// The data set has a name before anything is read under it.
	if !s.nameDataSet(ctx) {
		return nil
	}
	return mirror.Run(ctx, s.cfg.Etcd, mirror.Config{
		From: keys.EdgeFrom, To: keys.ConfigTo, EpochKey: keys.Epoch, Keys: s.keys,
		Failed: func(err error) {
			s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "watch of etcd lost", slog.Any("error", etcd.Explain(err)))
		},
	}, func(b mirror.Batch) {
		s.index.Apply(b, time.Now())
		s.completions.Apply(b)
		loaded()
	})
}
