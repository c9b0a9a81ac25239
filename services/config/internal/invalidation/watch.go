// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/completion"
)

// longestWait is the default and the limit of WaitInvalidation (C3.34, C6.20).
const longestWait = 10 * time.Minute

// headway is how long before a caller's own deadline a wait ends, so that the answer
// still arrives.
const headway = 200 * time.Millisecond

// reread is how often the store is asked for an invalidation that somebody watches: the
// index does not tell when one that is completed expires. Beats wake the stream.
const reread = time.Minute

// WaitInvalidation returns the invalidation once it is completed, or as it is when the
// time is up.
func (s *Server) WaitInvalidation(ctx context.Context, req *configv1.WaitInvalidationRequest) (*configv1.WaitInvalidationResponse, error) {
	timeout, bad := waitTime(req.GetTimeout())
	id, err := parse(req.GetName(), bad)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)-headway)
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	waiting, release := rpc.UntilStopping(waiting, behind("the server is going down; wait again"))
	defer release()
	for {
		st, err := s.read(ctx, id)
		if err != nil {
			return nil, err
		}
		if st.done != nil || waiting.Err() != nil {
			return &configv1.WaitInvalidationResponse{Invalidation: s.show(ctx, st)}, nil
		}
		s.await(waiting, st)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case stopping(waiting) != nil:
			return nil, stopping(waiting)
		}
	}
}

// await returns when the index has seen the completion or the end of the invalidation,
// or ctx ends.
func (s *Server) await(ctx context.Context, st *stored) {
	if !s.index.Reach(ctx, st.version.ModRevision) {
		return
	}
	for {
		v := s.index.Look(st.id, st.version.ModRevision)
		if !v.InProgress || v.Next(ctx) != nil {
			return
		}
	}
}

// stopping is the error of a server that is going down, nil while it is not.
func stopping(ctx context.Context) error {
	if e, ok := errors.AsType[*apierr.Error](context.Cause(ctx)); ok {
		return e
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

// WatchInvalidation streams the progress of an invalidation. What happens while a
// message is sent is joined into the next, so that a slow receiver holds nothing up.
func (s *Server) WatchInvalidation(req *configv1.WatchInvalidationRequest, stream grpc.ServerStreamingServer[configv1.WatchInvalidationResponse]) error {
	ctx := stream.Context()
	id, err := parse(req.GetName(), nil)
	if err != nil {
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
	w, read := watcher{stream: stream}, time.Now()
	for {
		v := s.index.Look(id, st.version.ModRevision)
		// The index has seen the completion, or the end; the store says which.
		if st.done == nil && !v.InProgress || time.Since(read) > reread {
			if st, err = s.read(ctx, id); err != nil {
				return err
			}
			read = time.Now()
		}
		if err := w.tell(st, v); err != nil {
			return err
		}
		if st.done != nil && !req.GetFollow() {
			return nil
		}
		if err := v.Next(ctx); err != nil {
			return err
		}
	}
}

// watcher is one stream of WatchInvalidation.
type watcher struct {
	stream grpc.ServerStreamingServer[configv1.WatchInvalidationResponse]
	edges  []*configv1.InvalidationProgress // as last told
	last   *configv1.Invalidation           // nil before the first message
}

// tell sends what the stream has not told yet.
func (w *watcher) tell(st *stored, v completion.View) error {
	inv, edges := st.present(v), []*configv1.InvalidationProgress(nil)
	for _, e := range v.Edges {
		edges = append(edges, st.progress(e))
	}
	changed := news(w.edges, edges)
	if w.last != nil {
		inv.CallerReference, inv.Paths, inv.Tags = "", nil, nil
		if len(changed) == 0 && proto.Equal(inv, w.last) {
			return nil
		}
	}
	if err := w.stream.Send(&configv1.WatchInvalidationResponse{Invalidation: inv, Edges: changed}); err != nil {
		return err
	}
	inv.CallerReference, inv.Paths, inv.Tags = "", nil, nil
	w.last, w.edges = inv, edges
	return nil
}
