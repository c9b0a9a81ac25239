// SPDX-License-Identifier: Apache-2.0

// Package fleet runs a control plane and edges of their own processes for tests that
// measure or attack an edge: the edge has nothing else in its process.
//
// It promises that all of it ends with the test. What an edge is told lies in this
// package alone, so that a new flag has one place.
package fleet

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
)

// Bounds of waiting.
const (
	startTimeout  = time.Minute
	deployTimeout = 30 * time.Second
)

// Control is a running control plane: `seafront up`, whose own edge nobody asks.
type Control struct {
	API   *control.Client
	etcd  string
	keys  string // file with the cluster keys
	edges int32  // that run, beside its own
}

// Start runs a control plane. Core is as in program.Spec.
func Start(t testing.TB, core int) *Control {
	t.Helper()
	const free = "127.0.0.1:0"
	ready, data := filepath.Join(t.TempDir(), "ready.json"), t.TempDir()
	p := program.Start(t, program.Spec{Name: "seafront up", Path: program.Product(t, "seafront"), Core: core, Args: []string{
		"up", "--no-sample", "--data", data, "--ready-file", ready, "--grpc-listen", free, "--http-listen", free, "--https-listen", free,
		"--admin-listen", free, "--etcd-client-listen", free, "--etcd-peer-listen", free, "--sample-listen", free, "--edge-id", "control",
	}})
	at := map[string]string{}
	program.Await(t, "seafront up is ready", startTimeout, func(context.Context) error {
		select {
		case <-p.Ended():
			t.Fatalf("seafront up ended before it was ready:\n%s", p.Log())
		default:
		}
		b, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &at)
	})
	return &Control{API: control.DialAs(t, at["grpc"], at["token"]), etcd: at["etcd"], keys: filepath.Join(data, "cluster.key")}
}

// Spec says what an edge is told beside what all need.
type Spec struct {
	ID  string
	Env []string
	// Data is its data directory. Default: one that ends with the test.
	Data string
	// Output and Core are as in program.Spec.
	Output string
	Core   int
}

// Edge is a running edge.
type Edge struct {
	*program.Process
	HTTP, HTTPS, Admin string // addresses

	spec program.Spec
}

// Restart stops the edge by SIGTERM, starts it again with the same data as a supervisor
// does, and waits until it is ready.
func (e *Edge) Restart(t testing.TB) {
	t.Helper()
	e.Stop(t)
	e.Process = program.Start(t, e.spec)
	e.Ready(t, "http://"+e.Admin+"/readyz", startTimeout)
}

// Edge runs an edge of this control plane and waits until it is ready. It is not safe
// for concurrent use.
func (c *Control) Edge(t testing.TB, s Spec) *Edge {
	t.Helper()
	e := c.Launch(t, s)
	e.Ready(t, "http://"+e.Admin+"/readyz", startTimeout)
	c.edges++
	t.Cleanup(func() { c.edges-- })
	return e
}

// Launch is Edge for those who watch it start. Site does not wait for this edge.
func (c *Control) Launch(t testing.TB, s Spec) *Edge {
	t.Helper()
	if s.Data == "" {
		s.Data = t.TempDir()
	}
	e := &Edge{HTTP: program.Address(t), HTTPS: program.Address(t), Admin: program.Address(t)}
	e.spec = program.Spec{
		Name: s.ID, Path: program.Product(t, "edge"), Output: s.Output, Core: s.Core,
		Env: append([]string{
			"SEAFRONT_ETCD_ENDPOINTS=" + c.etcd, "SEAFRONT_CLUSTER_KEY_FILE=" + c.keys, "SEAFRONT_EDGE_ID=" + s.ID, "SEAFRONT_DATA=" + s.Data,
			"SEAFRONT_HTTP_LISTEN=" + e.HTTP, "SEAFRONT_HTTPS_LISTEN=" + e.HTTPS, "SEAFRONT_ADMIN_LISTEN=" + e.Admin, "SEAFRONT_GRPC_LISTEN=127.0.0.1:0",
		}, s.Env...),
	}
	e.Process = program.Start(t, e.spec)
	return e
}

// Origin is an HTTP server at an address of this machine as an origin called site.
func Origin(t testing.TB, address string) *configv1.Origin {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &configv1.Origin{Id: "site", Source: &configv1.Origin_Endpoint{Endpoint: control.Server("localhost", int32(n))}}
}

// Site creates a distribution, waits until every edge serves it, and returns its host.
// An edge that has just come does not count in deployments yet, so their number is
// waited for as well.
func (c *Control) Site(t testing.TB, reference string, config *configv1.DistributionConfig) string {
	t.Helper()
	d := c.API.Create(t, reference, config)
	c.API.WatchUntil(t, d.GetName(), deployTimeout, func(r *control.Rollout) bool {
		return r.Deployment.GetState() == commonv1.Deployment_STATE_DEPLOYED && r.Deployment.GetEdgesCurrent() > c.edges
	})
	return d.GetDomainName()
}
