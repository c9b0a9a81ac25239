// SPDX-License-Identifier: Apache-2.0

package originregistry

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Names of transaction conditions.
const (
	condRecord    = "record"
	condReferrers = "referrers"
)

// CreateOrigin registers an origin.
func (s *Service) CreateOrigin(ctx context.Context, req *originv1.CreateOriginRequest) (*originv1.CreateOriginResponse, error) {
	if err := offered(req); err != nil {
		return nil, err
	}
	id := req.GetOriginId()
	bad := rules.CheckOriginID(id)
	o, more := s.prepare(req.GetOrigin())
	bad = append(bad, more...)
	if err := invalid(append(bad, badRequestID(req)...)); err != nil {
		return nil, err
	}
	var made *originv1.Origin
	err := records.Retry(ctx, func() (again bool, err error) {
		made, again, err = s.create(ctx, id, proto.CloneOf(o), req)
		return again, err
	})
	if err != nil {
		return nil, err
	}
	return &originv1.CreateOriginResponse{Origin: made, Warnings: warnings(o)}, nil
}

// create is one attempt to write o, which is valid.
func (s *Service) create(ctx context.Context, id string, o *originv1.Origin, req *originv1.CreateOriginRequest) (made *originv1.Origin, again bool, err error) {
	request, done, err := s.recall(ctx, req)
	if err != nil {
		return nil, false, err
	}
	if done != "" {
		made, err = s.done(ctx, done)
		return made, false, err
	}
	if err := s.withinQuota(ctx); err != nil {
		return nil, false, err
	}
	now := timestamppb.New(time.Now())
	o.Uid, o.CreateTime, o.UpdateTime = uuid.NewString(), now, now
	key, rec := keys.Resource(keys.Origins, id), records.Next(ctx, records.Version{})
	tx := etcd.NewTx(s.kv)
	tx.Absent(condRecord, key) // the key is the name: it is unique (C8.27)
	if err := records.Seal(s.secrets, rec, key, o, nil); err != nil {
		return nil, false, err
	}
	if err := records.Put(tx, key, rec, o); err != nil {
		return nil, false, err
	}
	if err := request.Remember(tx, keys.Origins.Name(id)); err != nil {
		return nil, false, err
	}
	v, err := s.send(ctx, tx, req, func() (records.Version, error) { return records.Commit(ctx, s.kv, tx, key, rec) })
	if err != nil {
		if s.repeated(err) {
			return nil, true, moving(id, err)
		}
		if _, taken := errors.AsType[*etcd.Conflict](err); taken {
			return nil, false, alreadyExists(id)
		}
		return nil, false, err
	}
	if req.GetValidateOnly() {
		return preview(o, false, id), false, nil
	}
	return present(id, v, o), false, nil
}

// prepare makes what would be stored of an origin that a client sent, and says what
// is wrong with it. What only the server sets is left out (C6.16).
func (s *Service) prepare(in *originv1.Origin) (*originv1.Origin, []rules.Violation) {
	if in == nil {
		return nil, []rules.Violation{{Field: "origin", Reason: rules.ReasonInvalid, Description: "is required"}}
	}
	o := proto.CloneOf(in)
	o.Name, o.Uid, o.Etag, o.CreateTime, o.UpdateTime = "", "", "", nil, nil
	return o, finish(o, rules.Limits{CustomHeaders: s.headers})
}

// finish fills defaults, in place, and returns what is wrong, with field paths from
// the request.
func finish(o *originv1.Origin, l rules.Limits) []rules.Violation {
	rules.DefaultOrigin(o)
	bad := rules.CheckOrigin(o, l)
	for i := range bad {
		bad[i].Field = "origin." + bad[i].Field
	}
	return bad
}

// warnings are the advice about an origin, with field paths from the request.
func warnings(o *originv1.Origin) []string {
	var out []string
	for _, w := range rules.OriginWarnings(o) {
		out = append(out, "origin."+w)
	}
	return out
}

// withinQuota refuses one more origin above the quota (C4.66, C8.63).
func (s *Service) withinQuota(ctx context.Context) error {
	n, err := s.count.Before(ctx, s.quota)
	if err != nil {
		return err
	}
	if n >= s.quota {
		return quotaReached(s.quota, n)
	}
	return nil
}
