// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// MoveAlias gives an alias to a distribution, in one transaction with taking it from
// the one that has it (C3.49, C3.55, C8.54). With one owner no proof of control is asked
// for, and the source may be enabled.
func (s *Server) MoveAlias(ctx context.Context, req *configv1.MoveAliasRequest) (*configv1.MoveAliasResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	vs := checkAlias("alias", req.GetAlias(), s.limits.BaseDomain)
	target, bad := rules.ParseName("target", keys.Distributions, req.GetTarget())
	if err := collection.BadFields("", slices.Concat(vs, bad, checkRequestID(req))); err != nil {
		return nil, err
	}
	out, err := s.run(ctx, "MoveAlias", "", req, func(c call) (*outcome, bool, error) {
		return s.move(ctx, c, target, req)
	})
	if err != nil {
		return nil, err
	}
	res := &configv1.MoveAliasResponse{Distribution: s.result(ctx, out), Warnings: out.warnings}
	if out.source != nil {
		res.Source = s.result(ctx, &outcome{st: out.source, dry: out.dry})
	}
	return res, nil
}

func checkAlias(field, alias, base string) []rules.Violation {
	if err := hostname.CheckAlias(alias, base); err != nil {
		return []rules.Violation{{Field: field, Reason: rules.ReasonInvalid, Description: err.Error()}}
	}
	return nil
}

// move is one attempt.
func (s *Server) move(ctx context.Context, c call, id string, req *configv1.MoveAliasRequest) (out *outcome, again bool, err error) {
	target, err := s.read(ctx, id)
	if err != nil {
		return nil, false, err
	}
	if err := checkOptionalETag("target_etag", req.GetTargetEtag(), target); err != nil {
		return nil, false, err
	}
	if target.d.GetStaging() { // C3.50
		return nil, false, illegal("target", "%s is a staging distribution, which has no aliases", req.GetTarget())
	}
	if slices.Contains(target.d.GetConfig().GetAliases(), req.GetAlias()) {
		return &outcome{st: target, dry: c.dry}, false, nil
	}
	from, err := s.holder(ctx, req.GetAlias())
	if err != nil {
		return nil, false, err
	}
	if from.moving {
		return nil, true, behind("%s is being moved at the same time; try again", req.GetAlias())
	}
	if err := from.checkETag(req); err != nil {
		return nil, false, err
	}
	return s.moveFrom(ctx, c, target, from, req)
}

// holder is who has an alias.
type holder struct {
	st       *stored // nil: nobody
	revision int64   // of the claim, 0 for none
	moving   bool    // what was read does not fit together: it has changed meanwhile
}

func (s *Server) holder(ctx context.Context, alias string) (holder, error) {
	id, revision, err := s.claimant(ctx, alias)
	if err != nil || id == "" {
		return holder{}, err
	}
	st, err := s.read(ctx, id)
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Reason == reasonNoSuchDistribution {
		return holder{moving: true}, nil
	}
	if err != nil {
		return holder{}, err
	}
	return holder{st, revision, !slices.Contains(st.d.GetConfig().GetAliases(), alias)}, nil
}

// claimant is the id of the distribution that claims an alias, empty for none, and the
// revision of the claim.
func (s *Server) claimant(ctx context.Context, alias string) (id string, revision int64, err error) {
	found, revision, err := records.Lookup(ctx, s.kv, keys.Host(alias))
	if err != nil || revision == 0 {
		return "", 0, err
	}
	var claim storev1.Claim
	if err := keys.Decode(found.Value, &claim); err != nil {
		return "", 0, unreadable(found.Key, err)
	}
	return claim.GetDistribution(), revision, nil
}

func (h holder) checkETag(req *configv1.MoveAliasRequest) error {
	if req.GetSourceEtag() == "" || h.st != nil {
		return checkOptionalETag("source_etag", req.GetSourceEtag(), h.st)
	}
	return apierr.New(apierr.Stale, collection.ReasonStale, "no distribution has %s any more; leave source_etag out to add the alias", req.GetAlias()).
		At("source_etag").With("alias", req.GetAlias())
}

// moveFrom writes both records and the claim.
func (s *Server) moveFrom(ctx context.Context, c call, target *stored, from holder, req *configv1.MoveAliasRequest) (out *outcome, again bool, err error) {
	now := timestamppb.Now()
	w := s.write(target.id).keeps(target.d, target.secrets)
	d := proto.CloneOf(target.d)
	d.Config.Aliases, d.UpdateTime = append(d.Config.Aliases, req.GetAlias()), now
	if err := c.checkFields(d, w.limits(s.limits.Allowing(target.d))); err != nil {
		return nil, false, err
	}
	deps, err := s.checkReferences(ctx, c.prefix, d)
	if err != nil {
		return nil, false, err
	}
	if err := compile(c.prefix, target.id, d); err != nil {
		return nil, false, err
	}
	rec := records.Next(ctx, target.version)
	w.tx.AtRevision(conditionVersion, w.key(), target.version.ModRevision)
	w.tx.AtRevision(conditionHost, keys.Host(req.GetAlias()), from.revision)
	w.claim(keys.Host(req.GetAlias()), false)
	w.pins(deps.pins)
	w.record(rec, d, s.versions)
	out = &outcome{warnings: advice(c.prefix, d, deps), dry: c.dry}
	if from.st != nil {
		rest := proto.CloneOf(from.st.d)
		rest.Config.Aliases = slices.DeleteFunc(rest.Config.Aliases, func(a string) bool { return a == req.GetAlias() })
		rest.UpdateTime = now
		v, restRec := w.of(from.st.id).keeps(from.st.d, from.st.secrets), records.Next(ctx, from.st.version)
		v.tx.AtRevision(conditionSource, v.key(), from.st.version.ModRevision)
		v.record(restRec, rest, s.versions)
		w.err = errors.Join(w.err, v.err)
		out.source = &stored{id: from.st.id, version: records.Version{WriteID: restRec.GetWriteId(), Generation: restRec.GetGeneration()}, d: rest}
	}
	version, err := s.commit(ctx, c, w, rec)
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		again, err = s.notMoved(ctx, conflict, target, from, req)
		return nil, again, err
	}
	if err != nil {
		return nil, false, err
	}
	out.st = &stored{id: target.id, version: version, d: d}
	if out.source != nil {
		out.source.version.ModRevision = version.ModRevision
	}
	return out, false, nil
}

// notMoved says why a move was refused: a version that the caller has named is not
// current any more, or what it has not named is tried again (C3.12).
func (s *Server) notMoved(ctx context.Context, c *etcd.Conflict, target *stored, from holder, req *configv1.MoveAliasRequest) (again bool, err error) {
	for _, named := range []struct {
		condition, etag, field string
		st                     *stored
	}{
		{conditionVersion, req.GetTargetEtag(), "target_etag", target},
		{conditionSource, req.GetSourceEtag(), "source_etag", from.st},
	} {
		if named.etag == "" || !slices.Contains(c.Failed, named.condition) || slices.Contains(c.Failed, records.ConditionRequest) {
			continue
		}
		now, err := s.read(ctx, named.st.id)
		if err != nil {
			return false, err
		}
		if now.version.WriteID == named.st.version.WriteID {
			continue // only its secrets have got another cluster key
		}
		return false, collection.Stale(named.field, keys.Distributions.Name(now.id), now.version)
	}
	return true, moving(c)
}
