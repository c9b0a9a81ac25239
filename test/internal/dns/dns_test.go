// SPDX-License-Identifier: Apache-2.0

package dns_test

import (
	"context"
	"net"
	"testing"

	"github.com/seafront-cdn/seafront/test/internal/dns"
)

func TestNames(t *testing.T) {
	address := dns.Start(t, "s3.test")
	for _, network := range []string{"udp", "tcp"} {
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}}
		got, err := r.LookupHost(t.Context(), "bucket.s3.test")
		if err != nil || len(got) != 1 || got[0] != "127.0.0.1" {
			t.Errorf("%s: bucket.s3.test is %q, %v", network, got, err)
		}
		if got, err := r.LookupHost(t.Context(), "bucket.s4.test"); err == nil {
			t.Errorf("%s: bucket.s4.test is %q", network, got)
		}
	}
}
