// SPDX-License-Identifier: Apache-2.0

package originregistry

import (
	"context"
	"errors"
	"slices"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// DeleteOrigin removes an origin that nothing refers to (C1.68, C8.51).
func (s *Service) DeleteOrigin(ctx context.Context, req *originv1.DeleteOriginRequest) (*originv1.DeleteOriginResponse, error) {
	if err := offered(req); err != nil {
		return nil, err
	}
	id, bad := rules.ParseName("name", keys.Origins, req.GetName())
	if err := invalid(append(bad, badRequestID(req)...)); err != nil {
		return nil, err
	}
	err := records.Retry(ctx, func() (again bool, err error) { return s.remove(ctx, id, req) })
	if err != nil {
		return nil, err
	}
	return &originv1.DeleteOriginResponse{}, nil
}

// remove is one attempt to delete; again is as in update.
func (s *Service) remove(ctx context.Context, id string, req *originv1.DeleteOriginRequest) (again bool, err error) {
	request, done, err := s.recall(ctx, req)
	if err != nil || done != "" {
		return false, err
	}
	given := etagAt{"etag", req.GetEtag()}
	_, seen, _, err := s.current(ctx, id, given)
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.NotFound && req.GetAllowMissing() {
		return s.nothing(ctx, id, req, request)
	}
	if err != nil {
		return false, err
	}
	key, refs := keys.Resource(keys.Origins, id), keys.RefsTo(keys.Origins, id)
	// The transaction decides; a look beforehand keeps hopeless ones from making etcd
	// read every reference while it applies (C8.4).
	held, _, err := records.Names(ctx, s.kv, refs, maxReferrers)
	if err != nil {
		return false, err
	}
	if len(held) > 0 {
		return false, cannotDelete(id, held)
	}
	tx := etcd.NewTx(s.kv)
	tx.AtRevision(condRecord, key, seen.ModRevision)
	tx.NoneUnder(condReferrers, refs)
	tx.Delete(key)
	if err := request.Remember(tx, keys.Origins.Name(id)); err != nil {
		return false, err
	}
	_, err = s.send(ctx, tx, req, func() (records.Version, error) { return records.Version{}, records.CommitDelete(ctx, s.kv, tx, key) })
	if s.repeated(err) {
		return true, moving(id, err)
	}
	conflict, ok := errors.AsType[*etcd.Conflict](err)
	if !ok {
		return false, err
	}
	if slices.Contains(conflict.Failed, condRecord) {
		return s.mayRetry(ctx, conflict, id, seen, given), s.moved(ctx, conflict, id, given)
	}
	return false, cannotDelete(id, conflict.Keys[condReferrers])
}

// nothing is the deletion of what does not exist: it is remembered, so that it deletes
// nothing later either.
func (s *Service) nothing(ctx context.Context, id string, req *originv1.DeleteOriginRequest, request *records.Request) (again bool, err error) {
	if request == nil || req.GetValidateOnly() {
		return false, nil
	}
	key := keys.Resource(keys.Origins, id)
	tx := etcd.NewTx(s.kv)
	tx.Absent(condRecord, key)
	if err := request.Remember(tx, keys.Origins.Name(id)); err != nil {
		return false, err
	}
	err = records.CommitDelete(ctx, s.kv, tx, key)
	if _, ok := errors.AsType[*etcd.Conflict](err); ok || s.repeated(err) {
		return true, moving(id, err) // created or asked for meanwhile
	}
	return false, err
}

func cannotDelete(id string, refs []string) error {
	return inUse(id, "cannot be deleted while others refer to it", referrers(refs))
}
