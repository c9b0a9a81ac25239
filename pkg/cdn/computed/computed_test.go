// SPDX-License-Identifier: Apache-2.0

package computed

import (
	"net/netip"
	"testing"
)

func TestValue(t *testing.T) {
	v4 := Viewer{Address: netip.MustParseAddrPort("198.51.100.10:46532"), Scheme: "https", Major: 2}
	v6 := Viewer{Address: netip.MustParseAddrPort("[2001:db8::1%eth0]:443"), Scheme: "http", Major: 1, Minor: 1}
	mapped := Viewer{Address: netip.MustParseAddrPort("[::ffff:192.0.2.1]:80")}
	for _, tt := range []struct {
		rule, name string
		viewer     Viewer
		want       string
		built      bool
	}{
		{"D10.2: address", "CloudFront-Viewer-Address", v4, "198.51.100.10:46532", true},
		{"D10.2: IPv6 without brackets", "cloudfront-viewer-address", v6, "2001:db8::1:443", true},
		{"D10.2: IPv4 in IPv6", "CloudFront-Viewer-Address", mapped, "192.0.2.1:80", true},
		{"D10.2: scheme", "CloudFront-Forwarded-Proto", v4, "https", true},
		{"D10.2: version", "CloudFront-Viewer-Http-Version", v4, "2.0", true},
		{"D10.2: version", "CLOUDFRONT-VIEWER-HTTP-VERSION", v6, "1.1", true},
		{"D10.2: the country is not built", "CloudFront-Viewer-Country", v4, "", false},
		{"D10.1: another name", "Viewer-Address", v4, "", false},
		{"D10.1: no name", "CloudFront-", v4, "", false},
	} {
		got, built := Value(tt.name, tt.viewer)
		if got != tt.want || built != tt.built || Built(tt.name) != tt.built {
			t.Errorf("%s: %s = %q, %v", tt.rule, tt.name, got, built)
		}
	}
	if !Is("cloudfront-anything") || Is("CloudFront") || Is("X-CloudFront-A") {
		t.Error("D10.1: which names are the edge's")
	}
}
