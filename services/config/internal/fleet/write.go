// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

const reasonInUse = "RESOURCE_IN_USE" // C2.225

// The names of conditions in transactions.
const (
	conditionEdge   = "edge"   // is registered, or registered as it was
	conditionIntent = "intent" // is what was read
	conditionGone   = "gone"   // the edge has no status
)

// change is a request to change one edge.
type change interface {
	GetName() string
	GetEtag() string
	GetValidateOnly() bool
}

// want writes down whether an edge is to drain.
func (s *Server) want(ctx context.Context, req change, draining bool) (*edgev1.Edge, error) {
	id, err := parse(req)
	if err != nil {
		return nil, err
	}
	var revision int64
	err = records.Retry(ctx, func() (again bool, err error) {
		seen, err := s.seen(ctx, id, req)
		if err != nil {
			return false, err
		}
		revision = seen.revision
		if seen.wants.GetDraining() == draining {
			return false, nil
		}
		tx, key := etcd.NewTx(s.kv), keys.EdgeIntent(id)
		tx.Exists(conditionEdge, keys.Edge(id))
		tx.AtRevision(conditionIntent, key, seen.intent.ModRevision)
		rec := records.Next(ctx, seen.intent)
		if err := records.Put(tx, key, rec, &storev1.EdgeIntent{Draining: draining, UpdateTime: timestamppb.Now()}); err != nil {
			return false, err
		}
		if req.GetValidateOnly() {
			return s.refused(ctx, req, id, etcd.Fault(tx.Check(ctx)))
		}
		made, err := records.Commit(ctx, s.kv, tx, key, rec)
		revision = max(revision, made.ModRevision)
		return s.refused(ctx, req, id, err)
	})
	if err != nil {
		return nil, err
	}
	e, err := s.show(ctx, id, revision)
	if err == nil && req.GetValidateOnly() {
		foresee(e, draining)
	}
	return e, err
}

// foresee makes of an edge what it would be after a change of its wish.
func foresee(e *edgev1.Edge, draining bool) {
	if e.GetDraining() == draining {
		return
	}
	e.Draining, e.DrainUpdateTime = draining, timestamppb.Now()
	switch {
	case e.GetStatus() == nil:
	case draining:
		e.State = commonv1.EdgeState_EDGE_STATE_DRAINING
	case !e.GetStatus().GetDraining():
		e.State = commonv1.EdgeState_EDGE_STATE_JOINING
	}
}

// DeleteEdge forgets an edge that is gone (C8.74).
func (s *Server) DeleteEdge(ctx context.Context, req *edgev1.DeleteEdgeRequest) (*edgev1.DeleteEdgeResponse, error) {
	id, err := parse(req)
	if err != nil {
		return nil, err
	}
	err = records.Retry(ctx, func() (again bool, err error) {
		seen, err := s.seen(ctx, id, req)
		if err != nil {
			return false, err
		}
		if seen.reports {
			return false, stillReports(id)
		}
		tx := etcd.NewTx(s.kv)
		tx.AtRevision(conditionEdge, keys.Edge(id), seen.identity)
		tx.AtRevision(conditionIntent, keys.EdgeIntent(id), seen.intent.ModRevision)
		tx.Absent(conditionGone, keys.EdgeStatus(id))
		tx.Delete(keys.Edge(id))
		tx.Delete(keys.EdgeIntent(id))
		if req.GetValidateOnly() {
			return s.refused(ctx, req, id, etcd.Fault(tx.Check(ctx)))
		}
		return s.refused(ctx, req, id, records.CommitDelete(ctx, s.kv, tx, keys.Edge(id)))
	})
	if err != nil {
		return nil, err
	}
	return &edgev1.DeleteEdgeResponse{}, nil
}

func parse(req change) (id string, err error) {
	id, vs := rules.ParseName("name", keys.Edges, req.GetName())
	return id, collection.BadFields("", vs)
}

// seen reads the edge and compares the etag of the request.
func (s *Server) seen(ctx context.Context, id string, req change) (*state, error) {
	out, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return out, collection.ETag("etag", req.GetEtag(), req.GetName(), out.intent, false)
}

// refused says what became of a transaction that did not take place. What the caller
// has not named is looked at again (C8.64): a wish without an etag, and an edge that
// has just started.
func (s *Server) refused(ctx context.Context, req change, id string, err error) (again bool, _ error) {
	conflict, ok := errors.AsType[*etcd.Conflict](err)
	if !ok {
		return false, err
	}
	if slices.Contains(conflict.Failed, conditionGone) {
		return false, stillReports(id)
	}
	if _, err := s.seen(ctx, id, req); err != nil {
		return false, err
	}
	e := apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "%s is being changed at the same time; try again", req.GetName())
	e.Cause = conflict
	return true, e
}

func stillReports(id string) error {
	name := keys.Edges.Name(id)
	return apierr.New(apierr.Precondition, reasonInUse, "%s still reports; stop it first: its lease ends with it, or within 30 s", name).With("resource", name)
}
