// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/policy"
)

// PolicyLimits are the quotas of policies; a part of Limits.
type PolicyLimits struct {
	CachePolicies           int64 `help:"How many custom cache policies there may be; 0 is 20." group:"Quotas" env:"SEAFRONT_MAX_CACHE_POLICIES"`
	OriginRequestPolicies   int64 `help:"How many custom origin request policies there may be; 0 is 20." group:"Quotas" env:"SEAFRONT_MAX_ORIGIN_REQUEST_POLICIES"`
	ResponseHeadersPolicies int64 `help:"How many custom response headers policies there may be; 0 is 20." group:"Quotas" env:"SEAFRONT_MAX_RESPONSE_HEADERS_POLICIES"`

	DistributionsPerCachePolicy int64 `help:"How many distributions may refer to one custom cache policy; 0 is 100." group:"Quotas" env:"SEAFRONT_MAX_DISTRIBUTIONS_PER_CACHE_POLICY"`

	DistributionsPerOriginRequestPolicy int64 `help:"How many distributions may refer to one custom origin request policy; 0 is 100." group:"Quotas" env:"SEAFRONT_MAX_DISTRIBUTIONS_PER_ORIGIN_REQUEST_POLICY"`

	HeadersPerCachePolicy              int64 `help:"How many headers a cache policy may name; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_HEADERS_PER_CACHE_POLICY"`
	CookiesPerCachePolicy              int64 `help:"How many cookies a cache policy may name; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_COOKIES_PER_CACHE_POLICY"`
	QueryStringsPerCachePolicy         int64 `help:"How many query strings a cache policy may name; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_QUERY_STRINGS_PER_CACHE_POLICY"`
	HeadersPerOriginRequestPolicy      int64 `help:"How many headers an origin request policy may name; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_HEADERS_PER_ORIGIN_REQUEST_POLICY"`
	CookiesPerOriginRequestPolicy      int64 `help:"How many cookies an origin request policy may name; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_COOKIES_PER_ORIGIN_REQUEST_POLICY"`
	QueryStringsPerOriginRequestPolicy int64 `help:"How many query strings an origin request policy may name; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_QUERY_STRINGS_PER_ORIGIN_REQUEST_POLICY"`
	CustomHeaders                      int64 `help:"How many headers a response headers policy may add; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_CUSTOM_HEADERS"`
	RemoveHeaders                      int64 `help:"How many headers a response headers policy may remove; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_REMOVE_HEADERS"`
	SecurityPolicy                     int64 `help:"How many characters a Content-Security-Policy may have; 0 is 1783." group:"Quotas" env:"SEAFRONT_MAX_SECURITY_POLICY"`
}

// The most that a policy can be allowed to hold: every request to an edge goes through
// it, and every answer holds the headers.
const (
	mostPerPolicy      = 100
	mostSecurityPolicy = 16 << 10
)

func (l PolicyLimits) validate() error {
	for _, f := range []struct {
		flag string
		n    int64
		most int64
	}{
		{"cache-policies", l.CachePolicies, 0},
		{"origin-request-policies", l.OriginRequestPolicies, 0},
		{"response-headers-policies", l.ResponseHeadersPolicies, 0},
		{"distributions-per-cache-policy", l.DistributionsPerCachePolicy, 0},
		{"distributions-per-origin-request-policy", l.DistributionsPerOriginRequestPolicy, 0},
		{"headers-per-cache-policy", l.HeadersPerCachePolicy, mostPerPolicy},
		{"cookies-per-cache-policy", l.CookiesPerCachePolicy, mostPerPolicy},
		{"query-strings-per-cache-policy", l.QueryStringsPerCachePolicy, mostPerPolicy},
		{"headers-per-origin-request-policy", l.HeadersPerOriginRequestPolicy, mostPerPolicy},
		{"cookies-per-origin-request-policy", l.CookiesPerOriginRequestPolicy, mostPerPolicy},
		{"query-strings-per-origin-request-policy", l.QueryStringsPerOriginRequestPolicy, mostPerPolicy},
		{"custom-headers", l.CustomHeaders, mostPerPolicy},
		{"remove-headers", l.RemoveHeaders, mostPerPolicy},
		{"security-policy", l.SecurityPolicy, mostSecurityPolicy},
	} {
		if f.n < 0 || f.most > 0 && f.n > f.most {
			return fmt.Errorf("--max-%s is %d; it must be %s", f.flag, f.n, wanted(f.most))
		}
	}
	return nil
}

// filled has the defaults.
func (l PolicyLimits) filled() PolicyLimits {
	l.CachePolicies = cmp.Or(l.CachePolicies, 20)                              // C4.29
	l.OriginRequestPolicies = cmp.Or(l.OriginRequestPolicies, 20)              // C4.29
	l.ResponseHeadersPolicies = cmp.Or(l.ResponseHeadersPolicies, 20)          // C4.29
	l.DistributionsPerCachePolicy = cmp.Or(l.DistributionsPerCachePolicy, 100) // C4.30

	l.DistributionsPerOriginRequestPolicy = cmp.Or(l.DistributionsPerOriginRequestPolicy, 100) // C4.30
	return l
}

// perPolicy is how many distributions may refer to one custom policy, by its kind.
func (l PolicyLimits) perPolicy() map[keys.Collection]int64 {
	return map[keys.Collection]int64{
		keys.CachePolicies: l.DistributionsPerCachePolicy, keys.OriginRequestPolicies: l.DistributionsPerOriginRequestPolicy,
	}
}

// cacheItems are the limits of one cache policy.
func (l PolicyLimits) cacheItems() policy.Items {
	return items(l.HeadersPerCachePolicy, l.CookiesPerCachePolicy, l.QueryStringsPerCachePolicy)
}

// requestItems are the limits of one origin request policy.
func (l PolicyLimits) requestItems() policy.Items {
	return items(l.HeadersPerOriginRequestPolicy, l.CookiesPerOriginRequestPolicy, l.QueryStringsPerOriginRequestPolicy)
}

func items(headers, cookies, queryStrings int64) policy.Items {
	d := policy.DefaultItems()
	return policy.Items{
		Headers: cmp.Or(int(headers), d.Headers), Cookies: cmp.Or(int(cookies), d.Cookies), QueryStrings: cmp.Or(int(queryStrings), d.QueryStrings),
	}
}

// response are the limits of one response headers policy.
func (l PolicyLimits) response() policy.Response {
	d := policy.DefaultResponse()
	return policy.Response{
		CustomHeaders:  cmp.Or(int(l.CustomHeaders), d.CustomHeaders),
		RemoveHeaders:  cmp.Or(int(l.RemoveHeaders), d.RemoveHeaders),
		SecurityPolicy: cmp.Or(int(l.SecurityPolicy), d.SecurityPolicy),
	}
}
