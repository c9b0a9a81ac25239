// SPDX-License-Identifier: Apache-2.0

// Command config runs one replica of the config service.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set when the program is linked.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "config:", err)
		os.Exit(1)
	}
}

type commands struct {
	Serve       serveCommand       `cmd:"" default:"withargs" help:"Serve until SIGTERM or SIGINT (the default)."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running replica for its health and say it by the exit status."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// run does what args say until ctx ends. The log goes to log.
func run(ctx context.Context, args []string, log io.Writer) error {
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("config"),
		kong.Description("Seafront's config service: serves seafront.config.v1 from etcd."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(log, (*io.Writer)(nil)),
	)
	if err != nil {
		return err
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return chosen.Run()
}
