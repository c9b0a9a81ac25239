// SPDX-License-Identifier: Apache-2.0

// Package distribution is the DistributionService: it checks what callers ask for,
// writes distributions with everything that has to be unique or referred to in one
// etcd transaction each, and tells how far a distribution has travelled. Any number
// of servers may run it side by side; none keeps state of its own.
package distribution

import (
	"context"
	"math"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/secretfield"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
)

// indexPatience is how long an answer waits for the index to take in the version
// that it shows (C9.46). A healthy watch needs milliseconds.
const indexPatience = 2 * time.Second

// Config is what the service works with. All fields but Secrets are required.
type Config struct {
	KV clientv3.KV
	// Origins resolves references to registered origins.
	Origins originv1.OriginServiceClient
	// Index is kept up to date by its owner.
	Index *deployment.Index
	// InProgress is how many invalidations of a distribution are in progress.
	InProgress func(id string) int
	// Requests remembers idempotency keys.
	Requests *records.Requests
	// Secrets are the cluster keys. Nil: secrets are refused.
	Secrets *secret.Keyring
	// Limits are those of each distribution. The base domain, which generated host names
	// lie in, has no leading dot.
	Limits rules.Limits
	// Most is how many distributions there may be, MostStaging how many of them may be
	// for staging (C4.4, C4.5); creators at the same moment may pass them by their number
	// (C8.63).
	Most, MostStaging int64
	// MostPerPolicy is how many distributions may refer to one custom policy, by its
	// kind (C4.30).
	MostPerPolicy map[keys.Collection]int64
	// Versions is how many versions of each distribution are kept, the present one
	// included; at least 1.
	Versions int64
}

// Server is a configv1.DistributionServiceServer.
type Server struct {
	configv1.UnimplementedDistributionServiceServer
	kv                clientv3.KV
	origins           originv1.OriginServiceClient
	index             *deployment.Index
	requests          *records.Requests
	secrets           *secret.Keyring
	inProgress        func(id string) int
	limits            rules.Limits
	most, mostStaging int64
	mostPerPolicy     map[keys.Collection]int64
	versions          int64
	count             *records.Counter
}

// New makes the service.
func New(c Config) *Server {
	return &Server{
		kv: c.KV, origins: c.Origins, index: c.Index, requests: c.Requests, secrets: c.Secrets, inProgress: c.InProgress, limits: c.Limits,
		most: c.Most, mostStaging: c.MostStaging, mostPerPolicy: c.MostPerPolicy, versions: c.Versions,
		count: records.NewCounter(c.KV, keys.Distributions.Prefix()),
	}
}

// GetDistribution returns one distribution.
func (s *Server) GetDistribution(ctx context.Context, req *configv1.GetDistributionRequest) (*configv1.GetDistributionResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	id, err := parseName("name", req.GetName())
	if err != nil {
		return nil, err
	}
	stored, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return &configv1.GetDistributionResponse{Distribution: s.show(ctx, stored, 0)}, nil
}

// stored is a distribution as etcd has it.
type stored struct {
	id      string
	version records.Version
	d       *configv1.Distribution
	secrets records.Secrets // sealed, for an update to keep
}

// read reads a distribution; one that does not exist is an error.
func (s *Server) read(ctx context.Context, id string) (*stored, error) {
	out := &stored{id: id, d: &configv1.Distribution{}}
	version, sealed, found, err := records.GetWithSecrets(ctx, s.kv, keys.Resource(keys.Distributions, id), out.d)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, noSuchDistribution(id)
	}
	out.version, out.secrets = version, sealed
	return out, nil
}

// show returns a copy with the computed fields. want is the revision that the
// deployment is about, 0 for the newest. It waits for the index within ctx and
// indexPatience; without it the distribution is not known to be deployed.
func (s *Server) show(ctx context.Context, st *stored, want int64) *configv1.Distribution {
	answer := s.deployment(ctx, deployment.Question{ID: st.id, Revision: st.version.ModRevision, Want: want})
	out := proto.CloneOf(st.d)
	secretfield.Strip(out) // those of the request that made it (C9.42)
	out.Etag, out.Version = st.version.ETag(), st.version.Generation
	out.InvalidationsInProgress = int32(min(s.inProgress(st.id), math.MaxInt32)) //nolint:gosec // bounded
	out.Deployment = answer.Deployment
	out.Reconciling = !answer.Deployed()
	out.Conditions = []*commonv1.Condition{answer.Converged}
	return out
}

// result is the distribution of an outcome as the caller gets it: of what was only
// checked, there is no version and no deployment.
func (s *Server) result(ctx context.Context, out *outcome) *configv1.Distribution {
	if out.dry {
		d := proto.CloneOf(out.st.d)
		clearOutput(d)
		secretfield.Strip(d)
		return d
	}
	return s.show(ctx, out.st, 0)
}

func (s *Server) deployment(ctx context.Context, q deployment.Question) deployment.Answer {
	ctx, cancel := context.WithTimeout(ctx, indexPatience)
	defer cancel()
	if !s.index.Reach(ctx, q.Revision) {
		return deployment.Behind(q)
	}
	return s.index.Of(q)
}

// clearOutput removes what callers cannot set and what is computed on every read.
func clearOutput(d *configv1.Distribution) {
	d.Etag, d.Version, d.Reconciling, d.Deployment, d.Conditions = "", 0, false, nil, nil
	d.InvalidationsInProgress, d.ActiveKeyGroups = 0, nil
}

// advice is what is legal in d and probably not meant, with field paths from the
// request.
func advice(prefix string, d *configv1.Distribution, deps dependencies) []string {
	var out []string
	for _, w := range append(rules.Warnings(d, deps.origins), rules.PolicyWarnings(d, deps.policies, deps.requests)...) {
		out = append(out, prefix+w)
	}
	return out
}
