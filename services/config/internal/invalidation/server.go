// SPDX-License-Identifier: Apache-2.0

// Package invalidation is the InvalidationService: it checks what callers ask for,
// writes each invalidation in one etcd transaction, so that its revision orders it
// against every other change, and tells which edges obey it. Any number of servers may
// run it side by side; none keeps state of its own.
//
// It promises that a caller reference makes one invalidation in its distribution for as
// long as that invalidation exists, and that an invalidation shown as completed is never
// shown as in progress again, by whichever server. It asks nothing of edges and does not
// decide when an invalidation is completed: package completion does.
package invalidation

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/completion"
)

// indexPatience is how long an answer waits for the index to take in the invalidation
// that it shows (C9.46). A healthy watch needs milliseconds.
const indexPatience = 2 * time.Second

// Config is what the service works with. All fields are required.
type Config struct {
	KV clientv3.KV
	// Lease is of the same store as KV.
	Lease clientv3.Lease
	// Requests remembers idempotency keys.
	Requests *records.Requests
	// Index is kept up to date by its owner.
	Index *completion.Index
	// Limits are the quotas of a distribution; callers at the same moment may pass them
	// by what they ask for (C8.63).
	Limits rules.InvalidationLimits
	// Retention is how long an invalidation is kept at least. An edge that was away for
	// longer drops its cache (C8.86).
	Retention time.Duration
}

// bucket is for how long the invalidations of one server share a lease, unless they are
// kept for less than a day: one lease for a day would end in a burst of deletions
// (C8.87).
const bucket = time.Hour

// Server is a configv1.InvalidationServiceServer.
type Server struct {
	configv1.UnimplementedInvalidationServiceServer
	kv        clientv3.KV
	requests  *records.Requests
	index     *completion.Index
	limits    rules.InvalidationLimits
	retention *records.SharedLease
}

// New makes the service.
func New(c Config) *Server {
	return &Server{kv: c.KV, requests: c.Requests, index: c.Index, limits: c.Limits, retention: records.NewSharedLease(c.Lease, c.Retention, min(bucket, c.Retention/24))}
}

// GetInvalidation returns one invalidation.
func (s *Server) GetInvalidation(ctx context.Context, req *configv1.GetInvalidationRequest) (*configv1.GetInvalidationResponse, error) {
	id, err := parse(req.GetName(), nil)
	if err != nil {
		return nil, err
	}
	st, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return &configv1.GetInvalidationResponse{Invalidation: s.show(ctx, st)}, nil
}

// parse returns the ids in the name of an invalidation; bad is what else is wrong with
// the request.
func parse(name string, bad []rules.Violation) (completion.ID, error) {
	distribution, id, vs := rules.ParseInvalidationName("name", name)
	return completion.ID{Distribution: distribution, Invalidation: id}, collection.BadFields("", append(vs, bad...))
}

// stored is an invalidation as etcd has it.
type stored struct {
	id      completion.ID
	version records.Version
	inv     *configv1.Invalidation
	done    *storev1.Completion // nil while it is in progress
}

func (st *stored) name() string {
	return keys.InvalidationName(st.id.Distribution, st.id.Invalidation)
}

// read reads an invalidation and its completion as they are at one moment.
func (s *Server) read(ctx context.Context, id completion.ID) (*stored, error) {
	st, err := s.find(ctx, id)
	if err == nil && st == nil {
		return nil, s.missing(ctx, id)
	}
	return st, err
}

// find is read, and nil for what does not exist.
func (s *Server) find(ctx context.Context, id completion.ID) (*stored, error) {
	var out *stored
	record := keys.Invalidation(id.Distribution, id.Invalidation)
	names := []string{record, keys.Completion(id.Distribution, id.Invalidation)}
	err := records.Each(ctx, s.kv, names, 0, func(item records.Item) error {
		if item.Key == record {
			out = &stored{id: id, version: item.Version, inv: &configv1.Invalidation{}}
			return item.Into(out.inv)
		}
		if out == nil {
			return nil
		}
		out.done = &storev1.Completion{}
		return item.Into(out.done)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// missing is the error for an invalidation that does not exist (C2.189, C8.71).
func (s *Server) missing(ctx context.Context, id completion.ID) error {
	if err := s.checkParent(ctx, id.Distribution); err != nil {
		return err
	}
	return noSuchInvalidation(id)
}

// checkParent demands that the distribution exists.
func (s *Server) checkParent(ctx context.Context, distribution string) error {
	_, err := s.parent(ctx, distribution)
	return err
}

func (s *Server) parent(ctx context.Context, distribution string) (*configv1.Distribution, error) {
	var d configv1.Distribution
	_, found, err := records.Get(ctx, s.kv, keys.Resource(keys.Distributions, distribution), &d)
	if err == nil && !found {
		err = noSuchDistribution(distribution)
	}
	return &d, err
}

// show returns the invalidation with what edges say of it. It waits for the index
// within ctx and indexPatience.
func (s *Server) show(ctx context.Context, st *stored) *configv1.Invalidation {
	waiting, cancel := context.WithTimeout(ctx, indexPatience)
	defer cancel()
	s.index.Reach(waiting, st.version.ModRevision) // without it less is known of the edges, and nothing false
	return st.present(s.index.Look(st.id, st.version.ModRevision))
}

// present is the invalidation with its output fields. Whether it is completed is what
// etcd says, never what the view does.
func (st *stored) present(v completion.View) *configv1.Invalidation {
	out := proto.CloneOf(st.inv)
	out.Name, out.Revision, out.State = st.name(), st.version.ModRevision, configv1.Invalidation_STATE_IN_PROGRESS
	acks, unreached := v.Acknowledgements(), v.Waiting(false)
	if st.done == nil {
		out.PendingEdges = edgeNames(v.Waiting(true))
	} else {
		out.State, out.CompleteTime = configv1.Invalidation_STATE_COMPLETED, st.done.GetTime()
		acks, unreached = since(st.done, v)
	}
	for _, a := range acks {
		out.Acks = append(out.Acks, st.ack(a))
	}
	out.UnreachedEdges, out.ObjectsFoundDead = edgeNames(unreached), v.Dead
	return out
}

// since is what has become of the edges that a completed invalidation had not reached:
// they have acknowledged it since, are no longer registered, or are unreached still.
func since(done *storev1.Completion, v completion.View) (acks []*storev1.Acknowledgement, unreached []string) {
	left := map[string]bool{}
	for _, id := range done.GetUnreached() {
		left[id] = true
	}
	acks = append(acks, done.GetAcknowledgements()...)
	for _, e := range v.Edges {
		switch {
		case !left[e.ID]:
		case e.Acknowledged:
			acks = append(acks, e.Acknowledgement())
		default:
			unreached = append(unreached, e.ID)
		}
	}
	return completion.Slowest(acks), unreached
}

func edgeNames(ids []string) []string {
	var out []string
	for _, id := range ids {
		out = append(out, keys.Edges.Name(id))
	}
	return out
}
