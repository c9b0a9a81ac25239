// SPDX-License-Identifier: Apache-2.0

// Package integrity lets many callers at several replicas do whatever the API offers,
// at random and at the same time, and then compares everything that is derived from
// resources with the resources: no replica may have broken what another relied on.
package integrity
