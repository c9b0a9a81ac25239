// SPDX-License-Identifier: Apache-2.0

// Package httpcache holds the caching rules of the edge as functions of values:
// may an answer be stored, for how long is it fresh, what of its header is kept,
// and what does a conditional request get. Time is always an argument.
//
// It promises to do no I/O, to keep no state and to change none of its
// arguments. It does not choose the cache key, does not hold objects and does
// not build the windows of stale-while-revalidate and stale-if-error
// (D13.24, D13.25).
package httpcache
