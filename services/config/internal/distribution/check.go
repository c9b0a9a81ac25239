// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// registryTimeout bounds a call to the origin registry, so that a caller hears of one
// that does not answer before its own deadline of 10 s (C6.20).
const registryTimeout = 5 * time.Second

// checkFields fills defaults and returns everything that is wrong with d by itself,
// all at once (C2.1 steps 7 to 9 and 11, C2.2).
func (c call) checkFields(d *configv1.Distribution, limits rules.Limits) error {
	rules.DefaultDistribution(d)
	found := prefixed(c.prefix, rules.CheckDistribution(d, limits))
	return orNil(apierr.BadFields(append(found, prefixed("", c.bad)...)))
}

// dependencies are what a distribution refers to, with the versions that it was
// checked against.
type dependencies struct {
	policies map[string]*configv1.CachePolicy
	origins  map[string]*originv1.Origin
	pins     []pin
}

// pin is a record whose content a check has read. The write holds only if the record
// is still at that revision, and writes the reference again, so that a change of the
// record that looks at its referrers sees this one (C8.48, C8.53).
type pin struct {
	collection keys.Collection
	id         string
	revision   int64
}

// checkReferences finds what d refers to (C2.1 step 10) and returns what is wrong
// with d in its company.
func (s *Server) checkReferences(ctx context.Context, prefix string, d *configv1.Distribution) (dependencies, error) {
	deps := dependencies{policies: map[string]*configv1.CachePolicy{}, origins: map[string]*originv1.Origin{}}
	refs := rules.DistributionRefs(d)
	if err := s.readPolicies(ctx, refs.CachePolicies, &deps); err != nil {
		return deps, err
	}
	if err := s.resolveOrigins(ctx, refs.Origins, &deps); err != nil {
		return deps, err
	}
	if missing := missing(prefix, d, deps); len(missing) > 0 {
		return deps, failed(apierr.Precondition, missing)
	}
	return deps, collection.BadFields(prefix, rules.CheckJoined(d, deps.policies, deps.origins))
}

func (s *Server) readPolicies(ctx context.Context, ids []string, deps *dependencies) error {
	for _, id := range ids {
		if p, ok := managed.CachePolicy(id); ok {
			deps.policies[id] = p // part of the program: nothing to pin
			continue
		}
		p := &configv1.CachePolicy{}
		v, found, err := records.Get(ctx, s.kv, keys.Resource(keys.CachePolicies, id), p)
		if err != nil {
			return err
		}
		if found {
			deps.policies[id] = p
			deps.pins = append(deps.pins, pin{keys.CachePolicies, id, v.ModRevision})
		}
	}
	return nil
}

func (s *Server) resolveOrigins(ctx context.Context, ids []string, deps *dependencies) error {
	if len(ids) == 0 {
		return nil
	}
	req := &originv1.ResolveOriginsRequest{}
	for _, id := range ids {
		req.Names = append(req.Names, keys.Origins.Name(id))
	}
	calling, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	res, err := s.origins.ResolveOrigins(calling, req)
	if err != nil {
		return registryFault(ctx, err)
	}
	for _, o := range res.GetOrigins() {
		id := strings.TrimPrefix(o.GetOrigin().GetName(), string(keys.Origins)+"/")
		deps.origins[id] = o.GetOrigin()
		deps.pins = append(deps.pins, pin{keys.Origins, id, o.GetModRevision()})
	}
	return nil
}

// missing has one violation for each field that refers to nothing.
func missing(prefix string, d *configv1.Distribution, deps dependencies) []apierr.Violation {
	var out []apierr.Violation
	policy := func(field string, b *configv1.CacheBehavior) {
		if id := strings.TrimPrefix(b.GetCachePolicy(), string(keys.CachePolicies)+"/"); deps.policies[id] == nil {
			out = append(out, apierr.Violation{
				Field: prefix + field + ".cache_policy", Reason: reasonNoSuchCachePolicy,
				Description: fmt.Sprintf("names %s, which does not exist; ListCachePolicies shows those that do", b.GetCachePolicy()),
			})
		}
	}
	c := d.GetConfig()
	policy("config.default_cache_behavior", c.GetDefaultCacheBehavior())
	for i, b := range c.GetCacheBehaviors() {
		policy(fmt.Sprintf("config.cache_behaviors[%d]", i), b)
	}
	for i, o := range c.GetOrigins() {
		id, isRef := strings.CutPrefix(o.GetOriginRef(), string(keys.Origins)+"/")
		if isRef && deps.origins[id] == nil {
			out = append(out, apierr.Violation{
				Field: fmt.Sprintf("%sconfig.origins[%d].origin_ref", prefix, i), Reason: reasonEntityNotFound,
				Description: fmt.Sprintf("names %s, which is not registered; create it with OriginService first", o.GetOriginRef()),
			})
		}
	}
	return out
}

// compile is the last check: by the function that edges serve from. What it refuses
// would be accepted here and rejected by every edge.
func compile(prefix, id string, d *configv1.Distribution) error {
	_, err := snapshot.CompileDistribution(id, 0, proto.CloneOf(d))
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*snapshot.Error](err); ok {
		return collection.BadFields(prefix, []rules.Violation{{Field: "config", Reason: rules.ReasonInvalid, Description: "cannot be served: " + e.Message}})
	}
	return internal(err)
}

// checkQuota is C2.1 step 12, without a lock (C8.63).
func (s *Server) checkQuota(ctx context.Context, staging bool) error {
	n, err := s.count.Before(ctx, s.most)
	if err != nil {
		return err
	}
	if n >= s.most {
		return tooMany("distributions", s.most, n)
	}
	if !staging || int64(s.index.Staging()) < s.mostStaging {
		return nil
	}
	// The index may not have heard of a deletion yet.
	_, revision, err := records.Names(ctx, s.kv, keys.Distributions.Prefix(), 1)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, indexPatience)
	defer cancel()
	s.index.Reach(waiting, revision)
	if n := int64(s.index.Staging()); n >= s.mostStaging { // C4.5
		return tooMany("staging distributions", s.mostStaging, n)
	}
	return nil
}
