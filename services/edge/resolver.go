// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"context"
	"net"

	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// resolver asks the configured DNS server; nil stands for the system's.
func (c Config) resolver() origin.Resolver {
	if c.Resolver == "" {
		return nil
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, c.Resolver)
	}}
}
