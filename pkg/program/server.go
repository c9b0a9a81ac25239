// SPDX-License-Identifier: Apache-2.0

package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
)

// Bounds of a health question and of sending the last spans.
const (
	healthTimeout  = 2 * time.Second
	telemetryGrace = 5 * time.Second
)

// Ports are the defaults of a server's ports, for Run: each service has its own, so
// that all run on one machine.
func Ports(grpc, metrics int) kong.Vars {
	return kong.Vars{"grpc_port": strconv.Itoa(grpc), "metrics_port": strconv.Itoa(metrics)}
}

// Server is a stateless service around etcd: the flags that all of them have.
type Server struct {
	Listen        string   `help:"Address for gRPC." default:"127.0.0.1:${grpc_port}" env:"SEAFRONT_LISTEN"`
	EtcdEndpoints []string `help:"Addresses of etcd, host:port or URL." default:"127.0.0.1:7420" env:"SEAFRONT_ETCD_ENDPOINTS"`
	etcd.Credentials
	MetricsListen string     `help:"Address for /metrics, /readyz and /debug/pprof/. Keep it from strangers." default:"127.0.0.1:${metrics_port}" env:"SEAFRONT_METRICS_LISTEN"`
	LogLevel      slog.Level `help:"Least level that is logged: debug, info, warn or error." default:"info" env:"SEAFRONT_LOG_LEVEL"`
	LogJSON       bool       `help:"Log in JSON." env:"SEAFRONT_LOG_JSON"`
	Access        `embed:""`
}

// Serve runs a part on the server's ports until ctx ends. The part is made by open
// from a client of etcd and the process's telemetry, and closed, if it has anything
// to close, by the function that open returns with it. service and version name the
// process in logs and traces.
func (s Server) Serve(
	ctx context.Context, service, version string, log io.Writer,
	open func(*clientv3.Client, *telemetry.Telemetry) (part rpc.Part, closePart func() error, err error),
) (err error) {
	log = &shared{to: log}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name of this host: %w", err)
	}
	t, err := telemetry.Start(ctx, telemetry.Config{
		Service: "seafront-" + service, Version: version, Instance: host,
		LogLevel: s.LogLevel, LogJSON: s.LogJSON, LogTo: log,
	})
	if err != nil {
		return err
	}
	defer func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryGrace)
		defer cancel()
		err = errors.Join(err, t.Shutdown(bound))
	}()
	secure, err := s.Open(t, s.Listen, log)
	if err != nil {
		return err
	}
	store, err := s.Dial(s.EtcdEndpoints)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer store.Close()
	if err := etcd.Greet(ctx, store); err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	part, closePart, err := open(store, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePart()) }()
	return s.listen(ctx, service, version, t, secure, part)
}

// listen opens the ports and serves on them.
func (s Server) listen(ctx context.Context, service, version string, t *telemetry.Telemetry, secure Secure, part rpc.Part) error {
	api, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("gRPC: %w", err)
	}
	defer api.Close()
	admin, err := net.Listen("tcp", s.MetricsListen)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	defer admin.Close()
	t.Log.InfoContext(ctx, "service starts", slog.String("service", service), slog.String("version", version),
		slog.String("grpc", api.Addr().String()), slog.String("metrics", admin.Addr().String()))
	// Readiness is asked from within: nobody needs credentials for that.
	within := rpc.NewMemory()
	running, ctx := errgroup.WithContext(ctx)
	running.Go(func() error { return secure.Serve(ctx, t, []net.Listener{api, within}, part) })
	running.Go(func() error {
		return t.ServeAdmin(ctx, admin, t.AdminMux(func() error {
			return healthy(ctx, "passthrough:///within", rpc.ClientConfig{Dialer: within.Dial})
		}))
	})
	return running.Wait()
}

// Healthcheck is the command that asks a server for its health: for containers
// without a shell.
type Healthcheck struct {
	Target  string `help:"Address of the server." default:"127.0.0.1:${grpc_port}" env:"SEAFRONT_LISTEN"`
	TLSCert string `help:"The server's own certificate, in PEM: use TLS and expect exactly this one." name:"tls-cert" env:"SEAFRONT_TLS_CERT" placeholder:"FILE"`
	TLSKey  string `help:"Its key: for a server that requires client certificates and takes its own." name:"tls-key" env:"SEAFRONT_TLS_KEY" placeholder:"FILE"`
}

// Run is called by the parser.
func (c *Healthcheck) Run(ctx context.Context) error {
	var cfg rpc.ClientConfig
	if c.TLSCert != "" {
		pinned, err := rpc.PinnedTLS(c.TLSCert, c.TLSKey)
		if err != nil {
			return err
		}
		cfg.TLS = pinned
	}
	return healthy(ctx, c.Target, cfg)
}

// healthy asks the server at target the question that balancers ask.
func healthy(ctx context.Context, target string, cfg rpc.ClientConfig) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	return rpc.CheckHealth(ctx, target, "", cfg)
}
