// SPDX-License-Identifier: Apache-2.0

// Package scale measures the control plane and an edge at the size that Seafront is
// made for: the real programs around a real etcd, a hundred thousand distributions with
// aliases, registered origins and cache policies of their own.
package scale
