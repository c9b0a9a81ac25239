// SPDX-License-Identifier: Apache-2.0

// Command seafront is the one program that a person meets: `seafront up` runs a
// whole CDN in one process.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // authorities for machines that have none

	"github.com/seafront-cdn/seafront/cmd/seafront/internal/allinone"
	"github.com/seafront-cdn/seafront/cmd/seafront/internal/call"
	"github.com/seafront-cdn/seafront/cmd/seafront/internal/sample"
	"github.com/seafront-cdn/seafront/pkg/program"
)

// version is set when the program is linked.
var version = "dev"

func main() { program.Main("seafront", run) }

type commands struct {
	Up          upCommand          `cmd:"" help:"Run a whole CDN in this process: control plane, store, one edge and a sample site."`
	Sample      sampleCommand      `cmd:"" help:"Serve the sample site alone, as an origin for other edges."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a server for its health and say it by the exit status."`
	Call        callCommand        `cmd:"" help:"Call a method of the API, with the token of seafront up."`
	Fsck        fsckCommand        `cmd:"" help:"Compare what is derived from resources, such as claims of names, with the resources."`
	Secrets     secretsCommand     `cmd:"" help:"Make and change the cluster keys, which encrypt the secrets in etcd."`
	Backup      backupCommand      `cmd:"" help:"Write all that etcd holds into a file."`
	Restore     restoreCommand     `cmd:"" help:"Make the data directory of seafront up from a backup, as a new data set."`
	NewEpoch    newEpochCommand    `cmd:"" help:"Give the data set a new name, after a cluster was restored: every edge and server starts over."`
	EtcdRoles   rolesCommand       `cmd:"" help:"Make the users of etcd that config, origin-registry and edges need, with no more rights than they need."`
	Credentials credentialsCommand `cmd:"" help:"Make the certificates and tokens of a trial cluster, or renew its certificates."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

func run(ctx context.Context, args []string, out io.Writer) error {
	return program.Run(ctx, "seafront", "A content delivery network that anyone can run.", new(commands), args, out)
}

type upCommand struct {
	allinone.Config
}

// Run is called by the parser.
func (c *upCommand) Run(ctx context.Context, out io.Writer) error {
	c.Version = version
	return allinone.Run(ctx, c.Config, out)
}

type callCommand struct {
	call.Config
}

// Run is called by the parser.
func (c *callCommand) Run(ctx context.Context, out io.Writer) error {
	return call.Run(ctx, c.Config, os.Stdin, out)
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
func (c *healthcheckCommand) Run(ctx context.Context) error { return program.CheckReady(ctx, c.URL) }

type versionCommand struct{}

// Run is called by the parser.
func (*versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "seafront", version)
	return err
}
