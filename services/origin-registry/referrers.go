// SPDX-License-Identifier: Apache-2.0

package originregistry

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// errMovedOn says that the state which was being looked at is no longer kept.
var errMovedOn = errors.New("the store has moved on")

// checkReferrers checks the changed origin o with every distribution that refers to
// it, as they are at one revision, and returns that revision (C5.36, C8.53).
func (s *Service) checkReferrers(ctx context.Context, id string, o *originv1.Origin) (at int64, err error) {
	refs, at, err := records.Names(ctx, s.kv, keys.RefsTo(keys.Origins, id), 0)
	if err != nil {
		return 0, err
	}
	var distributions []string // keys
	for _, ref := range refs {
		// Referrers of kinds that this release does not know have no rules here.
		if c, referrer, err := keys.ParseRef(ref); err == nil && c == keys.Distributions {
			distributions = append(distributions, keys.Resource(c, referrer))
		}
	}
	check := joined{origins: map[string]*originv1.Origin{id: o}, policies: map[string]*configv1.CachePolicy{}}
	err = records.Each(ctx, s.kv, distributions, at, func(item records.Item) error { return check.distribution(ctx, s, at, item) })
	switch {
	case errors.Is(err, rpctypes.ErrCompacted): // it took longer than history is kept
		return 0, fmt.Errorf("%w: %w", errMovedOn, err)
	case err != nil:
		return 0, err
	case len(check.broken) > 0:
		return 0, inUse(id, "cannot be changed like this, because "+check.why+". Distributions that would become invalid", check.broken)
	}
	return at, nil
}

// joined collects the distributions that a changed origin would make invalid.
type joined struct {
	origins  map[string]*originv1.Origin
	policies map[string]*configv1.CachePolicy // as far as met
	broken   []string                         // names
	why      string                           // of the first
}

func (j *joined) distribution(ctx context.Context, s *Service, at int64, item records.Item) error {
	var d configv1.Distribution
	if err := item.Into(&d); err != nil {
		return err
	}
	if err := j.loadPolicies(ctx, s, at, rules.DistributionRefs(&d).CachePolicies); err != nil {
		return err
	}
	bad := rules.CheckJoined(&d, j.policies, j.origins)
	if len(bad) == 0 {
		return nil
	}
	_, id := keys.Parse(item.Key)
	if len(j.broken) == 0 {
		j.why = fmt.Sprintf("%s of %s %s", bad[0].Field, keys.Distributions.Name(id), bad[0].Description)
	}
	j.broken = append(j.broken, keys.Distributions.Name(id))
	return nil
}

// loadPolicies makes sure that the policies are at hand: managed ones are part of the
// program, others are read at the same revision.
func (j *joined) loadPolicies(ctx context.Context, s *Service, at int64, ids []string) error {
	var custom []string // keys
	for _, id := range ids {
		if j.policies[id] != nil {
			continue
		}
		if p, ok := managed.CachePolicy(id); ok {
			j.policies[id] = p
			continue
		}
		custom = append(custom, keys.Resource(keys.CachePolicies, id))
	}
	return records.Each(ctx, s.kv, custom, at, func(item records.Item) error {
		_, id := keys.Parse(item.Key)
		p := &configv1.CachePolicy{}
		j.policies[id] = p
		return item.Into(p)
	})
}

// referrers are the names of those who hold references with these keys.
func referrers(refs []string) []string {
	var out []string
	for _, ref := range refs {
		if c, id, err := keys.ParseRef(ref); err == nil {
			out = append(out, c.Name(id))
		}
	}
	return out
}
