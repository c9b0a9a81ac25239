// SPDX-License-Identifier: Apache-2.0

// Command edge is one cache server of a cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	_ "golang.org/x/crypto/x509roots/fallback" // authorities for machines that have none

	"github.com/seafront-cdn/seafront/pkg/telemetry"
	"github.com/seafront-cdn/seafront/services/edge"
)

// version is set when the program is linked.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

type commands struct {
	Serve       serveCommand       `cmd:"" default:"withargs" help:"Serve viewers (the default)."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask an edge whether it is ready and say it by the exit status."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("edge"),
		kong.Description("A cache server of Seafront."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(out, (*io.Writer)(nil)),
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

type serveCommand struct {
	edge.Config
	LogLevel slog.Level `help:"Least severe log line to print: debug, info, warn or error. Viewer requests are info." name:"log-level" default:"info" env:"SEAFRONT_LOG_LEVEL" placeholder:"LEVEL"`
	LogJSON  bool       `help:"Print log lines as JSON." name:"log-json" env:"SEAFRONT_LOG_JSON"`
}

// telemetryGrace bounds the sending of the last spans.
const telemetryGrace = 5 * time.Second

// Run is called by the parser.
func (c *serveCommand) Run(ctx context.Context) (err error) {
	if c.ID == "" {
		if c.ID, err = os.Hostname(); err != nil {
			return fmt.Errorf("name of this edge: %w", err)
		}
	}
	t, err := telemetry.Start(ctx, telemetry.Config{
		Service: "edge", Version: version, Instance: c.ID, LogLevel: c.LogLevel, LogJSON: c.LogJSON, LogTo: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryGrace)
		defer cancel()
		err = errors.Join(err, t.Shutdown(bound))
	}()
	c.Telemetry, c.Version = t, version
	e, err := edge.New(c.Config)
	if err != nil {
		return err
	}
	at := e.Addresses()
	t.Log.InfoContext(ctx, "edge serves", slog.String("http", at.HTTP), slog.String("https", at.HTTPS), slog.String("admin", at.Admin))
	return e.Run(ctx)
}

type healthcheckCommand struct {
	AdminListen string `help:"Address of the edge's admin pages." name:"admin-listen" default:"127.0.0.1:7480" env:"SEAFRONT_ADMIN_LISTEN" placeholder:"ADDR"`
}

// Run is called by the parser.
func (c *healthcheckCommand) Run(ctx context.Context) error {
	const timeout = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.AdminListen+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", body)
	}
	return nil
}

type versionCommand struct{}

// Run is called by the parser.
func (*versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "edge", version)
	return err
}
