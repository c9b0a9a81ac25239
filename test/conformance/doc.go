// SPDX-License-Identifier: Apache-2.0

// Package conformance asks an edge of its own process, by raw bytes and by programs of
// others, whether it speaks HTTP as the RFCs say: where messages end, what a cache may
// do, HTTP/2, WebSocket, and what happens to peers that mean harm.
//
// Results are text below results/, one line a case. A case that has passed and fails is
// a failure of the test; one that never passed is not. UPDATE=1 writes what is so now.
//
// SEAFRONT_CONFORMANCE=1 runs all of it, which takes minutes and needs h2spec, h2load, curl
// and varnishtest; otherwise a few cases of each table are run.
package conformance
