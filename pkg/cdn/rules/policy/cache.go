// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// TTLs of cache policies.
const (
	day    = 24 * time.Hour
	year   = 365 * day
	maxTTL = 100 * year // C2.93
)

// unkeyable are headers that no cache policy may have in its key (C2.101, D11.8): what
// belongs to one connection, what edges make themselves, and what differs from viewer
// to viewer.
func unkeyable() []string {
	return []string{
		"Connection", "Cookie", "Proxy-Authorization", "TE", "Upgrade", "Cache-Control", "Content-Length", "Max-Forwards",
		"Pragma", "Proxy-Authenticate", "Proxy-Connection", "Request-Range", "Trailer", "Transfer-Encoding", "X-Amz-Cf-Id",
		"X-Edge-*", "X-Forwarded-Proto", "X-Real-IP",
		"CloudFront-Viewer-Address", "CloudFront-Viewer-ASN", "CloudFront-Viewer-JA3-Fingerprint",
		"CloudFront-Viewer-JA4-Fingerprint", "CloudFront-Viewer-TLS", "CloudFront-Viewer-Header-Order",
		"CloudFront-Viewer-Header-Count", "CloudFront-Error-Uri", "CloudFront-Error-Args",
	}
}

// DefaultCache fills what is left out of p (C2.92, C2.93, C2.94, C9.17). It is
// idempotent. An absent min_ttl stays absent: it has no default. With the semantics of
// HTTP an answer has no lifetime that nobody gave it.
func DefaultCache(p *configv1.CachePolicy) {
	longer := func(d time.Duration, than *durationpb.Duration) *durationpb.Duration {
		// Compared as seconds: a Duration reaches further than a time.Duration.
		if than.GetSeconds() > int64(d/time.Second) {
			return &durationpb.Duration{Seconds: than.GetSeconds()}
		}
		return durationpb.New(d)
	}
	usual := day
	if isHTTP(p) {
		usual = 0
	}
	if p.GetDefaultTtl() == nil {
		p.DefaultTtl = longer(usual, p.GetMinTtl())
	}
	if p.GetMaxTtl() == nil {
		p.MaxTtl = longer(year, p.GetDefaultTtl())
	}
	if p.GetHeaders() == nil {
		p.Headers = &configv1.HeaderSelection{}
	}
	if p.GetHeaders().GetMode() == configv1.HeaderSelection_MODE_UNSPECIFIED {
		p.Headers.Mode = configv1.HeaderSelection_MODE_NONE
	}
	p.Cookies, p.QueryStrings = defaultItems(p.GetCookies()), defaultItems(p.GetQueryStrings())
	if p.GetSemantics() == configv1.CacheSemantics_CACHE_SEMANTICS_UNSPECIFIED {
		p.Semantics = configv1.CacheSemantics_CACHE_SEMANTICS_CLOUDFRONT
	}
}

func isHTTP(p *configv1.CachePolicy) bool {
	return p.GetSemantics() == configv1.CacheSemantics_CACHE_SEMANTICS_HTTP
}

// CheckCache returns everything that is wrong with p by itself. Field paths begin at
// CachePolicy. p has been through rules.Unsupported and DefaultCache.
func CheckCache(p *configv1.CachePolicy, limits Items) []rules.Violation {
	var f rules.Findings
	named(&f, p.GetDisplayName(), p.GetComment()) // C2.89, C2.90
	checkTTLs(&f, p)
	if p.GetMaxTtl().GetSeconds() == 0 {
		checkNothingKeyed(&f, p)
	}
	f.Enum("headers.mode", p.GetHeaders().GetMode()) // C2.96, C2.104
	lists(&f,
		list{
			field: "headers", names: p.GetHeaders().GetNames(), named: p.GetHeaders().GetMode() == configv1.HeaderSelection_MODE_LISTED,
			most: limits.Headers, tooMany: ReasonTooManyHeaders, folded: true,
			check: func(name string) error { return checkKeyed(name, p) },
		},
		items(&f, "cookies", p.GetCookies(), limits.Cookies, ReasonTooManyCookies, checkCookie),                           // C2.97
		items(&f, "query_strings", p.GetQueryStrings(), limits.QueryStrings, ReasonTooManyQueryStrings, checkQueryString), // C2.98
	)
	f.Enum("semantics", p.GetSemantics())
	if p.GetHeuristicFreshness() && !isHTTP(p) {
		f.Add("heuristic_freshness", rules.ReasonInvalid, "is set, and only %s knows such a thing; want another semantics, or default_ttl",
			configv1.CacheSemantics_CACHE_SEMANTICS_HTTP)
	}
	f.Join(rules.CheckLabels("labels", p.GetLabels()))
	return f.Found()
}

// checkKeyed checks one header of the key (C2.101).
func checkKeyed(name string, p *configv1.CachePolicy) error {
	if err := checkHeader(name, unkeyable(), "which cannot be in a cache key; an origin request policy may be the place for it"); err != nil {
		return err
	}
	if (p.GetAcceptEncodingGzip() || p.GetAcceptEncodingBrotli()) && header.Equal(name, "Accept-Encoding") {
		return fmt.Errorf("is %s, which accept_encoding_gzip and accept_encoding_brotli put into the key in a form of their own; want one or the other", name)
	}
	return nil
}

// checkTTLs checks that 0 <= min <= default <= max (C2.91, C2.92, C2.93, C2.99).
func checkTTLs(f *rules.Findings, p *configv1.CachePolicy) {
	least, usual, most := p.GetMinTtl(), p.GetDefaultTtl(), p.GetMaxTtl()
	if least == nil {
		f.Add("min_ttl", rules.ReasonInvalid, "is not set; it has no default, 0s is the usual value")
	}
	f.Seconds("min_ttl", least, 0, maxTTL)
	if isHTTP(p) && least.GetSeconds() > 0 {
		f.Add("min_ttl", rules.ReasonInvalid, "is %ds; want 0s with %s, by which no answer is kept for longer than its origin says", least.GetSeconds(), p.GetSemantics())
	}
	f.Seconds("default_ttl", usual, 0, maxTTL)
	if usual.GetSeconds() < least.GetSeconds() {
		f.Add("default_ttl", rules.ReasonInvalid, "is %ds, below min_ttl (%ds); want at least as long", usual.GetSeconds(), least.GetSeconds())
	}
	f.Seconds("max_ttl", most, 0, maxTTL)
	if most.GetSeconds() < usual.GetSeconds() {
		f.Add("max_ttl", rules.ReasonInvalid, "is %ds, below default_ttl (%ds, where it is left out the longer of one day and min_ttl); want at least as long, or a shorter default_ttl",
			most.GetSeconds(), usual.GetSeconds())
	}
}

// checkNothingKeyed is for policies that turn caching off (C2.100, C9.18).
func checkNothingKeyed(f *rules.Findings, p *configv1.CachePolicy) {
	const text = "is invalid for a policy with caching disabled: max_ttl is 0"
	none := configv1.ItemSelection_MODE_NONE
	for _, c := range []struct {
		field string
		keyed bool
	}{
		{"accept_encoding_gzip", p.GetAcceptEncodingGzip()},
		{"accept_encoding_brotli", p.GetAcceptEncodingBrotli()},
		{"headers.mode", p.GetHeaders().GetMode() != configv1.HeaderSelection_MODE_NONE},
		{"cookies.mode", p.GetCookies().GetMode() != none},
		{"query_strings.mode", p.GetQueryStrings().GetMode() != none},
	} {
		if c.keyed {
			f.Add(c.field, rules.ReasonInvalid, text)
		}
	}
}

// CacheWarnings returns advice about what is legal in p and probably not meant, each
// beginning with the field that it is about. p is valid.
func CacheWarnings(p *configv1.CachePolicy) []string {
	var out []string
	if p.GetMinTtl().GetSeconds() > 0 { // C9.18
		out = append(out, fmt.Sprintf("min_ttl: answers that their origin marks no-store, no-cache or private are kept for %ds all the same", p.GetMinTtl().GetSeconds()))
	}
	if isHTTP(p) && p.GetDefaultTtl().GetSeconds() > 0 {
		out = append(out, fmt.Sprintf("default_ttl: answers whose origin says nothing of their lifetime are kept for %ds, as RFC 9111 allows; 0s keeps none", p.GetDefaultTtl().GetSeconds()))
	}
	out = append(out, wildcards("cookies", p.GetCookies())...)
	return append(out, wildcards("query_strings", p.GetQueryStrings())...)
}
