// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/pki"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// registryTimeout bounds a call to the origin registry, so that a caller hears of one
// that does not answer before its own deadline of 10 s (C6.20).
const registryTimeout = 5 * time.Second

// dependencies are what a distribution refers to, with the versions that it was
// checked against.
type dependencies struct {
	policies map[string]*configv1.CachePolicy
	requests map[string]*configv1.OriginRequestPolicy
	origins  map[string]*originv1.Origin
	// certificates holds the one for the aliases, if there is one.
	certificates map[string]*configv1.Certificate
	pins         []pin
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
	deps, err := s.readReferences(ctx, d)
	if err != nil {
		return deps, err
	}
	if missing := missing(prefix, d, deps); len(missing) > 0 {
		return deps, failed(apierr.Precondition, missing)
	}
	if err := orNil(apierr.UnsupportedFields(prefixed(prefix, rules.UnsupportedPolicies(d, deps.policies, deps.requests)))); err != nil {
		return deps, err
	}
	bad := rules.CheckJoined(d, deps.policies, deps.origins)
	for _, c := range deps.certificates {
		bad = append(bad, pki.CheckAliases(d, c, time.Now())...)
	}
	return deps, collection.BadFields(prefix, bad)
}

// readReferences reads what d refers to, as far as it exists.
func (s *Server) readReferences(ctx context.Context, d *configv1.Distribution) (dependencies, error) {
	deps := dependencies{
		policies: map[string]*configv1.CachePolicy{}, requests: map[string]*configv1.OriginRequestPolicy{}, origins: map[string]*originv1.Origin{},
		certificates: map[string]*configv1.Certificate{},
	}
	refs := rules.DistributionRefs(d)
	if err := readAll(ctx, s, keys.CachePolicies, refs.CachePolicies, managed.CachePolicy, deps.policies, &deps); err != nil {
		return deps, err
	}
	if err := readAll(ctx, s, keys.OriginRequestPolicies, refs.OriginRequestPolicies, managed.OriginRequestPolicy, deps.requests, &deps); err != nil {
		return deps, err
	}
	none := func(string) (*configv1.Certificate, bool) { return nil, false }
	if err := readAll(ctx, s, keys.Certificates, refs.Certificates, none, deps.certificates, &deps); err != nil {
		return deps, err
	}
	return deps, s.resolveOrigins(ctx, refs.Origins, &deps)
}

// readAll reads resources of one kind that are part of the program or stored by config.
func readAll[M proto.Message](
	ctx context.Context, s *Server, of keys.Collection, ids []string, builtin func(id string) (M, bool), found map[string]M, deps *dependencies,
) error {
	for _, id := range ids {
		if m, ok := builtin(id); ok {
			found[id] = m // nothing to pin
			continue
		}
		var none M
		m := none.ProtoReflect().Type().New().Interface().(M) //nolint:errcheck // of its own type
		v, ok, err := records.Get(ctx, s.kv, keys.Resource(of, id), m)
		if err != nil {
			return err
		}
		if ok {
			found[id] = m
			deps.pins = append(deps.pins, pin{of, id, v.ModRevision})
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
	absent := func(field, reason, name, advice string) {
		out = append(out, apierr.Violation{Field: prefix + field, Reason: reason, Description: fmt.Sprintf("names %s, which %s", name, advice)})
	}
	behavior := func(field string, b *configv1.CacheBehavior) {
		if id := strings.TrimPrefix(b.GetCachePolicy(), keys.CachePolicies.Name("")); deps.policies[id] == nil {
			absent(field+".cache_policy", reasonNoSuchCachePolicy, b.GetCachePolicy(), "does not exist; ListCachePolicies shows those that do")
		}
		name := b.GetOriginRequestPolicy()
		if id := strings.TrimPrefix(name, keys.OriginRequestPolicies.Name("")); name != "" && deps.requests[id] == nil {
			absent(field+".origin_request_policy", reasonNoSuchRequestPolicy, name, "does not exist; ListOriginRequestPolicies shows those that do")
		}
	}
	c := d.GetConfig()
	behavior("config.default_cache_behavior", c.GetDefaultCacheBehavior())
	for i, b := range c.GetCacheBehaviors() {
		behavior(fmt.Sprintf("config.cache_behaviors[%d]", i), b)
	}
	name := c.GetViewerCertificate().GetCertificate()
	if id := strings.TrimPrefix(name, keys.Certificates.Name("")); name != "" && deps.certificates[id] == nil {
		absent("config.viewer_certificate.certificate", reasonEntityNotFound, name, "does not exist; import it with CertificateService first")
	}
	for i, o := range c.GetOrigins() {
		id, isRef := strings.CutPrefix(o.GetOriginRef(), keys.Origins.Name(""))
		if isRef && deps.origins[id] == nil {
			absent(fmt.Sprintf("config.origins[%d].origin_ref", i), reasonEntityNotFound, o.GetOriginRef(), "is not registered; create it with OriginService first")
		}
	}
	return out
}
