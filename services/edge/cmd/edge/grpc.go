// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"

	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	"github.com/seafront-cdn/seafront/services/edge"
)

// api is the gRPC port of the edge.
type api struct {
	GRPCListen     string `help:"Address of CacheService by gRPC. Empty is none." name:"grpc-listen" default:"127.0.0.1:7410" env:"SEAFRONT_GRPC_LISTEN"`
	program.Access `embed:""`
}

// Validate is called by the parser.
func (a api) Validate() error {
	if _, _, err := net.SplitHostPort(a.GRPCListen); a.GRPCListen != "" && err != nil {
		return fmt.Errorf("--grpc-listen: %q is not host:port", a.GRPCListen)
	}
	return nil
}

// opened is a gRPC port that takes connections.
type opened struct {
	listener net.Listener // nil: there is none
	secure   program.Secure
}

// open opens the port, and reads who may call.
func (a api) open(t *telemetry.Telemetry, log io.Writer) (o opened, err error) {
	if a.GRPCListen == "" {
		return o, nil
	}
	if o.secure, err = a.Open(t, a.GRPCListen, log); err != nil {
		return o, err
	}
	if o.listener, err = net.Listen("tcp", a.GRPCListen); err != nil {
		return o, fmt.Errorf("gRPC: %w", err)
	}
	return o, nil
}

// run runs the edge, and answers on the port as long as it runs.
func (o opened) run(ctx context.Context, t *telemetry.Telemetry, e *edge.Edge) error {
	if o.listener == nil {
		return e.Run(ctx)
	}
	t.Log.InfoContext(ctx, "edge serves", slog.String("grpc", o.listener.Addr().String()))
	running, ctx := errgroup.WithContext(ctx)
	running.Go(func() error { return o.secure.Serve(ctx, t, []net.Listener{o.listener}, e.Part()) })
	running.Go(func() error { return e.Run(ctx) })
	return running.Wait()
}

// close gives the address up when nobody came to serve it.
func (o opened) close() {
	if o.listener != nil {
		_ = o.listener.Close()
	}
}
