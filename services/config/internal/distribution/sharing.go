// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

const reasonTooManyOfPolicy = "TOO_MANY_DISTRIBUTIONS_ASSOCIATED_TO_CACHE_POLICY" // C2.313

// checkSharing looks whether the custom cache policies that d refers to and before, nil
// for a new distribution, does not are used by as many distributions as may use one
// (C4.30). Like every quota it is without a lock (C8.63).
func (s *Server) checkSharing(ctx context.Context, prefix string, before, d *configv1.Distribution) error {
	had := rules.DistributionRefs(before).CachePolicies
	for _, id := range rules.DistributionRefs(d).CachePolicies {
		if _, ok := managed.CachePolicy(id); ok || slices.Contains(had, id) {
			continue
		}
		n, err := records.Count(ctx, s.kv, keys.RefsTo(keys.CachePolicies, id))
		if err != nil {
			return err
		}
		if n >= s.mostPerPolicy {
			name := keys.CachePolicies.Name(id)
			return apierr.New(apierr.Exhausted, reasonTooManyOfPolicy, "%s is used by %d distributions; at most %d may use one", name, n, s.mostPerPolicy).
				At(prefix+policyField(d, name)).With("resource", name).
				With("limit", strconv.FormatInt(s.mostPerPolicy, 10)).With("actual", strconv.FormatInt(n, 10))
		}
	}
	return nil
}

// policyField is the first field of d that names the cache policy.
func policyField(d *configv1.Distribution, policy string) string {
	c := d.GetConfig()
	if c.GetDefaultCacheBehavior().GetCachePolicy() == policy {
		return "config.default_cache_behavior.cache_policy"
	}
	i := slices.IndexFunc(c.GetCacheBehaviors(), func(b *configv1.CacheBehavior) bool { return b.GetCachePolicy() == policy })
	return fmt.Sprintf("config.cache_behaviors[%d].cache_policy", i)
}
