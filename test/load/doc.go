// SPDX-License-Identifier: Apache-2.0

// Package load asks servers over many connections from one thread, and tells how long
// answers took.
//
// It promises that latencies of a constant rate count from the moment at which a
// request was due, whether or not a connection was free then, so a server that stops
// for a while cannot hide it; and that every answer is checked for its status and
// length. It costs a server's peer one write and one or two reads a request.
//
// It knows HTTP/1.1 without TLS and answers with Content-Length only. The other end is
// here as well: Origin, which is fast, and Floor, which only reads and writes.
package load
