// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"slices"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
)

// key asks: which stored object is this? The cache policy of the behavior answers
// (D11).
func (p *Pipeline) key(_ context.Context, x *visit) bool {
	policy, ok := x.config.CachePolicy(x.behavior)
	if !ok {
		return x.refuse(503, "The cache policy of this distribution is not available.")
	}
	x.rules = httpcache.Policy{
		Min: policy.Min, Default: policy.Def, Max: policy.Max,
		ErrorTTL:         x.distribution.ErrorTTL,
		CookiesForwarded: policy.CookiesForwarded,
		KeyedHeaders:     policy.Headers,
	}
	fields := x.header
	if slices.ContainsFunc(policy.Headers, func(n string) bool { return header.Equal(n, "Host") }) {
		fields = fields.Clone(1)
		fields.Set("Host", x.req.Host) // D11.2
	}
	if x.config.HidesEncoding(&x.behavior.Origin) { // D11.20
		fields = fields.Clone(0)
		fields.Del("Accept-Encoding")
	}
	x.keyRoom, x.forward = policy.Key.Append(x.keyRoom[:0], cachekey.Parts{
		Distribution: x.distribution.ID,
		Method:       x.req.Method,
		Path:         x.path,
		Query:        x.query,
		Header:       fields,
	})
	x.name = cachekey.View(x.keyRoom)
	return false
}
