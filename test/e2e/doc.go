// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the real programs as a user meets them: the all-in-one process
// in front of real servers, and a cluster of processes in which parts fail.
package e2e
