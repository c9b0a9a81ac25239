// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// cdnHeaders is how the headers begin that edges compute (D10.1).
const cdnHeaders = "CloudFront-*"

// unsendable are headers that an origin request policy may not name (C2.109, C9.19):
// what the cache policy decides about, and what belongs to one connection.
func unsendable() []string {
	return []string{
		"Authorization", "Accept-Encoding", "Cookie", "Connection", "Content-Length", "Keep-Alive", "Proxy-Authenticate",
		"Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
	}
}

// DefaultOriginRequest fills what is left out of p. It is idempotent.
func DefaultOriginRequest(p *configv1.OriginRequestPolicy) {
	if p.GetHeaders() == nil {
		p.Headers = &configv1.OriginRequestHeaders{}
	}
	if p.GetHeaders().GetMode() == configv1.OriginRequestHeaders_MODE_UNSPECIFIED {
		p.Headers.Mode = configv1.OriginRequestHeaders_MODE_NONE
	}
	p.Cookies, p.QueryStrings = defaultItems(p.GetCookies()), defaultItems(p.GetQueryStrings())
}

// CheckOriginRequest returns everything that is wrong with p by itself. Field paths
// begin at OriginRequestPolicy. p has been through DefaultOriginRequest.
func CheckOriginRequest(p *configv1.OriginRequestPolicy, limits Items) []rules.Violation {
	var f rules.Findings
	f.Join(rules.CheckLabels("labels", p.GetLabels()))
	named(&f, p.GetDisplayName(), p.GetComment()) // C2.105
	mode := p.GetHeaders().GetMode()
	f.Enum("headers.mode", mode) // C2.106
	lists(&f,
		list{ // C2.107
			field: "headers", names: p.GetHeaders().GetNames(), most: limits.Headers, tooMany: ReasonTooManyRequestHeaders, folded: true,
			named: mode == configv1.OriginRequestHeaders_MODE_LISTED || mode == configv1.OriginRequestHeaders_MODE_ALL_EXCEPT ||
				mode == configv1.OriginRequestHeaders_MODE_ALL_VIEWER_AND_LISTED_CDN,
			check: func(name string) error { return checkSent(name, mode) },
		},
		items(&f, "cookies", p.GetCookies(), limits.Cookies, ReasonTooManyRequestCookies, checkCookie), // C2.108
		items(&f, "query_strings", p.GetQueryStrings(), limits.QueryStrings, ReasonTooManyRequestQueryStrings, checkQueryString),
	)
	return f.Found()
}

// checkSent checks one name of a header list.
func checkSent(name string, mode configv1.OriginRequestHeaders_Mode) error {
	switch mode {
	case configv1.OriginRequestHeaders_MODE_ALL_EXCEPT: // what is kept back may be anything (D11.22)
		return checkHeader(name, nil, "")
	case configv1.OriginRequestHeaders_MODE_ALL_VIEWER_AND_LISTED_CDN:
		if err := checkHeader(name, nil, ""); err != nil || among(name, []string{cdnHeaders}) {
			return err
		}
		return fmt.Errorf("is %.100q; with this mode every header of the viewer is sent, and names adds those that begin with CloudFront-", name)
	}
	return checkHeader(name, unsendable(), "which an origin request policy cannot send: a cache policy decides about Authorization, Accept-Encoding and cookies, and each connection has its own of the others")
}

// OriginRequestWarnings is CacheWarnings for an origin request policy.
func OriginRequestWarnings(p *configv1.OriginRequestPolicy) []string {
	return append(wildcards("cookies", p.GetCookies()), wildcards("query_strings", p.GetQueryStrings())...)
}
