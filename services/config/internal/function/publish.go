// SPDX-License-Identifier: Apache-2.0

package function

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// The conditions of a publication: both stages are as they were.
const (
	conditionDevelopment = "development"
	conditionLive        = "live"
)

// PublishFunction copies DEVELOPMENT to LIVE (C1.77, C8.57). Code that was valid when it
// was stored is not parsed again.
func (s *Server) PublishFunction(ctx context.Context, req *configv1.PublishFunctionRequest) (*configv1.PublishFunctionResponse, error) {
	id, vs := rules.ParseName("name", keys.Functions, req.GetName())
	for _, v := range records.CheckRequestID(req.GetRequestId()) {
		vs = append(vs, rules.Violation(v))
	}
	if err := collection.BadFields("", vs); err != nil {
		return nil, err
	}
	var made *configv1.Function
	err := records.Retry(ctx, func() (again bool, err error) {
		made, again, err = s.publish(ctx, id, req)
		return again, err
	})
	if err != nil {
		return nil, err
	}
	return &configv1.PublishFunctionResponse{Function: made}, nil
}

func (s *Server) publish(ctx context.Context, id string, req *configv1.PublishFunctionRequest) (made *configv1.Function, again bool, err error) {
	name, liveKey := req.GetName(), keys.Resource(keys.Functions, id)
	var request *records.Request
	var done string
	if !req.GetValidateOnly() {
		if request, done, err = s.requests.Recall(ctx, "PublishFunction", req.GetRequestId(), req); err != nil {
			return nil, false, err
		}
	}
	if done != "" { // LIVE may have been deleted since
		made, v, err := s.stored(ctx, name, configv1.Function_STAGE_LIVE)
		if err == nil {
			err = s.showLive(ctx, made, v)
		}
		return made, false, err
	}
	f, seen, err := s.stored(ctx, name, configv1.Function_STAGE_DEVELOPMENT)
	if err != nil {
		return nil, false, err
	}
	old := &configv1.Function{}
	liveSeen, _, err := records.Get(ctx, s.kv, liveKey, old)
	if err != nil {
		return nil, false, err
	}
	if err := collection.ETag("etag", req.GetEtag(), name, seen, true); err != nil { // C6.15
		return nil, false, err
	}
	live := proto.CloneOf(f)
	live.UpdateTime = timestamppb.Now()
	rec := records.Next(ctx, liveSeen)
	tx := etcd.NewTx(s.kv)
	tx.AtRevision(conditionDevelopment, keys.Draft(id), seen.ModRevision)
	tx.AtRevision(conditionLive, liveKey, liveSeen.ModRevision)
	s.hold(tx, id, old, live)
	if err := records.Put(tx, liveKey, rec, live); err != nil {
		return nil, false, err
	}
	if err := request.Remember(tx, name); err != nil {
		return nil, false, err
	}
	v := records.Version{}
	if req.GetValidateOnly() {
		err = records.Check(ctx, tx)
	} else {
		v, err = records.Commit(ctx, s.kv, tx, liveKey, rec)
	}
	if err != nil {
		again, err = s.refused(ctx, name, err)
		return nil, again, err
	}
	return live, false, s.showLive(ctx, live, v)
}

// hold moves the references of LIVE. The stores exist: DEVELOPMENT, which is compared,
// holds the same.
func (s *Server) hold(tx *etcd.Tx, id string, old, live *configv1.Function) {
	for _, r := range refs(old) {
		tx.Delete(liveRef(r, id))
	}
	for _, r := range refs(live) { // of two writes of one key the last counts
		tx.Put(liveRef(r, id), nil)
	}
}

// refused says why a publication failed. A caller has named the version of DEVELOPMENT,
// and nothing else.
func (s *Server) refused(ctx context.Context, name string, err error) (again bool, _ error) {
	conflict, ok := errors.AsType[*etcd.Conflict](err)
	switch {
	case s.requests.Lost(err):
		return true, err
	case !ok:
		return false, err
	case slices.Contains(conflict.Failed, conditionDevelopment) && !slices.Contains(conflict.Failed, records.ConditionRequest):
		_, now, err := s.stored(ctx, name, configv1.Function_STAGE_DEVELOPMENT)
		if err != nil {
			return false, err
		}
		return false, collection.Stale("etag", name, now)
	}
	e := apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "%s is being changed at the same time; try again", name)
	e.Cause = err
	return true, e
}
