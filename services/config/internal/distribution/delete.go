// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
)

// DeleteDistribution removes a distribution that is disabled and deployed as such
// (C1.52, C8.50).
func (s *Server) DeleteDistribution(ctx context.Context, req *configv1.DeleteDistributionRequest) (*configv1.DeleteDistributionResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	id, err := parseName("name", req.GetName(), checkRequestID(req)...)
	if err != nil {
		return nil, err
	}
	err = records.Retry(ctx, func() (again bool, err error) {
		c, done, err := s.begin(ctx, "DeleteDistribution", "", req)
		if err != nil || done != "" {
			return false, err
		}
		return s.end(s.remove(ctx, c, id, req))
	})
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Reason == reasonNoSuchDistribution && req.GetAllowMissing() {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteDistributionResponse{}, nil
}

// remove is one attempt.
func (s *Server) remove(ctx context.Context, c call, id string, req *configv1.DeleteDistributionRequest) (again bool, err error) {
	old, err := s.read(ctx, id)
	if err != nil {
		return false, err
	}
	if err := checkETag("etag", req.GetEtag(), old); err != nil {
		return false, err
	}
	if err := s.checkDisabled(ctx, old); err != nil {
		return false, err
	}
	w := s.write(id)
	w.tx.AtRevision(conditionVersion, w.key(), old.version.ModRevision)
	w.tx.NoneUnder(conditionReferrers, keys.RefsTo(keys.Distributions, id))
	w.tx.Delete(w.key())
	w.tx.DeletePrefix(keys.VersionsOf(id))
	// Without it its invalidations have no use, and their caller references are free (C8.50).
	for _, prefix := range []string{keys.InvalidationsOf(id), keys.InvalidationReferencesOf(id), keys.CompletionsOf(id)} {
		w.tx.DeletePrefix(prefix)
	}
	w.aliases(old.d.GetConfig().GetAliases(), nil)
	w.release(targets(old.d), nil)
	label, _, _ := strings.Cut(old.d.GetDomainName(), ".")
	w.claim(keys.Label(label), true)
	if err := c.memory.Remember(w.tx, keys.Distributions.Name(id)); err != nil {
		return false, err
	}
	if err := w.ready(""); err != nil {
		return false, err
	}
	if c.dry {
		err = records.Check(ctx, w.tx)
	} else {
		err = records.CommitDelete(ctx, s.kv, w.tx, w.key())
	}
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		return s.kept(ctx, conflict, old)
	}
	return false, err
}

// checkDisabled demands that the record is disabled and that every live edge knows.
// It cannot cease to be so for a reason that matters: the transaction compares the
// record, and nothing else can enable it (C8.50).
func (s *Server) checkDisabled(ctx context.Context, old *stored) error {
	name := keys.Distributions.Name(old.id)
	if old.d.GetConfig().GetEnabled() {
		return notDisabled(old, "%s is enabled; disable it with update_mask config.enabled and wait until it is deployed", name)
	}
	answer := s.deployment(ctx, deployment.Question{ID: old.id, Revision: old.version.ModRevision})
	switch {
	case answer.Converged.GetReason() == deployment.ReasonUnknown:
		return behind("this server does not know yet whether %s is deployed; try again", name)
	case !answer.Deployed():
		return notDisabled(old, "%s is disabled, but not deployed as such yet (%s); wait with WaitDistribution or WatchDeployment", name, answer.Converged.GetMessage())
	}
	return nil
}

// kept says why a deletion was refused.
func (s *Server) kept(ctx context.Context, c *etcd.Conflict, old *stored) (again bool, err error) {
	if !slices.Contains(c.Failed, conditionReferrers) || slices.Contains(c.Failed, conditionVersion) || slices.Contains(c.Failed, records.ConditionRequest) {
		return s.refused(ctx, "", c, "etag", old, old.d)
	}
	name := keys.Distributions.Name(old.id)
	var referrers []string
	for _, key := range c.Keys[conditionReferrers] {
		if collection, id, err := keys.ParseRef(key); err == nil {
			referrers = append(referrers, collection.Name(id))
		} else { // the key of whatever names a staging distribution has no id (C8.56)
			referrers = append(referrers, "a continuous deployment policy")
		}
	}
	return false, apierr.New(apierr.Precondition, reasonInUse, "%s is in use by %s", name, strings.Join(referrers, ", ")).
		With("resource", name).With("referrers", strings.Join(referrers, ","))
}
