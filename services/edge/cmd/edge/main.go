// SPDX-License-Identifier: Apache-2.0

// Command edge is one cache server of a cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // authorities for machines that have none

	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	"github.com/seafront-cdn/seafront/services/edge"
)

// version is set when the program is linked.
var version = "dev"

func main() { program.Main("edge", run) }

type commands struct {
	Serve       serveCommand       `cmd:"" default:"withargs" help:"Serve viewers (the default)."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask an edge whether it is ready and say it by the exit status."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

func run(ctx context.Context, args []string, out io.Writer) error {
	return program.Run(ctx, "edge", "A cache server of Seafront.", new(commands), args, out)
}

type serveCommand struct {
	edge.Config
	program.ClusterKeys
	api      `embed:""`
	LogLevel slog.Level `help:"Least severe log line to print: debug, info, warn or error. Viewer requests are info." name:"log-level" default:"info" env:"SEAFRONT_LOG_LEVEL" placeholder:"LEVEL"`
	LogJSON  bool       `help:"Print log lines as JSON." name:"log-json" env:"SEAFRONT_LOG_JSON"`
}

// Validate is called by the parser.
func (c *serveCommand) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	return c.api.Validate()
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
		Service: "seafront-edge", Version: version, Instance: c.ID, LogLevel: c.LogLevel, LogJSON: c.LogJSON, LogTo: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryGrace)
		defer cancel()
		err = errors.Join(err, t.Shutdown(bound))
	}()
	if c.Secrets, err = c.Keyring(ctx, t.Log); err != nil {
		return err
	}
	c.Telemetry, c.Version = t, version
	port, err := c.open(t, os.Stderr)
	if err != nil {
		return err
	}
	defer port.close()
	e, err := edge.New(c.Config)
	if err != nil {
		return err
	}
	at := e.Addresses()
	t.Log.InfoContext(ctx, "edge serves", slog.String("http", at.HTTP), slog.String("https", at.HTTPS), slog.String("admin", at.Admin))
	return port.run(ctx, t, e)
}

type healthcheckCommand struct {
	AdminListen string `help:"Address of the edge's admin pages." name:"admin-listen" default:"127.0.0.1:7480" env:"SEAFRONT_ADMIN_LISTEN" placeholder:"ADDR"`
}

// Run is called by the parser.
func (c *healthcheckCommand) Run(ctx context.Context) error {
	return program.CheckReady(ctx, "http://"+c.AdminListen+"/readyz")
}

type versionCommand struct{}

// Run is called by the parser.
func (*versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "edge", version)
	return err
}
