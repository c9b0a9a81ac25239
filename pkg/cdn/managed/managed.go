// SPDX-License-Identifier: Apache-2.0

// Package managed holds the policies that every installation has: the same ids and
// content as CloudFront's, so that existing configurations can be taken over
// unchanged (C1.82, D27.a, D27.b, D27.c), and beside them a pair of our own, by which
// an edge is a cache as RFC 9111 has it. They can be read and referred to, never
// changed. They are as they are, and need not pass the rules for custom ones.
package managed

import "github.com/seafront-cdn/seafront/pkg/cdn/keys"

// Has says whether a resource is one of these: part of the program, without a record.
func Has(c keys.Collection, id string) bool {
	switch c {
	case keys.CachePolicies:
		_, ok := CachePolicy(id)
		return ok
	case keys.OriginRequestPolicies:
		_, ok := OriginRequestPolicy(id)
		return ok
	}
	return false
}

// The pair of our own.
const (
	// StandardHTTP is the id of the cache policy: everything about freshness is the
	// origin's and the viewer's to say, and the key is path and query.
	StandardHTTP = "5eaf9111-0000-4000-8000-000000000001"
	// TransparentProxy is the id of the origin request policy: the origin hears all that
	// the viewer said, and how it came.
	TransparentProxy = "5eaf9110-0000-4000-8000-000000000001"
)

// etag is that of a policy which so many releases have changed.
func etag(version int) string { return "EMANAGED" + string(rune('A'+version)) + "AAAAA" }
