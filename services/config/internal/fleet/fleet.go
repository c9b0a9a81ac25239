// SPDX-License-Identifier: Apache-2.0

// Package fleet is the EdgeService: it shows the edges as they registered and report,
// and writes down what operators want of them. Identity and wish are two keys, so that
// an edge that starts and an operator who drains it never overwrite each other (C8.37).
// It judges no edge: the index does.
package fleet

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
)

// Bounds of an answer.
const (
	// indexPatience is how long it waits for the index to take in what is shown (C9.46).
	indexPatience = 2 * time.Second
	// storeTimeout is how long etcd may take for one read.
	storeTimeout = 5 * time.Second
	// maxPage is the size of a page in bytes (C6.20).
	maxPage = 3 << 20
)

const reasonNoSuchEdge = "NO_SUCH_RESOURCE" // C2.191

// Server is an edgev1.EdgeServiceServer.
type Server struct {
	edgev1.UnimplementedEdgeServiceServer
	kv    clientv3.KV
	index *deployment.Index
}

// New makes the service. The index is kept up to date by its owner.
func New(kv clientv3.KV, index *deployment.Index) *Server { return &Server{kv: kv, index: index} }

// GetEdge returns one edge.
func (s *Server) GetEdge(ctx context.Context, req *edgev1.GetEdgeRequest) (*edgev1.GetEdgeResponse, error) {
	id, vs := rules.ParseName("name", keys.Edges, req.GetName())
	if err := collection.BadFields("", vs); err != nil {
		return nil, err
	}
	seen, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	e, err := s.show(ctx, id, seen.revision)
	return &edgev1.GetEdgeResponse{Edge: e}, err
}

// ListEdges returns a page of edges.
func (s *Server) ListEdges(ctx context.Context, req *edgev1.ListEdgesRequest) (*edgev1.ListEdgesResponse, error) {
	size, vs := rules.PageSize(req.GetPageSize())
	listing := records.ListRequest{
		Method: "ListEdges", Prefix: keys.EdgePrefix, PageSize: size, Token: req.GetPageToken(),
		Filter: req.GetState().String() + " " + req.GetPop(),
	}
	vs = append(vs, rules.UnknownEnums(req)...)
	after, bad := listing.After()
	for _, v := range bad {
		vs = append(vs, rules.Violation(v))
	}
	if err := collection.BadFields("", vs); err != nil {
		return nil, err
	}
	newest, err := s.newest(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.reach(ctx, newest); err != nil {
		return nil, err
	}
	_, last := keys.Parse(after)
	out, bytes := &edgev1.ListEdgesResponse{}, 0
	s.index.Edges(last, time.Now(), func(id string, e *edgev1.Edge) bool {
		if req.GetPop() != "" && e.GetPop() != req.GetPop() || req.GetState() != 0 && e.GetState() != req.GetState() {
			return true
		}
		bytes += protowire.SizeTag(1) + protowire.SizeBytes(proto.Size(e))
		if len(out.Edges) > 0 && (len(out.Edges) == size || bytes > maxPage) {
			out.NextPageToken = listing.Next(keys.Edge(last), newest)
			return false
		}
		out.Edges, last = append(out.Edges, e), id
		return true
	})
	return out, nil
}

// DrainEdge asks an edge to drain.
func (s *Server) DrainEdge(ctx context.Context, req *edgev1.DrainEdgeRequest) (*edgev1.DrainEdgeResponse, error) {
	e, err := s.want(ctx, req, true)
	return &edgev1.DrainEdgeResponse{Edge: e}, err
}

// UndrainEdge ends the draining of an edge.
func (s *Server) UndrainEdge(ctx context.Context, req *edgev1.UndrainEdgeRequest) (*edgev1.UndrainEdgeResponse, error) {
	e, err := s.want(ctx, req, false)
	return &edgev1.UndrainEdgeResponse{Edge: e}, err
}

// state is an edge as etcd has it.
type state struct {
	id       string
	identity int64           // the revision that wrote it
	intent   records.Version // zero: nothing was ever wanted
	wants    storev1.EdgeIntent
	reports  bool  // has a status
	revision int64 // of the last write of identity or intent
}

// read reads an edge; one that is not registered is an error.
func (s *Server) read(ctx context.Context, id string) (*state, error) {
	inner, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	res, err := s.kv.Txn(inner).Then(
		clientv3.OpGet(keys.Edge(id), clientv3.WithKeysOnly()), clientv3.OpGet(keys.EdgeIntent(id)),
		clientv3.OpGet(keys.EdgeStatus(id), clientv3.WithKeysOnly()),
	).Commit()
	if err != nil {
		return nil, fault(ctx, err)
	}
	identity, intent := res.Responses[0].GetResponseRange().GetKvs(), res.Responses[1].GetResponseRange().GetKvs()
	if len(identity) == 0 {
		return nil, noSuchEdge(id)
	}
	out := &state{id: id, identity: identity[0].ModRevision, reports: res.Responses[2].GetResponseRange().GetCount() > 0}
	out.revision = out.identity
	if len(intent) > 0 {
		if out.intent, err = records.Decode(intent[0], &out.wants); err != nil {
			return nil, err
		}
		out.revision = max(out.revision, out.intent.ModRevision)
	}
	return out, nil
}

// newest is the revision of the last write of any identity or intent.
func (s *Server) newest(ctx context.Context) (int64, error) {
	inner, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	res, err := s.kv.Get(inner, keys.EdgePrefix, clientv3.WithRange(keys.EdgeIntentEnd), clientv3.WithKeysOnly(),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend), clientv3.WithLimit(1))
	if err != nil {
		return 0, fault(ctx, err)
	}
	if len(res.Kvs) == 0 {
		return 1, nil
	}
	return res.Kvs[0].ModRevision, nil
}

// reach waits until the index shows what etcd held at a revision.
func (s *Server) reach(ctx context.Context, revision int64) error {
	inner, cancel := context.WithTimeout(ctx, indexPatience)
	defer cancel()
	if s.index.Reach(inner, revision) {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "this server has not yet received the edges from the store; try again")
}

// show is the edge as the index has it at a revision or later.
func (s *Server) show(ctx context.Context, id string, revision int64) (*edgev1.Edge, error) {
	if err := s.reach(ctx, revision); err != nil {
		return nil, err
	}
	e, ok := s.index.Edge(id, time.Now())
	if !ok {
		return nil, noSuchEdge(id)
	}
	return e, nil
}

func noSuchEdge(id string) error {
	name := keys.Edges.Name(id)
	return apierr.New(apierr.NotFound, reasonNoSuchEdge, "%s is not registered", name).With("resource", name)
}

// fault maps the error of a read that had a time-out of its own below ctx.
func fault(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		e := apierr.New(apierr.Unavailable, apierr.ReasonStoreUnavailable, "the store does not answer; try again")
		e.Cause = err
		return e
	}
	return etcd.Fault(err)
}
