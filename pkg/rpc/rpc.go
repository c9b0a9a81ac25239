// SPDX-License-Identifier: Apache-2.0

// Package rpc is how Seafront's services speak gRPC: a server with health,
// reflection, tracing, logging and errors in one form, and connections to other
// services, over the network or within the process.
//
// It promises: the text of an unknown error or of a panic stays in the log; the
// health of a service is what its part says; Serve returns only when every call and
// every part has ended, within the grace as long as they obey their contexts; a
// handler runs for callers only that the guard has admitted. It knows no service and
// no rule about who may call it.
package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// Part is a service package as a server sees it.
type Part interface {
	// Register adds the part's gRPC services. It is called once, before Run.
	Register(grpc.ServiceRegistrar)
	// Run does the part's work in the background until ctx ends, which is after the
	// last call has ended. It calls serving when it begins or ceases to be able to
	// answer; the health of the part's services follows. A returned error ends the
	// server.
	Run(ctx context.Context, serving func(bool)) error
}

// Bounds of connections, on both sides. The smallest pause between a client's pings
// is below the client's own, so that no clock makes an enemy of it.
const (
	maxReceive       = 4 << 20  // bytes of one message (C6.20)
	maxHeader        = 64 << 10 // bytes of a call's header, tokens included
	maxStreams       = 1000     // calls at a time on one connection
	handshakeTimeout = 10 * time.Second
	pingAfter        = 30 * time.Second
	pingTimeout      = 10 * time.Second
	leastPingPause   = 10 * time.Second
	longestReconnect = 2 * time.Second
)
