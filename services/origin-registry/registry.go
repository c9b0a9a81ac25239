// SPDX-License-Identifier: Apache-2.0

// Package originregistry is the origin registry: it keeps the servers and buckets
// that distributions refer to by name (C1.29, C5.33 to C5.38), and serves
// seafront.origin.v1.OriginService; beside it, seafront.origin.v1.OriginAccessControlService. It is stateless; any number of replicas may run
// on one etcd, and every invariant is a condition of the transaction that writes. It
// promises that an origin which anything refers to is not deleted, and not changed
// so that a distribution which refers to it becomes invalid. It writes no key but
// those of origins, and decides nothing about behaviors: rules between origins and
// distributions are those of package rules.
package originregistry

import (
	"cmp"
	"context"
	"log/slog"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/origin-registry/internal/accesscontrol"
)

// DefaultMaxOrigins is how many origins there may be unless the configuration says
// otherwise (C4.66).
const DefaultMaxOrigins = 100_000

// DefaultMaxAccessControls is how many origin access controls there may be unless the
// configuration says otherwise (C4.18).
const DefaultMaxAccessControls = 100

// Config is what a registry needs.
type Config struct {
	// Etcd is the store. The caller closes it after Run has ended.
	Etcd *clientv3.Client
	// Secrets are the cluster keys. Nil: secrets are refused.
	Secrets *secret.Keyring
	// MaxOrigins is how many origins there may be; 0 means DefaultMaxOrigins. It is
	// soft: concurrent creators may pass it by their number (C8.63).
	MaxOrigins int64
	// MaxAccessControls is how many origin access controls there may be; 0 means
	// DefaultMaxAccessControls.
	MaxAccessControls int64
	// MaxCustomHeaders is how many custom headers an origin may have; 0 means
	// rules.MaxCustomHeaders (C4.16).
	MaxCustomHeaders int64
	// Log may be nil: nobody reads it.
	Log *slog.Logger
}

// Service is one replica of the registry. It is a part of an rpc server.
type Service struct {
	originv1.UnimplementedOriginServiceServer
	kv       clientv3.KV
	log      *slog.Logger
	secrets  *secret.Keyring
	quota    int64
	headers  int // custom ones of an origin
	count    *records.Counter
	requests *records.Requests
	controls *accesscontrol.Server
}

// New makes a registry. It starts nothing.
func New(c Config) *Service {
	requests := records.NewRequests(c.Etcd)
	return &Service{
		kv:       c.Etcd,
		requests: requests,
		log:      cmp.Or(c.Log, slog.New(slog.DiscardHandler)),
		secrets:  c.Secrets,
		quota:    cmp.Or(c.MaxOrigins, DefaultMaxOrigins),
		headers:  int(cmp.Or(c.MaxCustomHeaders, rules.MaxCustomHeaders)),
		count:    records.NewCounter(c.Etcd, keys.Origins.Prefix()),
		controls: accesscontrol.New(c.Etcd, requests, cmp.Or(c.MaxAccessControls, DefaultMaxAccessControls)),
	}
}

// Register adds the gRPC services.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	originv1.RegisterOriginServiceServer(r, s)
	originv1.RegisterOriginAccessControlServiceServer(r, s.controls)
}

// Run reports whether the registry can answer: it can while etcd has a quorum. It
// blocks until ctx ends. The error is that of an etcd which is set up for smaller
// transactions than Seafront needs (C8.61).
func (s *Service) Run(ctx context.Context, serving func(bool)) error {
	return records.Available(ctx, s.kv, func(answers bool) {
		if answers {
			s.log.InfoContext(ctx, "etcd answers: origin registry is serving")
		} else {
			s.log.WarnContext(ctx, "etcd does not answer: origin registry is not serving")
		}
		serving(answers)
	})
}
