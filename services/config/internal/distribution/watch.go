// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
)

// longestWait is the default and the limit of WaitDistribution (C3.34, C6.20).
const longestWait = 10 * time.Minute

// headway is how long before a caller's own deadline a wait ends, so that the answer
// still arrives.
const headway = 200 * time.Millisecond

// WaitDistribution returns the distribution once it is deployed, or as it is when
// the time is up.
func (s *Server) WaitDistribution(ctx context.Context, req *configv1.WaitDistributionRequest) (*configv1.WaitDistributionResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	id, vs := rules.ParseName("name", keys.Distributions, req.GetName())
	timeout, bad := waitTime(req.GetTimeout())
	vs = append(append(vs, checkRevision(req.GetRevision())...), bad...)
	if err := collection.BadFields("", vs); err != nil {
		return nil, err
	}
	st, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)-headway)
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.await(waiting, st, req.GetRevision()); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if st, err = s.read(ctx, id); err != nil {
		return nil, err
	}
	return &configv1.WaitDistributionResponse{Distribution: s.show(ctx, st, req.GetRevision())}, nil
}

// await returns when the distribution is deployed or ctx ends, and with an error when
// it is deleted or this server is going down.
func (s *Server) await(ctx context.Context, st *stored, want int64) error {
	ctx, release := rpc.UntilStopping(ctx, behind("the server is going down; wait again"))
	defer release()
	if s.index.Reach(ctx, st.version.ModRevision) {
		q := deployment.Question{ID: st.id, Revision: st.version.ModRevision, Want: want}
		if err := s.index.Await(ctx, q); errors.Is(err, deployment.ErrDeleted) {
			return noSuchDistribution(st.id)
		}
	}
	if stopping, ok := errors.AsType[*apierr.Error](context.Cause(ctx)); ok {
		return stopping
	}
	return nil
}

func waitTime(d *durationpb.Duration) (time.Duration, []rules.Violation) {
	if d == nil {
		return longestWait, nil
	}
	if d.CheckValid() != nil || d.AsDuration() <= 0 || d.AsDuration() > longestWait {
		return 0, []rules.Violation{{Field: "timeout", Reason: rules.ReasonInvalid, Description: "has to be above 0 s and at most 600 s"}}
	}
	return d.AsDuration(), nil
}

func checkRevision(revision int64) []rules.Violation {
	if revision >= 0 {
		return nil
	}
	return []rules.Violation{{Field: "revision", Reason: rules.ReasonInvalid, Description: "has to be 0 or an etcd revision"}}
}

// WatchDeployment streams the deployment of a distribution.
func (s *Server) WatchDeployment(req *configv1.WatchDeploymentRequest, stream grpc.ServerStreamingServer[configv1.WatchDeploymentResponse]) error {
	ctx := stream.Context()
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return err
	}
	id, vs := rules.ParseName("name", keys.Distributions, req.GetName())
	if err := collection.BadFields("", append(vs, checkRevision(req.GetRevision())...)); err != nil {
		return err
	}
	st, err := s.read(ctx, id)
	if err != nil {
		return err
	}
	reaching, cancel := context.WithTimeout(ctx, indexPatience)
	defer cancel()
	if !s.index.Reach(reaching, st.version.ModRevision) && ctx.Err() == nil {
		return behind("this server has not yet received %s from the store; try again", req.GetName())
	}
	q := deployment.Question{ID: id, Revision: st.version.ModRevision, Want: req.GetRevision()}
	err = s.index.Follow(ctx, q, req.GetFollow(), func(d *commonv1.Deployment, edges []*commonv1.EdgeProgress) error {
		return stream.Send(&configv1.WatchDeploymentResponse{Deployment: d, Edges: edges})
	})
	switch {
	case errors.Is(err, deployment.ErrDeleted):
		return noSuchDistribution(id)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}
