// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestCheckOriginRequest(t *testing.T) {
	const (
		none   = configv1.OriginRequestHeaders_MODE_NONE
		listed = configv1.OriginRequestHeaders_MODE_LISTED
		viewer = configv1.OriginRequestHeaders_MODE_ALL_VIEWER
		cdn    = configv1.OriginRequestHeaders_MODE_ALL_VIEWER_AND_LISTED_CDN
		except = configv1.OriginRequestHeaders_MODE_ALL_EXCEPT
		policy = "_IN_ORIGIN_REQUEST_POLICY"
	)
	headers := func(mode configv1.OriginRequestHeaders_Mode, names ...string) func(*configv1.OriginRequestPolicy) {
		return func(p *configv1.OriginRequestPolicy) {
			p.Headers = &configv1.OriginRequestHeaders{Mode: mode, Names: names}
		}
	}
	for _, tt := range []struct {
		rule   string
		change func(p *configv1.OriginRequestPolicy)
		bad    string
	}{
		{"C2.106: nothing said", func(*configv1.OriginRequestPolicy) {}, ""},
		{"C2.105: no name", func(p *configv1.OriginRequestPolicy) { p.DisplayName = "" }, "display_name"},
		{"C2.107: all of the viewer's", headers(viewer), ""},
		{"C2.107: all with a list", headers(viewer, "Origin"), "headers.names"},
		{"C2.107: none with a list", headers(none, "Origin"), "headers.names"},
		{"C2.107: a list without names", headers(listed), "headers.names"},
		{"C2.107: all but nothing", headers(except), "headers.names"},
		{"C2.107: the edge's own", headers(cdn, "CloudFront-Viewer-Country", "cloudfront-viewer-tls"), ""},
		{"C2.107: others among the edge's own", headers(cdn, "CloudFront-Viewer-Country", "Origin"), "headers.names[1]"},
		{"C2.107: the edge's own, none named", headers(cdn), "headers.names"},
		{"C2.107, C4.32: 11 headers", headers(listed, names(11)...), "headers.names TOO_MANY_HEADERS" + policy},
		{"C2.106, C6.60: another mode", headers(9), "headers.mode UNKNOWN_ENUM_VALUE"},
		{"C2.109, C2.358: by that very name", headers(listed, "Authorization", "accept-encoding", "X-Accept-Encoding-Hint", "X-Authorization"), "headers.names[0], headers.names[1]"},
		{"C2.109: of a connection", headers(listed, "connection", "TE", "Upgrade", "Host", "Origin"), "headers.names[0], headers.names[1], headers.names[2]"},
		{"D11.22: held back", headers(except, "Authorization", "Host"), ""},
		{"C2.103: a wildcard", headers(except, "X-*"), "headers.names[0]"},
		{"C2.108: all but some", func(p *configv1.OriginRequestPolicy) {
			p.Cookies = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_ALL_EXCEPT, Names: []string{"session"}}
			p.QueryStrings = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_ALL}
		}, ""},
		{"C2.108, C4.32: 11 of each", func(p *configv1.OriginRequestPolicy) {
			p.Cookies = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_LISTED, Names: names(11)}
			p.QueryStrings = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_LISTED, Names: names(11)}
		}, "cookies.names TOO_MANY_COOKIES" + policy + ", query_strings.names TOO_MANY_QUERY_STRINGS" + policy},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := &configv1.OriginRequestPolicy{DisplayName: "mine"}
			tt.change(p)
			DefaultOriginRequest(p)
			if got := in(CheckOriginRequest(p, DefaultItems())); got != tt.bad {
				t.Errorf("violations %q, want %q", got, tt.bad)
			}
			again := proto.CloneOf(p)
			if DefaultOriginRequest(again); !proto.Equal(p, again) {
				t.Error("defaults are not idempotent")
			}
		})
	}
	for _, p := range managed.OriginRequestPolicies() {
		if got := in(CheckOriginRequest(p, Items{Headers: 21, Cookies: 10, QueryStrings: 10})); got != "" {
			t.Errorf("C1.82: %s: %s", p.GetDisplayName(), got)
		}
	}
}
