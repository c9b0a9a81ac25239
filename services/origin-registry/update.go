// SPDX-License-Identifier: Apache-2.0

package originregistry

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// adviceInvalidate is a warning of every update (C5.37).
const adviceInvalidate = "INVALIDATE_RECOMMENDED: what is cached from this origin stays cached until it is stale or invalidated"

// UpdateOrigin changes an origin. It looks at things in the order of C2.1: existence,
// etag, fields, referrers.
func (s *Service) UpdateOrigin(ctx context.Context, req *originv1.UpdateOriginRequest) (*originv1.UpdateOriginResponse, error) {
	if err := offered(req); err != nil {
		return nil, err
	}
	id, bad := updatedID(req)
	if err := invalid(append(bad, badRequestID(req)...)); err != nil {
		return nil, err
	}
	var updated *originv1.Origin
	err := records.Retry(ctx, func() (again bool, err error) {
		updated, again, err = s.update(ctx, id, req)
		return again, err
	})
	if err != nil {
		return nil, err
	}
	return &originv1.UpdateOriginResponse{Origin: updated, Warnings: append(warnings(updated), adviceInvalidate)}, nil
}

func updatedID(req *originv1.UpdateOriginRequest) (string, []rules.Violation) {
	if req.GetOrigin() == nil {
		return "", []rules.Violation{{Field: "origin", Reason: rules.ReasonInvalid, Description: "is required"}}
	}
	return rules.ParseName("origin.name", keys.Origins, req.GetOrigin().GetName())
}

// update is one attempt. again says that what it read moved on before it could
// write, and that the client named no version of it (C3.12, C8.64).
func (s *Service) update(ctx context.Context, id string, req *originv1.UpdateOriginRequest) (o *originv1.Origin, again bool, err error) {
	request, done, err := s.recall(ctx, req)
	if err != nil {
		return nil, false, err
	}
	if done != "" {
		o, err = s.done(ctx, done)
		return o, false, err
	}
	given := etagAt{"origin.etag", req.GetOrigin().GetEtag()}
	stored, seen, sealed, err := s.current(ctx, id, given)
	if err != nil {
		return nil, false, err
	}
	o, bad := rules.MergeOrigin(stored, req.GetOrigin(), req.GetUpdateMask())
	if o != nil {
		l := rules.Limits{CustomHeaders: max(s.headers, len(stored.GetCustomHeaders())), Kept: records.Kept(stored, sealed)} // C4.1
		bad = append(bad, finish(o, l)...)
	}
	if err := invalid(bad); err != nil {
		return nil, false, err
	}
	at, err := s.checkReferrers(ctx, id, o)
	if err != nil {
		return nil, errors.Is(err, errMovedOn), err
	}
	o.UpdateTime = timestamppb.New(time.Now())
	key, rec := keys.Resource(keys.Origins, id), records.Next(ctx, seen)
	tx := etcd.NewTx(s.kv)
	tx.AtRevision(condRecord, key, seen.ModRevision)
	// A distribution that came to refer to this origin, or was checked against its
	// content, after at has written its reference since (C8.53).
	tx.NoneNewerUnder(condReferrers, keys.RefsTo(keys.Origins, id), at)
	if err := records.Seal(s.secrets, rec, key, o, sealed); err != nil {
		return nil, false, err
	}
	if err := records.Put(tx, key, rec, o); err != nil {
		return nil, false, err
	}
	if err := request.Remember(tx, keys.Origins.Name(id)); err != nil {
		return nil, false, err
	}
	v, err := s.send(ctx, tx, req, func() (records.Version, error) { return records.Commit(ctx, s.kv, tx, key, rec) })
	if s.repeated(err) {
		return nil, true, moving(id, err)
	}
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		return nil, s.mayRetry(ctx, conflict, id, seen, given), s.moved(ctx, conflict, id, given)
	}
	if err != nil {
		return nil, false, err
	}
	if req.GetValidateOnly() {
		return preview(o, true, id), false, nil
	}
	return present(id, v, o), false, nil
}

// etagAt is the etag of a request, empty when the client gave none, and where it is.
type etagAt struct{ field, etag string }

// current reads an origin and compares its etag with the one that the client gave,
// if any (C3.6).
func (s *Service) current(ctx context.Context, id string, given etagAt) (*originv1.Origin, records.Version, records.Secrets, error) {
	stored, v, sealed, err := s.load(ctx, id)
	if err != nil {
		return nil, v, nil, err
	}
	if given.etag == "" { // the last writer wins (C6.15)
		return stored, v, sealed, nil
	}
	write, ok := keys.ParseETag(given.etag)
	if !ok {
		return nil, v, nil, badETag(given.field)
	}
	if write != v.WriteID {
		return nil, v, nil, stale(id, v.ETag(), given)
	}
	return stored, v, sealed, nil
}

// mayRetry says whether a write on seen that was refused may be repeated on what is
// there now: never when the record moved on from the version that the client named
// (C3.12). A record whose secrets have only got another cluster key has not.
func (s *Service) mayRetry(ctx context.Context, conflict *etcd.Conflict, id string, seen records.Version, given etagAt) bool {
	if given.etag == "" || !slices.Contains(conflict.Failed, condRecord) {
		return true
	}
	_, v, _, err := s.load(ctx, id)
	return err == nil && v.WriteID == seen.WriteID
}

// moved is the error of a write that was refused because the record, or those who
// refer to it, changed after they were read.
func (s *Service) moved(ctx context.Context, conflict *etcd.Conflict, id string, given etagAt) error {
	if !slices.Contains(conflict.Failed, condRecord) { // the etag is current
		return stale(id, "", etagAt{})
	}
	_, v, _, err := s.load(ctx, id)
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.NotFound {
		return e
	}
	if err != nil {
		return stale(id, "", given)
	}
	return stale(id, v.ETag(), given)
}
