// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"fmt"
	"net"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/seafront-cdn/seafront/pkg/telemetry"
)

// spread uses all addresses of a name in turn, so that calls go on when one of
// several replicas is gone.
const spread = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// ClientConfig is what a connection reports to, how it dials and who it says it is.
// Its zero value reports nowhere and dials the network without encryption.
type ClientConfig struct {
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// Dialer, when set, makes the connections instead of dialling the target;
	// Memory.Dial is one.
	Dialer func(context.Context) (net.Conn, error)
	// TLS, when set, encrypts the connection; see ClientTLS.
	TLS credentials.TransportCredentials
	// Token, when set, gives the bearer token that each call is sent with. Without
	// TLS it leaves for addresses of this machine only.
	Token func() string
}

// Dial makes a connection to a service. It returns at once: the connection comes when
// the service does, and comes back within seconds after it was away. It fails on a
// target that cannot be understood, and on one that a token must not be sent to.
func Dial(target string, cfg ClientConfig) (*grpc.ClientConn, error) {
	reconnect := backoff.DefaultConfig
	reconnect.MaxDelay = longestReconnect
	secure := cfg.TLS
	if secure == nil {
		secure = insecure.NewCredentials()
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(instruments(cfg.Tracer, cfg.Meter)...)),
		grpc.WithDefaultServiceConfig(spread),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: pingTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive)),
	}
	if cfg.Dialer != nil {
		options = append(options, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return cfg.Dialer(ctx)
		}))
	}
	if cfg.Token != nil {
		if cfg.TLS == nil && cfg.Dialer == nil && !IsLoopback(target) {
			return nil, fmt.Errorf("dial %s: a token is not sent without TLS to another machine", target)
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer{cfg.Token, cfg.TLS != nil}))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	return conn, nil
}

// CheckHealth asks the server at target whether a gRPC service is serving; an empty
// service means all of them. It returns nil only for SERVING.
func CheckHealth(ctx context.Context, target, service string, cfg ClientConfig) error {
	conn, err := Dial(target, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	res, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		return fmt.Errorf("ask %s for its health: %w", target, err)
	}
	if res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("%s is %s", target, res.GetStatus())
	}
	return nil
}

// instruments are the options of otelgrpc. Health checks come every few seconds from
// every side and would bury the spans that somebody looks for.
func instruments(tracer trace.TracerProvider, meter metric.MeterProvider) []otelgrpc.Option {
	if tracer == nil {
		tracer = nooptrace.NewTracerProvider()
	}
	if meter == nil {
		meter = noopmetric.NewMeterProvider()
	}
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(tracer),
		otelgrpc.WithMeterProvider(meter),
		otelgrpc.WithPropagators(telemetry.Propagator()),
		otelgrpc.WithFilter(filters.Not(filters.HealthCheck())),
	}
}
