// SPDX-License-Identifier: Apache-2.0

// Command config runs one replica of the config service.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/canary"
	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// version is set when the program is linked.
var version = "dev"

func main() { program.Main("config", run) }

type commands struct {
	Serve       serveCommand        `cmd:"" default:"withargs" help:"Serve until SIGTERM or SIGINT (the default)."`
	Healthcheck program.Healthcheck `cmd:"" help:"Ask a running replica for its health and say it by the exit status."`
	Version     versionCommand      `cmd:"" help:"Print the version."`
}

// run does what args say until ctx ends. The log goes to out.
func run(ctx context.Context, args []string, out io.Writer) error {
	return program.Run(ctx, "config", "Seafront's config service: serves seafront.config.v1 from etcd.", new(commands), args, out, program.Ports(7400, 7480))
}

type serveCommand struct {
	program.Server
	program.ClusterKeys
	OriginRegistry     string         `help:"Address of the origin registry, as gRPC understands it: host:port, or dns:///name:port for all replicas behind a name." default:"127.0.0.1:7401" env:"SEAFRONT_ORIGIN_REGISTRY"`
	Registry           program.Client `embed:"" prefix:"registry-" envprefix:"SEAFRONT_REGISTRY_"`
	BaseDomain         string         `help:"Domain of generated host names." default:"seafront.localhost" env:"SEAFRONT_BASE_DOMAIN"`
	MaxDistributions   int64          `help:"How many distributions there may be." default:"100000" env:"SEAFRONT_MAX_DISTRIBUTIONS"`
	Versions           int64          `help:"How many versions of each distribution are kept, the present one included." default:"5" env:"SEAFRONT_VERSIONS"`
	CanaryHeaderPrefix string         `help:"What the headers of continuous deployment policies begin with." default:"aws-cf-cd-" env:"SEAFRONT_CANARY_HEADER_PREFIX"`
	Limits             config.Limits  `embed:"" prefix:"max-"`

	InvalidationRetention time.Duration `help:"How long an invalidation is kept at least. Not below 7 days: an edge that was away for less than that keeps its cache." default:"168h" env:"SEAFRONT_INVALIDATION_RETENTION"`
}

// Validate is called by the parser.
func (c *serveCommand) Validate() error {
	if c.MaxDistributions < 1 {
		return fmt.Errorf("--max-distributions is %d; it must be at least 1", c.MaxDistributions)
	}
	if c.Versions < 1 || c.Versions > config.MostVersions {
		return fmt.Errorf("--versions is %d; it must be 1 to %d", c.Versions, config.MostVersions)
	}
	if c.InvalidationRetention < config.DefaultInvalidationRetention {
		return fmt.Errorf("--invalidation-retention is %v; it must be at least %v", c.InvalidationRetention, config.DefaultInvalidationRetention)
	}
	if err := hostname.CheckAlias("x."+c.BaseDomain, ""); err != nil {
		return fmt.Errorf("--base-domain: %w", err)
	}
	if err := canary.CheckHeaderPrefix(c.CanaryHeaderPrefix); err != nil {
		return fmt.Errorf("--canary-header-prefix: %w", err)
	}
	return c.Limits.Validate()
}

// Run is called by the parser.
func (c *serveCommand) Run(ctx context.Context, log io.Writer) error {
	return c.Serve(ctx, "config", version, log, func(store *clientv3.Client, t *telemetry.Telemetry) (rpc.Part, func() error, error) {
		secrets, err := c.Keyring(ctx, t.Log)
		if err != nil {
			return nil, nil, err
		}
		to, err := c.Registry.Config(t.Log)
		if err != nil {
			return nil, nil, fmt.Errorf("origin registry: %w", err)
		}
		to.Tracer, to.Meter = t.Tracer, t.Meter
		registry, err := rpc.Dial(c.OriginRegistry, to)
		if err != nil {
			return nil, nil, fmt.Errorf("origin registry: %w", err)
		}
		return config.New(config.Config{
			Etcd: store, Origins: originv1.NewOriginServiceClient(registry), BaseDomain: c.BaseDomain,
			Secrets: secrets, MaxDistributions: c.MaxDistributions, Versions: c.Versions, Limits: c.Limits, CanaryHeaderPrefix: c.CanaryHeaderPrefix,
			InvalidationRetention: c.InvalidationRetention, Log: t.Log, Meter: t.Meter,
		}), registry.Close, nil
	})
}

type versionCommand struct{}

// Run is called by the parser.
func (*versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "config", version)
	return err
}
