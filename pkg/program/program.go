// SPDX-License-Identifier: Apache-2.0

// Package program is the shell that Seafront's programs have in common: signals and
// exit status, the command line, and, for servers of gRPC, flags, telemetry and
// ports. What a program does is its own.
package program

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Main runs a program until it ends or SIGINT or SIGTERM asks it to, and ends the
// process: with status 1 and the error's text if there is one. A second signal ends it
// at once. It is all that a main function does.
func Main(name string, run func(ctx context.Context, args []string, out io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from then on signals do what they do by default
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Run parses args into commands, a pointer to a struct of kong's, and runs the chosen
// command. A command's Run method may take a context.Context and an io.Writer. vars are
// what the tags of commands refer to.
func Run(ctx context.Context, name, description string, commands any, args []string, out io.Writer, vars ...kong.Option) error {
	parser, err := kong.New(commands, append(vars,
		kong.Name(name),
		kong.Description(description),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(out, (*io.Writer)(nil)),
	)...)
	if err != nil {
		return fmt.Errorf("commands of %s: %w", name, err)
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return chosen.Run()
}
