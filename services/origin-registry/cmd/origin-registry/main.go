// SPDX-License-Identifier: Apache-2.0

// Command origin-registry runs one replica of the origin registry.
package main

import (
	"context"
	"fmt"
	"io"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	originregistry "github.com/seafront-cdn/seafront/services/origin-registry"
)

// version is set when the program is linked.
var version = "dev"

func main() { program.Main("origin-registry", run) }

type commands struct {
	Serve       serveCommand        `cmd:"" default:"withargs" help:"Serve until SIGTERM or SIGINT (the default)."`
	Healthcheck program.Healthcheck `cmd:"" help:"Ask a running registry for its health and say it by the exit status."`
	Version     versionCommand      `cmd:"" help:"Print the version."`
}

// run does what args say until ctx ends. The log goes to out.
func run(ctx context.Context, args []string, out io.Writer) error {
	return program.Run(ctx, "origin-registry", "Seafront's registry of origins: serves seafront.origin.v1.OriginService from etcd.", new(commands), args, out, program.Ports(7401, 7481))
}

type serveCommand struct {
	program.Server
	program.ClusterKeys
	MaxOrigins        int64 `help:"How many origins there may be." default:"100000" env:"SEAFRONT_MAX_ORIGINS"`
	MaxAccessControls int64 `help:"How many origin access controls there may be." default:"100" env:"SEAFRONT_MAX_ACCESS_CONTROLS"`
	MaxCustomHeaders  int64 `help:"How many custom headers an origin may have, at most 100." default:"30" env:"SEAFRONT_MAX_ORIGIN_CUSTOM_HEADERS" name:"max-origin-custom-headers"`
}

// Validate is called by the parser.
func (c *serveCommand) Validate() error {
	if c.MaxOrigins < 1 {
		return fmt.Errorf("--max-origins is %d; it must be at least 1", c.MaxOrigins)
	}
	if c.MaxAccessControls < 1 {
		return fmt.Errorf("--max-access-controls is %d; it must be at least 1", c.MaxAccessControls)
	}
	if c.MaxCustomHeaders < 1 || c.MaxCustomHeaders > 100 {
		return fmt.Errorf("--max-origin-custom-headers is %d; it must be 1 to 100", c.MaxCustomHeaders)
	}
	return nil
}

// Run is called by the parser.
func (c *serveCommand) Run(ctx context.Context, log io.Writer) error {
	return c.Serve(ctx, "origin-registry", version, log, func(store *clientv3.Client, t *telemetry.Telemetry) (rpc.Part, func() error, error) {
		secrets, err := c.Keyring(ctx, t.Log)
		if err != nil {
			return nil, nil, err
		}
		nothing := func() error { return nil }
		return originregistry.New(originregistry.Config{Etcd: store, Secrets: secrets, MaxOrigins: c.MaxOrigins, MaxAccessControls: c.MaxAccessControls, MaxCustomHeaders: c.MaxCustomHeaders, Log: t.Log}), nothing, nil
	})
}

type versionCommand struct{}

// Run is called by the parser.
func (*versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "origin-registry", version)
	return err
}
