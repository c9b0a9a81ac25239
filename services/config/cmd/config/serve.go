// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// Bounds of a health question and of sending the last spans.
const (
	healthTimeout  = 2 * time.Second
	telemetryGrace = 5 * time.Second
)

type serveCommand struct {
	Listen           string     `help:"Address for gRPC." default:"127.0.0.1:7400" env:"SEAFRONT_LISTEN"`
	EtcdEndpoints    []string   `help:"Addresses of etcd, host:port or URL." default:"127.0.0.1:7420" env:"SEAFRONT_ETCD_ENDPOINTS"`
	OriginRegistry   string     `help:"Address of the origin registry, as gRPC understands it: host:port, or dns:///name:port for all replicas behind a name." default:"127.0.0.1:7401" env:"SEAFRONT_ORIGIN_REGISTRY"`
	BaseDomain       string     `help:"Domain of generated host names." default:"seafront.localhost" env:"SEAFRONT_BASE_DOMAIN"`
	MetricsListen    string     `help:"Address for /metrics, /readyz and /debug/pprof/. Keep it from strangers." default:"127.0.0.1:7480" env:"SEAFRONT_METRICS_LISTEN"`
	MaxDistributions int64      `help:"How many distributions there may be." default:"100000" env:"SEAFRONT_MAX_DISTRIBUTIONS"`
	LogLevel         slog.Level `help:"Least level that is logged: debug, info, warn or error." default:"info" env:"SEAFRONT_LOG_LEVEL"`
	LogJSON          bool       `help:"Log in JSON." env:"SEAFRONT_LOG_JSON"`
}

// Validate is called by the parser.
func (c *serveCommand) Validate() error {
	if c.MaxDistributions < 1 {
		return fmt.Errorf("--max-distributions is %d; it must be at least 1", c.MaxDistributions)
	}
	if err := hostname.CheckAlias("x."+c.BaseDomain, ""); err != nil {
		return fmt.Errorf("--base-domain: %w", err)
	}
	return nil
}

// Run is called by the parser.
func (c *serveCommand) Run(ctx context.Context, log io.Writer) (err error) {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name of this host: %w", err)
	}
	t, err := telemetry.Start(ctx, telemetry.Config{
		Service: "seafront-config", Version: version, Instance: host,
		LogLevel: c.LogLevel, LogJSON: c.LogJSON, LogTo: log,
	})
	if err != nil {
		return err
	}
	defer func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryGrace)
		defer cancel()
		err = errors.Join(err, t.Shutdown(bound))
	}()
	store, err := etcd.Dial(c.EtcdEndpoints)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer store.Close()
	registry, err := rpc.Dial(c.OriginRegistry, rpc.ClientConfig{Tracer: t.Tracer, Meter: t.Meter})
	if err != nil {
		return fmt.Errorf("origin registry: %w", err)
	}
	defer registry.Close()
	api, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("gRPC: %w", err)
	}
	defer api.Close()
	admin, err := net.Listen("tcp", c.MetricsListen)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	defer admin.Close()
	t.Log.InfoContext(ctx, "config starts", slog.String("version", version),
		slog.String("grpc", api.Addr().String()), slog.String("metrics", admin.Addr().String()))
	service := config.New(config.Config{
		Etcd: store, Origins: originv1.NewOriginServiceClient(registry), BaseDomain: c.BaseDomain,
		MaxDistributions: c.MaxDistributions, Log: t.Log, Meter: t.Meter,
	})
	running, ctx := errgroup.WithContext(ctx)
	running.Go(func() error {
		return rpc.Serve(ctx, rpc.ServerConfig{Log: t.Log, Tracer: t.Tracer, Meter: t.Meter}, []net.Listener{api}, service)
	})
	running.Go(func() error {
		return t.ServeAdmin(ctx, admin, t.AdminMux(func() error { return healthy(ctx, api.Addr().String()) }))
	})
	return running.Wait()
}

type healthcheckCommand struct {
	Target string `help:"Address of the replica." default:"127.0.0.1:7400" env:"SEAFRONT_LISTEN"`
}

// Run is called by the parser.
func (c *healthcheckCommand) Run(ctx context.Context) error { return healthy(ctx, c.Target) }

// healthy asks the server at target the question that balancers ask.
func healthy(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	return rpc.CheckHealth(ctx, target, "")
}

type versionCommand struct{}

// Run is called by the parser.
func (*versionCommand) Run(log io.Writer) error {
	_, err := fmt.Fprintln(log, "config", version)
	return err
}
