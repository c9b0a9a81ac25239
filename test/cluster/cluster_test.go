// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// Bounds of waiting; nothing waits for them when all is well.
const (
	startTimeout  = 2 * time.Minute
	deployTimeout = time.Minute
)

var edges = []string{"edge-1", "edge-2", "edge-3"}

// cluster is the running project and the distribution under test.
type cluster struct {
	*compose
	host, name string   // of the distribution
	uncached   []string // patterns of its behaviors that never cache
	steps      []string // what was done and how long it took
}

// step runs a part of the test and notes how long it took.
func (c *cluster) step(t *testing.T, what string, do func(t *testing.T)) {
	t.Helper()
	began := time.Now()
	if !t.Run(what, do) {
		t.FailNow()
	}
	line := fmt.Sprintf("%8.1f s  %s", time.Since(began).Seconds(), what)
	c.steps = append(c.steps, line)
	t.Log(line)
}

func (c *cluster) config(t *testing.T, service string) *control.Client {
	t.Helper()
	return control.DialWith(t, c.address(t, service, "7400"), rpc.ClientConfig{TLS: c.tls(t), Token: c.token(t, "admin")})
}

// TestCluster breaks one part after the other, and shows after each that a change
// still reaches every edge, or that edges still serve.
func TestCluster(t *testing.T) {
	c := &cluster{compose: open(t)}
	c.step(t, "start everything", c.start)
	c.step(t, "create through config-1, read through config-2", c.create)
	c.step(t, "a miss, then a hit, from each edge", func(t *testing.T) { c.obey(t, "/tides.html", "Miss", "Hit") })
	c.step(t, "change a behavior; every edge obeys", func(t *testing.T) { c.change(t, "config-1", "/news/", "/news/") })

	c.step(t, "an invalidation, acknowledged by three edges", c.invalidate)
	c.step(t, "strangers are refused", c.strangers)
	c.step(t, "users of etcd do no more than they may", c.etcdUsers)
	c.step(t, "two clients race for an alias through two replicas", c.race)
	c.step(t, "kill config-1 in mid-load; no acknowledged write is lost", c.crash)
	c.step(t, "replace etcd-3 by a new member", c.replace)
	c.step(t, "change a behavior with the new member", func(t *testing.T) { c.change(t, "config-2", "/news/*", "/news/index.html") })

	c.step(t, "kill etcd-1", func(t *testing.T) { c.run(t, "kill", "etcd-1") })
	c.step(t, "change a behavior with two members of etcd", func(t *testing.T) { c.change(t, "config-1", "/about*", "/about.html") })
	c.step(t, "kill config-1", func(t *testing.T) { c.run(t, "kill", "config-1") })
	c.step(t, "change a behavior with one config", func(t *testing.T) { c.change(t, "config-2", "/style*", "/style.css") })
	c.step(t, "kill origin-registry-1", func(t *testing.T) { c.run(t, "kill", "origin-registry-1") })
	c.step(t, "change a behavior with one origin-registry", func(t *testing.T) { c.change(t, "config-2", "/harbour*", "/harbour.png") })

	c.step(t, "stop the rest of etcd", c.stopEtcd)
	c.step(t, "every edge serves without etcd", func(t *testing.T) { c.obey(t, "/tides.html", "Hit", "Hit") })
	c.step(t, "restart edge-2 without etcd", func(t *testing.T) { c.run(t, "restart", "edge-2"); c.awaitEdges(t) })
	c.step(t, "every edge serves, edge-2 from its disk", c.serveFromDisk)

	c.step(t, "start etcd again", func(t *testing.T) {
		c.run(t, "start", "etcd-1", "etcd-2", "etcd-3", "config-1", "origin-registry-1")
		c.awaitControl(t)
	})
	c.step(t, "every edge catches up with a new change", func(t *testing.T) { c.change(t, "config-1", "/index*", "/index.html") })
	t.Logf("the steps:\n%s", strings.Join(c.steps, "\n"))
}

func (c *cluster) start(t *testing.T) {
	c.run(t, "up", "--detach", "--no-build")
	c.awaitControl(t)
	c.awaitEdges(t)
	program.Await(t, "etcd demands users", startTimeout, func(context.Context) error {
		out, err := c.etcdctlAs(c.file("root"), "auth", "status")
		if err == nil && !strings.Contains(out, "Authentication Status: true") {
			err = errors.New("nobody has made them")
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// awaitControl waits until both replicas of both services answer.
func (c *cluster) awaitControl(t *testing.T) {
	t.Helper()
	for _, service := range []string{"config-1", "config-2", "origin-registry-1", "origin-registry-2"} {
		api := c.config(t, service)
		program.Await(t, service+" is serving", startTimeout, api.Serving)
	}
}

// awaitEdges waits until every edge says that it serves.
func (c *cluster) awaitEdges(t *testing.T) {
	t.Helper()
	for _, e := range edges {
		page := "http://" + c.address(t, e, "7480") + "/readyz"
		program.Await(t, e+" is ready", startTimeout, func(ctx context.Context) error { return program.Page(ctx, page) })
	}
}

func (c *cluster) create(t *testing.T) {
	one, two := c.config(t, "config-1"), c.config(t, "config-2")
	one.Origins = c.config(t, "origin-registry-1").Origins
	o := one.CreateOrigin(t, "sample", &originv1.Origin{Endpoint: control.Server("sample", 7490)})
	config := control.Site(&configv1.Origin{Id: "site", Source: &configv1.Origin_OriginRef{OriginRef: o.GetName()}})
	config.DefaultRootObject = "index.html"
	d := one.Create(t, "cluster", config)
	c.name, c.host = d.GetName(), d.GetDomainName()
	if got := two.Get(t, c.name); got.GetEtag() != d.GetEtag() {
		t.Errorf("config-2 has version %s, config-1 wrote %s", got.GetEtag(), d.GetEtag())
	}
	r := two.WatchUntil(t, c.name, deployTimeout, func(r *control.Rollout) bool { return r.Deployment.GetEdgesCurrent() == 3 })
	report(t, r)
}

// change gives a pattern a behavior that never caches, and asks every edge for a
// page of it as soon as the deployment is said to be complete.
func (c *cluster) change(t *testing.T, service, pattern, page string) {
	t.Helper()
	api := c.config(t, service)
	if len(c.uncached) == 0 {
		c.obey(t, page, "Miss", "Hit")
	}
	patterns := append(slices.Clone(c.uncached), pattern)
	began := time.Now()
	program.Await(t, service+" takes the change", deployTimeout, func(ctx context.Context) error {
		_, err := api.TryUpdate(ctx, c.name, uncache(patterns), "cache_behaviors")
		if err != nil && status.Code(err) != codes.Unavailable {
			t.Fatalf("update: %v", err)
		}
		return err
	})
	t.Logf("written after %v", time.Since(began).Round(time.Millisecond))
	c.uncached = patterns
	r := api.Watch(t, c.name, deployTimeout)
	report(t, r)
	if n := r.Deployment.GetEdgesCurrent(); n != 3 {
		t.Errorf("deployed on %d edges", n)
	}
	c.obey(t, page, "Miss", "Miss")
	c.obey(t, "/tides.html", "Hit", "Hit")
}

func uncache(patterns []string) func(*configv1.DistributionConfig) {
	return func(config *configv1.DistributionConfig) {
		config.CacheBehaviors = nil
		for _, p := range patterns {
			config.CacheBehaviors = append(config.CacheBehaviors, control.Behavior(p, "site", control.CachingDisabled))
		}
	}
}

// report prints each edge with its time.
func report(t *testing.T, r *control.Rollout) {
	t.Helper()
	t.Logf("%v at revision %d, %v after asking", r.Deployment.GetState(), r.Deployment.GetTargetRevision(), r.Took.Round(time.Millisecond))
	names := make([]string, 0, len(r.Edges))
	for name := range r.Edges {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e := r.Edges[name]
		t.Logf("  %s in %s: %v at revision %d, %v, %v after the write", name, e.GetPop(), e.GetState(), e.GetRevision(),
			e.GetTime().AsTime().Format(time.RFC3339Nano), e.GetDelay().AsDuration())
	}
}

// obey asks every edge twice for a page of the distribution.
func (c *cluster) obey(t *testing.T, page, first, second string) {
	t.Helper()
	for _, e := range edges {
		address := c.address(t, e, "8080")
		for _, want := range []string{first, second} {
			viewer.Want(t, e+" "+page, viewer.Get(t, address, c.host, page), 200, want)
		}
	}
}

func (c *cluster) stopEtcd(t *testing.T) {
	c.run(t, "stop", "--timeout", "10", "etcd-2", "etcd-3")
	api := c.config(t, "config-2")
	program.Await(t, "config-2 notices", startTimeout, func(ctx context.Context) error {
		if err := api.Serving(ctx); err == nil {
			return errors.New("config-2 is SERVING without etcd")
		}
		return nil
	})
}

// serveFromDisk asks every edge; edge-2 has its configuration and its cache from disk.
func (c *cluster) serveFromDisk(t *testing.T) {
	for _, e := range edges {
		address := c.address(t, e, "8080")
		viewer.Want(t, e, viewer.Get(t, address, c.host, "/tides.html"), 200, "Hit")
		viewer.Want(t, e+" obeys the last change", viewer.Get(t, address, c.host, "/news/"), 200, "Miss")
		viewer.Want(t, e+" obeys the last change", viewer.Get(t, address, c.host, "/news/"), 200, "Miss")
	}
}
