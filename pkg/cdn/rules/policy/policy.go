// SPDX-License-Identifier: Apache-2.0

// Package policy holds what the fields of cache policies, origin request policies and
// response headers policies may say: their defaults, and every violation at once, in
// the order of the fields. It is pure. It promises that a cache policy without
// violations compiles, and that no message makes it panic. What a policy does to a
// distribution that uses it is a question for rules.CheckJoined; managed policies are
// as they are, and not checked.
package policy

import (
	"slices"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
)

// Reasons of violations beside those of package rules; all stand for
// INVALID_ARGUMENT.
const (
	ReasonTooManyHeaders             = "TOO_MANY_HEADERS_IN_CACHE_POLICY"                   // C2.279
	ReasonTooManyCookies             = "TOO_MANY_COOKIES_IN_CACHE_POLICY"                   // C2.280
	ReasonTooManyQueryStrings        = "TOO_MANY_QUERY_STRINGS_IN_CACHE_POLICY"             // C2.281
	ReasonTooManyRequestHeaders      = "TOO_MANY_HEADERS_IN_ORIGIN_REQUEST_POLICY"          // C2.282
	ReasonTooManyRequestCookies      = "TOO_MANY_COOKIES_IN_ORIGIN_REQUEST_POLICY"          // C2.283
	ReasonTooManyRequestQueryStrings = "TOO_MANY_QUERY_STRINGS_IN_ORIGIN_REQUEST_POLICY"    // C2.284
	ReasonTooManyCustomHeaders       = "TOO_MANY_CUSTOM_HEADERS_IN_RESPONSE_HEADERS_POLICY" // C2.285
	ReasonTooManyRemoveHeaders       = "TOO_MANY_REMOVE_HEADERS_IN_RESPONSE_HEADERS_POLICY" // C2.286
	ReasonTooLongCSP                 = "TOO_LONG_CSP_IN_RESPONSE_HEADERS_POLICY"            // C2.292
)

const (
	maxNames       = 1024 // characters of all names together (C2.102, C4.33)
	maxHeaderName  = 256  // C2.120, D21.15
	maxHeaderValue = 1783 // C2.120, D21.15
)

// Items are quotas of a cache policy or an origin request policy that an operator can
// set: how many names of each kind there may be (C4.31, C4.32).
type Items struct{ Headers, Cookies, QueryStrings int }

// DefaultItems are the quotas unless the operator sets others.
func DefaultItems() Items { return Items{Headers: 10, Cookies: 10, QueryStrings: 10} }

// Response are quotas of a response headers policy that an operator can set: how many
// headers may be added and removed, and the length of a Content-Security-Policy in
// characters (C4.34, C4.35, C4.36).
type Response struct{ CustomHeaders, RemoveHeaders, SecurityPolicy int }

// DefaultResponse are the quotas unless the operator sets others.
func DefaultResponse() Response {
	return Response{CustomHeaders: 10, RemoveHeaders: 10, SecurityPolicy: 1783}
}

// named checks what every policy has (C2.7, C2.9).
func named(f *rules.Findings, name, comment string) {
	f.Join(rules.CheckUniqueName("display_name", name))
	f.Comment("comment", comment)
}

// among says whether a header is in a list whose entries may end with a star for any
// rest.
func among(name string, list []string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		if n := len(entry) - 1; entry[n] == '*' {
			return len(name) >= n && header.Equal(name[:n], entry[:n])
		}
		return header.Equal(name, entry)
	})
}

// repeated says whether the i-th of names stands before it as well, in any case.
func repeated(names []string, i int) bool {
	return slices.ContainsFunc(names[:i], func(n string) bool { return header.Equal(n, names[i]) })
}
