// SPDX-License-Identifier: Apache-2.0

// Package cluster tests docker-compose.yml: its form here, and with the build tag
// cluster the running cluster, which needs a Docker engine.
package cluster
