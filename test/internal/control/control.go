// SPDX-License-Identifier: Apache-2.0

// Package control drives the API as an operator would: it creates, changes and
// watches distributions by plain gRPC. What fails, fails the test.
package control

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/rpc"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// The managed cache policies that tests use.
const (
	CachingOptimized = "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"
	CachingDisabled  = "cachePolicies/4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
)

// callTimeout bounds one call; watches have their own bound. retryPause is the time
// between two tries.
const (
	callTimeout = 30 * time.Second
	retryPause  = 100 * time.Millisecond
)

// Client talks to one server.
type Client struct {
	Distributions configv1.DistributionServiceClient
	Policies      configv1.CachePolicyServiceClient
	Invalidations configv1.InvalidationServiceClient
	Certificates  configv1.CertificateServiceClient
	Origins       originv1.OriginServiceClient
	Health        healthpb.HealthClient
}

// Dial makes a client for a server at target. The connection is closed when the test
// ends; it comes back by itself after the server was away.
func Dial(t testing.TB, target string) *Client {
	t.Helper()
	return DialWith(t, target, rpc.ClientConfig{})
}

// DialAs is Dial with the token in a file.
func DialAs(t testing.TB, target, tokenFile string) *Client {
	t.Helper()
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	return DialWith(t, target, rpc.ClientConfig{Token: func() string { return strings.TrimSpace(string(token)) }})
}

// DialWith is Dial with TLS or a token.
func DialWith(t testing.TB, target string, cfg rpc.ClientConfig) *Client {
	t.Helper()
	conn, err := rpc.Dial(target, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Client{
		configv1.NewDistributionServiceClient(conn), configv1.NewCachePolicyServiceClient(conn), configv1.NewInvalidationServiceClient(conn),
		configv1.NewCertificateServiceClient(conn),
		originv1.NewOriginServiceClient(conn), healthpb.NewHealthClient(conn),
	}
}

// Serving returns nil when the server says that all of it is serving.
func (c *Client) Serving(ctx context.Context) error {
	res, err := c.Health.Check(ctx, &healthpb.HealthCheckRequest{})
	if err == nil && res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		err = errors.New(res.GetStatus().String())
	}
	return err
}

// Create creates a distribution.
func (c *Client) Create(t testing.TB, reference string, config *configv1.DistributionConfig) *configv1.Distribution {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	res, err := c.Distributions.CreateDistribution(ctx, &configv1.CreateDistributionRequest{
		Distribution: &configv1.Distribution{CallerReference: reference, Config: config},
	})
	if err != nil {
		t.Fatalf("create distribution %s: %v", reference, err)
	}
	return res.GetDistribution()
}

// Get reads a distribution.
func (c *Client) Get(t testing.TB, name string) *configv1.Distribution {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	res, err := c.Distributions.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: name})
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	return res.GetDistribution()
}

// Update reads a distribution, lets change edit its configuration, and writes the
// fields below config that paths name. ctx may carry a trace for the update.
func (c *Client) Update(ctx context.Context, t testing.TB, name string, change func(*configv1.DistributionConfig), paths ...string) *configv1.Distribution {
	t.Helper()
	d, err := c.TryUpdate(ctx, name, change, paths...)
	if err != nil {
		t.Fatalf("update %s: %v", name, err)
	}
	return d
}

// TryUpdate is Update for servers that may be unable to answer.
func (c *Client) TryUpdate(ctx context.Context, name string, change func(*configv1.DistributionConfig), paths ...string) (*configv1.Distribution, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	apart := metadata.NewOutgoingContext(ctx, nil) // the trace is that of the update alone
	have, err := c.Distributions.GetDistribution(apart, &configv1.GetDistributionRequest{Name: name})
	if err != nil {
		return nil, err
	}
	d := have.GetDistribution()
	change(d.GetConfig())
	mask := &fieldmaskpb.FieldMask{}
	for _, p := range paths {
		mask.Paths = append(mask.Paths, "config."+p)
	}
	res, err := c.Distributions.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{Distribution: d, UpdateMask: mask})
	return res.GetDistribution(), err
}

// CreateOrigin registers an origin.
func (c *Client) CreateOrigin(t testing.TB, id string, o *originv1.Origin) *originv1.Origin {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	res, err := c.Origins.CreateOrigin(ctx, &originv1.CreateOriginRequest{OriginId: id, Origin: o})
	if err != nil {
		t.Fatalf("create origin %s: %v", id, err)
	}
	return res.GetOrigin()
}

// Rollout is what WatchDeployment told up to DEPLOYED.
type Rollout struct {
	Deployment *commonv1.Deployment
	Edges      map[string]*commonv1.EdgeProgress // the newest of each, by name
	Took       time.Duration                     // from the call of Watch
}

// Watch follows a deployment until its state is DEPLOYED, and fails the test when
// that takes longer than within.
func (c *Client) Watch(t testing.TB, name string, within time.Duration) *Rollout {
	t.Helper()
	return c.WatchUntil(t, name, within, func(r *Rollout) bool {
		return r.Deployment.GetState() == commonv1.Deployment_STATE_DEPLOYED
	})
}

// WatchUntil follows a deployment until done says so. A server that cannot answer is
// asked again.
func (c *Client) WatchUntil(t testing.TB, name string, within time.Duration, done func(*Rollout) bool) *Rollout {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	r := &Rollout{Edges: map[string]*commonv1.EdgeProgress{}}
	for {
		err := c.follow(ctx, name, r, done)
		r.Took = time.Since(began)
		if err == nil {
			return r
		}
		if status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			t.Fatalf("watch %s, after %v: %v; so far %v, edges %v", name, r.Took, err, r.Deployment, r.Edges)
		}
		time.Sleep(retryPause)
	}
}

func (c *Client) follow(ctx context.Context, name string, r *Rollout, done func(*Rollout) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Distributions.WatchDeployment(ctx, &configv1.WatchDeploymentRequest{Name: name, Follow: true})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		r.Deployment = m.GetDeployment()
		for _, e := range m.GetEdges() {
			r.Edges[e.GetEdge()] = e
		}
		if done(r) {
			return nil
		}
	}
}

// Site is a configuration with one origin and the policy CachingOptimized.
func Site(origin *configv1.Origin) *configv1.DistributionConfig {
	return &configv1.DistributionConfig{
		Enabled:              true,
		Origins:              []*configv1.Origin{origin},
		DefaultCacheBehavior: Behavior("", origin.GetId(), CachingOptimized),
	}
}

// Behavior is a behavior that serves both schemes.
func Behavior(pattern, origin, policy string) *configv1.CacheBehavior {
	return &configv1.CacheBehavior{
		PathPattern: pattern, TargetOriginId: origin,
		ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
		Caching:              &configv1.CacheBehavior_CachePolicy{CachePolicy: policy},
	}
}

// Server is an HTTP server as an endpoint.
func Server(host string, port int32) *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
		Host: host, HttpPort: proto.Int32(port),
		ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
	}}}
}
