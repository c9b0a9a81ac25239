// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
)

// match asks: which distribution, which behavior? The Host alone decides the first
// (D2.1); the behavior is that of the normalised path, with the default root object
// in the place of "/" (D5.1, D5.8, D12.7).
func (p *Pipeline) match(_ context.Context, x *visit) bool {
	if x.req.Host == "" {
		return x.refuse(403, badRequest) // HTTP/1.0 need not name one
	}
	host, ok := hostname.Fold(x.req.Host)
	if !ok {
		return x.refuse(400, badRequest)
	}
	x.distribution, ok = x.config.Match(host)
	if !ok {
		x.distribution = nil
		return x.refuse(403, badRequest) // D2.6
	}
	if x.req.Fronted {
		return x.refuse(421, "This connection was made for another host.") // D2.7
	}
	if !x.distribution.Enabled {
		return x.refuse(403, "This distribution is disabled.") // D0.5
	}
	if x.path == "/" && x.distribution.RootObject != "" { // D12.1, D12.2, D12.5
		x.path = x.distribution.RootObject
	}
	x.behavior = x.distribution.Behavior(pathpattern.Normalize(x.path))
	return false
}
