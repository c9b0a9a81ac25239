// SPDX-License-Identifier: Apache-2.0

// Package httpcache holds the caching rules of the edge as functions of values, for two
// Semantics: CloudFront, where the settings of a distribution decide, and HTTP, which is
// RFC 9111. A Policy says which; its callers do not ask. Time is always an argument.
//
// What the steps of a request ask, in their order:
//
//   - What does the request want, and may the cache be used for it? ParseRequest,
//     Request.Uses, Request.Joins.
//   - Which variant is it? Below a cache key lies either the one answer for it, or what
//     Vary the newest answer had; then Vary.AppendKey makes the key of the variant out of
//     the request as the origin would get it. An answer is stored below what its own
//     Assessment.Vary makes of the request that brought it, so that what is found matches.
//   - May the stored answer be used now? Decide, by the Span kept beside it; Absent if
//     there is none.
//   - How is it validated? ValidationFields, Confirms, Merge; Freshen for an answer to
//     HEAD.
//   - May an answer be kept, for how long, and may those who waited have it? Assess. Those
//     must select the same variant: Vary.Matches.
//   - May a stale answer be served instead of an error? Policy.Failed, StaleOnError;
//     ErrorTTL says when the origin is tried again.
//   - What does the viewer get? ViewerHeader for the one whose request brought the answer,
//     StoredHeader for all others, Age, Evaluate and NotModifiedHeader, CacheStatus.
//   - What does this answer invalidate? Invalidated.
//
// It promises to do no I/O, to keep no state and to change none of its arguments; and that
// what is asked for a hit allocates nothing: ParseRequest without directives, AppendKey,
// Decide, Age, Evaluate. It does not choose the cache key and does not hold objects.
package httpcache
