// SPDX-License-Identifier: Apache-2.0

// Command seafront is the one program that a person meets: `seafront up` runs a
// whole CDN in one process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	_ "golang.org/x/crypto/x509roots/fallback" // authorities for machines that have none

	"github.com/seafront-cdn/seafront/cmd/seafront/internal/allinone"
	"github.com/seafront-cdn/seafront/cmd/seafront/internal/sample"
)

// version is set when the program is linked.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "seafront:", err)
		os.Exit(1)
	}
}

type commands struct {
	Up          upCommand          `cmd:"" help:"Run a whole CDN in this process: control plane, store, one edge and a sample site."`
	Sample      sampleCommand      `cmd:"" help:"Serve the sample site alone, as an origin for other edges."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a server for its health and say it by the exit status."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("seafront"),
		kong.Description("A content delivery network that anyone can run."),
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

type upCommand struct {
	allinone.Config
}

// Run is called by the parser.
func (c *upCommand) Run(ctx context.Context, out io.Writer) error {
	c.Version = version
	return allinone.Run(ctx, c.Config, out)
}

type sampleCommand struct {
	Listen string `help:"Address to serve on." default:"127.0.0.1:7490" env:"SEAFRONT_SAMPLE_LISTEN"`
	Data   string `help:"Directory for the large file, 64 MiB." default:".seafront/sample" env:"SEAFRONT_DATA" type:"path"`
}

// Run is called by the parser.
func (c *sampleCommand) Run(ctx context.Context, out io.Writer) error {
	site, err := sample.New(c.Data)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("sample origin: %w", err)
	}
	_, _ = fmt.Fprintf(out, "sample site on http://%s/\n", l.Addr())
	return site.Serve(ctx, l)
}

type healthcheckCommand struct {
	URL string `help:"Page that answers 200 when all is well." default:"http://127.0.0.1:7480/readyz" env:"SEAFRONT_HEALTH_URL"`
}

// Run is called by the parser.
func (c *healthcheckCommand) Run(ctx context.Context) error {
	const timeout = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return errors.New(res.Status + ": " + string(body))
	}
	return nil
}

type versionCommand struct{}

// Run is called by the parser.
func (*versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "seafront", version)
	return err
}
