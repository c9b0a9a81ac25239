// SPDX-License-Identifier: Apache-2.0

// Package rpc is how Seafront's services speak gRPC: a server with health,
// reflection, tracing, logging and errors in one form, and connections to other
// services, over the network or within the process. It knows no service.
package rpc

import (
	"context"

	"google.golang.org/grpc"
)

// Part is a service package as a server sees it.
type Part interface {
	// Register adds the part's gRPC services. It is called once, before Run.
	Register(grpc.ServiceRegistrar)
	// Run does the part's work in the background until ctx ends. It calls serving
	// when it begins or ceases to be able to answer; the health of the part's
	// services follows. A returned error ends the server.
	Run(ctx context.Context, serving func(bool)) error
}
