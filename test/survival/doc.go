// SPDX-License-Identifier: Apache-2.0

// Package survival tests what viewers do not notice: edges that are restarted behind a
// balancer, certificates that are replaced, a disk that is full. Edges and control plane
// are the real programs.
package survival
