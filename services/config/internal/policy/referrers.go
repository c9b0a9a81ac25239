// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

const reasonCachePolicyInUse = "CACHE_POLICY_IN_USE" // C2.226

// checkReferrers checks a cache policy with every distribution that refers to it, as
// they are at one revision (C8.53). Only Host in the key can break one (C2.101): any
// other change is an ordinary write, however many refer to the policy (C8.52).
func checkReferrers(ctx context.Context, p *configv1.CachePolicy, c *collection.Company) ([]rules.Violation, error) {
	if !rules.KeysHost(p) {
		return nil, nil
	}
	var referring []*configv1.Distribution
	err := c.Referrers(ctx, func(of keys.Collection) bool { return of == keys.Distributions }, func(_ keys.Collection, item records.Item) error {
		d := &configv1.Distribution{}
		referring = append(referring, d)
		err := item.Into(d)
		d.Name = keys.Distributions.Name(keys.ID(item.Key))
		return err
	})
	if err != nil {
		return nil, err
	}
	var broken []string
	var why string
	for _, d := range referring {
		origins, err := registered(ctx, c, d)
		if err != nil {
			return nil, err
		}
		bad := rules.CheckJoined(d, map[string]*configv1.CachePolicy{c.ID: p}, origins)
		if len(bad) == 0 {
			continue
		}
		if len(broken) == 0 {
			why = fmt.Sprintf("%s of %s %s", bad[0].Field, d.GetName(), bad[0].Description)
		}
		broken = append(broken, d.GetName())
	}
	if len(broken) > 0 {
		return nil, collection.HeldBy(reasonCachePolicyInUse, keys.CachePolicies.Name(c.ID),
			"cannot be changed like this, because "+why+". Distributions that would become invalid", broken)
	}
	return nil, nil
}

// registered are the origins of the registry that d refers to. The change is then
// based on them, so that none can become a bucket at the same moment.
func registered(ctx context.Context, c *collection.Company, d *configv1.Distribution) (map[string]*originv1.Origin, error) {
	out := map[string]*originv1.Origin{}
	holder := strings.TrimPrefix(d.GetName(), keys.Distributions.Name(""))
	for _, id := range rules.DistributionRefs(d).Origins {
		o := &originv1.Origin{}
		found, err := c.Beside(ctx, keys.Origins, id, keys.Distributions, holder, o)
		if err != nil {
			return nil, err
		}
		if found {
			out[id] = o
		}
	}
	return out, nil
}
