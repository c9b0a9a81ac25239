// SPDX-License-Identifier: Apache-2.0

// Package proto is the root of the Go SDK: generated messages and gRPC clients
// live below gen.
package proto
