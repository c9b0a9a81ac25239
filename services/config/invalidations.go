// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"iter"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/services/config/internal/completion"
	"github.com/seafront-cdn/seafront/services/config/internal/invalidation"
)

// DefaultInvalidationRetention is how long an invalidation is kept at least unless the
// configuration says otherwise (C8.28).
const DefaultInvalidationRetention = 7 * 24 * time.Hour

// invalidations makes the part of the service that is about them.
func invalidations(c Config, l Limits, requests *records.Requests, index *completion.Index) *invalidation.Server {
	return invalidation.New(invalidation.Config{
		KV: c.Etcd, Lease: c.Etcd, Requests: requests, Index: index,
		Limits:    rules.InvalidationLimits{Paths: int(l.InvalidationPaths), Wildcards: int(l.InvalidationWildcards)},
		Retention: cmp.Or(c.InvalidationRetention, DefaultInvalidationRetention),
	})
}

// keys are those of all that the indexes hold.
func (s *Service) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, held := range []iter.Seq[string]{s.index.Keys(), s.completions.Keys()} {
			for key := range held {
				if !yield(key) {
					return
				}
			}
		}
	}
}
