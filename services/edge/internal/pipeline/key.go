// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"slices"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/computed"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
)

// keyFields is the header that the key is made of.
func (p *Pipeline) keyFields(x *visit) header.Fields {
	fields := x.header
	if slices.ContainsFunc(x.policy.Headers, func(n string) bool { return header.Equal(n, "Host") }) {
		fields = fields.Clone(1)
		fields.Set("Host", x.req.Host) // D11.2
	}
	if x.config.HidesEncoding(x.behavior.Origin) { // D11.20
		fields = fields.Clone(0)
		fields.Del("Accept-Encoding")
	}
	return fields
}

// kind is the method by whose rules the answer is stored: OPTIONS, where the behavior
// stores its answers, is like GET under a key of its own (D11.1, D24.9).
func (x *visit) kind() string {
	if x.req.Method == "OPTIONS" && x.behavior.Methods.Caches("OPTIONS") {
		return "GET"
	}
	return x.req.Method
}

// selecting is the header by which variants are told apart: the viewer's, with the
// Accept-Encoding that the origin gets (RFC 9111 §4.1).
func selecting(viewer header.Fields, f *cachekey.Forward) header.Fields {
	if f == nil || !f.HasAcceptEncoding {
		return viewer
	}
	h := viewer.Clone(1)
	h.Set("Accept-Encoding", f.AcceptEncoding)
	return h
}

// key asks: which stored object is this? The cache policy of the behavior answers
// (D11).
func (p *Pipeline) key(_ context.Context, x *visit) bool {
	policy := x.policy
	more, ok := x.config.OriginRequestPolicy(x.behavior)
	if !ok {
		return x.refuse(503, "The origin request policy of this distribution is not available.")
	}
	x.more = more
	x.rules = httpcache.Policy{
		Min: policy.Min, Default: policy.Def, Max: policy.Max,
		ErrorTTL:         x.distribution.ErrorTTL,
		CookiesForwarded: policy.CookiesForwarded || more.Cookies(),
		KeyedHeaders:     policy.Headers,
		Forwarded:        more,
	}
	if policy.Semantics == snapshot.HTTPSemantics {
		x.rules.Semantics, x.rules.Heuristic, x.rules.Targeted = httpcache.HTTP, policy.Heuristic, true
		x.rules.Key = &policy.Key
	}
	x.ranges()
	x.wants = httpcache.ParseRequest(x.kind(), x.header, x.rules)
	x.keyRoom, x.forward = policy.Key.Append(x.keyRoom[:0], cachekey.Parts{
		Distribution: x.distribution.ID,
		Method:       x.req.Method,
		Path:         x.path,
		Query:        x.query,
		Header:       p.keyFields(x),
		Viewer:       x.viewer(),
	})
	x.name = cachekey.View(x.keyRoom)
	return false
}

// viewer is what the edge knows of whoever asks (D10).
func (x *visit) viewer() computed.Viewer {
	return computed.Viewer{Address: x.req.Viewer, Scheme: x.req.Scheme, Major: x.req.Major, Minor: x.req.Minor}
}
