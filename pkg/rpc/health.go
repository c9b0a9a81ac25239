// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// conditions is the health of a server: of each gRPC service, and of all under "".
type conditions struct {
	server *health.Server

	mu    sync.Mutex // guards parts; SetServingStatus is called under it, so that order is kept
	parts []condition
}

// condition is the health of one part.
type condition struct {
	services []string
	serving  bool
}

func newConditions() *conditions {
	c := &conditions{server: health.NewServer()}
	c.server.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	return c
}

// add makes room for a part that is not serving yet and returns how it tells.
func (c *conditions) add(services []string) func(bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	part := len(c.parts)
	c.parts = append(c.parts, condition{services: services})
	for _, name := range services {
		c.server.SetServingStatus(name, healthpb.HealthCheckResponse_NOT_SERVING)
	}
	return func(serving bool) { c.set(part, serving) }
}

func (c *conditions) set(part int, serving bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parts[part].serving = serving
	for _, name := range c.parts[part].services {
		c.server.SetServingStatus(name, statusOf(serving))
	}
	all := true
	for _, p := range c.parts {
		all = all && p.serving
	}
	c.server.SetServingStatus("", statusOf(all))
}

func statusOf(serving bool) healthpb.HealthCheckResponse_ServingStatus {
	if serving {
		return healthpb.HealthCheckResponse_SERVING
	}
	return healthpb.HealthCheckResponse_NOT_SERVING
}

// named registers services and remembers their names.
type named struct {
	grpc.ServiceRegistrar
	names []string
}

// RegisterService adds a service to the server.
func (n *named) RegisterService(desc *grpc.ServiceDesc, impl any) {
	n.names = append(n.names, desc.ServiceName)
	n.ServiceRegistrar.RegisterService(desc, impl)
}
