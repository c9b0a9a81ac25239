// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"slices"
	"strconv"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons for which one more distribution may not refer to a policy.
const (
	reasonTooManyOfPolicy        = "TOO_MANY_DISTRIBUTIONS_ASSOCIATED_TO_CACHE_POLICY"          // C2.313
	reasonTooManyOfRequestPolicy = "TOO_MANY_DISTRIBUTIONS_ASSOCIATED_TO_ORIGIN_REQUEST_POLICY" // C2.314
)

// checkSharing looks whether the custom policies that d refers to and before, nil for a
// new distribution, does not are used by as many distributions as may use one (C4.30).
// Like every quota it is without a lock (C8.63).
func (s *Server) checkSharing(ctx context.Context, prefix string, before, d *configv1.Distribution) error {
	had := targets(before)
	for _, t := range targets(d) {
		most, limited := s.mostPerPolicy[t.Collection]
		if !limited || slices.Contains(had, t) {
			continue
		}
		n, err := records.Count(ctx, s.kv, keys.RefsTo(t.Collection, t.ID))
		if err != nil {
			return err
		}
		if n >= most {
			reason := reasonTooManyOfPolicy
			if t.Collection == keys.OriginRequestPolicies {
				reason = reasonTooManyOfRequestPolicy
			}
			return apierr.New(apierr.Exhausted, reason, "%s is used by %d distributions; at most %d may use one", t.Name(), n, most).
				At(prefix+rules.PolicyField(d, t)).With("resource", t.Name()).
				With("limit", strconv.FormatInt(most, 10)).With("actual", strconv.FormatInt(n, 10))
		}
	}
	return nil
}
