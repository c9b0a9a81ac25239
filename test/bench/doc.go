// SPDX-License-Identifier: Apache-2.0

// Package bench measures one edge beside nginx, Varnish and HAProxy from Debian's
// packages: all of them on one processor, their client and the origin on another, in
// turn and in one run. Before anything is measured each server has shown that its
// answers are right and come from its cache.
package bench
