// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
)

// race lets two clients ask for one alias through two replicas at the same moment:
// exactly one gets it.
func (c *cluster) race(t *testing.T) {
	apis := []*control.Client{c.config(t, "config-1"), c.config(t, "config-2")}
	for round := range 20 {
		alias := fmt.Sprintf("race-%d.example.test", round)
		results := make([]error, len(apis))
		var both sync.WaitGroup
		for i, api := range apis {
			both.Go(func() {
				site := control.Site(&configv1.Origin{Id: "site", Source: &configv1.Origin_Endpoint{Endpoint: control.Server("sample", 7490)}})
				site.Aliases = []string{alias}
				_, results[i] = api.Distributions.CreateDistribution(t.Context(), &configv1.CreateDistributionRequest{
					Distribution: &configv1.Distribution{CallerReference: fmt.Sprintf("race-%d-%d", round, i), Config: site},
				})
			})
		}
		both.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else if status.Code(err) != codes.AlreadyExists {
				t.Errorf("%s: %v", alias, err)
			}
		}
		if won != 1 {
			t.Fatalf("%s was given to %d of two", alias, won)
		}
	}
}

// acknowledged is a write that a server has answered.
type acknowledged struct{ name, etag string }

// crash kills config-1 while clients write through both replicas, and then looks for
// every write that was acknowledged.
func (c *cluster) crash(t *testing.T) {
	const writers, before, after = 4, 150, 300
	var mu sync.Mutex
	var kept []acknowledged
	killed := make(chan struct{})
	var all sync.WaitGroup
	// All connect before the first one writes: the kill comes with their writes.
	apis := make([]*control.Client, writers)
	for i := range apis {
		apis[i] = c.config(t, []string{"config-1", "config-2"}[i%2])
	}
	for i, api := range apis {
		all.Go(func() {
			for n := range after {
				if i%2 == 0 && n == before {
					<-killed
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				site := control.Site(&configv1.Origin{Id: "site", Source: &configv1.Origin_Endpoint{Endpoint: control.Server("sample", 7490)}})
				res, err := api.Distributions.CreateDistribution(ctx, &configv1.CreateDistributionRequest{
					Distribution: &configv1.Distribution{CallerReference: fmt.Sprintf("crash-%d-%d", i, n), Config: site},
				})
				cancel()
				if err != nil {
					if i%2 == 1 {
						t.Errorf("config-2: %v", err)
					}
					return // config-1 is gone
				}
				mu.Lock()
				kept = append(kept, acknowledged{res.GetDistribution().GetName(), res.GetDistribution().GetEtag()})
				at := len(kept)
				mu.Unlock()
				if at == before {
					go func() {
						defer close(killed)
						c.run(t, "kill", "config-1")
					}()
				}
			}
		})
	}
	all.Wait()
	<-killed
	api := c.config(t, "config-2")
	for _, w := range kept {
		if got := api.Get(t, w.name); got.GetEtag() != w.etag {
			t.Errorf("%s has etag %s, %s was acknowledged", w.name, got.GetEtag(), w.etag)
		}
	}
	t.Logf("%d writes were acknowledged, all of them are there", len(kept))
	c.run(t, "start", "config-1")
	c.awaitControl(t)
}

// replace gives the cluster another member of etcd in place of etcd-3, with an empty
// disk.
func (c *cluster) replace(t *testing.T) {
	var members struct {
		Members []struct {
			ID   uint64 `json:"ID"`
			Name string `json:"name"`
		} `json:"members"`
	}
	out := c.etcdctl(t, "member", "list", "--write-out", "json")
	if err := json.Unmarshal([]byte(out), &members); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.run(t, "rm", "--stop", "--force", "-v", "etcd-3")
	if out, err := exec.Command("docker", "volume", "rm", c.project+"_etcd-3").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, m := range members.Members {
		if m.Name == "etcd-3" {
			c.etcdctl(t, "member", "remove", fmt.Sprintf("%x", m.ID))
		}
	}
	c.etcdctl(t, "member", "add", "etcd-3", "--peer-urls", c.peer("etcd-3"))
	c.env = append(c.env, "ETCD_INITIAL_CLUSTER_STATE=existing")
	c.run(t, "up", "--detach", "--no-build", "--no-deps", "etcd-3")
	program.Await(t, "etcd-3 is a member that answers", startTimeout, func(context.Context) error {
		out, err := c.exec(append([]string{"exec", "-T", "etcd-3", "/usr/local/bin/etcdctl"}, "endpoint", "health")...)
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// invalidate empties the caches of all three edges, and sees each edge's word for it.
func (c *cluster) invalidate(t *testing.T) {
	c.obey(t, "/tides.html", "Hit", "Hit")
	api := c.config(t, "config-2")
	ctx, cancel := context.WithTimeout(t.Context(), deployTimeout)
	defer cancel()
	made, err := api.Invalidations.CreateInvalidation(ctx, &configv1.CreateInvalidationRequest{
		Parent: c.name, Invalidation: &configv1.Invalidation{CallerReference: "cluster", Paths: []string{"/tides.html"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	done, err := c.config(t, "config-1").Invalidations.WaitInvalidation(ctx, &configv1.WaitInvalidationRequest{Name: made.GetInvalidation().GetName()})
	if err != nil {
		t.Fatal(err)
	}
	i := done.GetInvalidation()
	if i.GetState() != configv1.Invalidation_STATE_COMPLETED || len(i.GetAcks()) != len(edges) {
		t.Fatalf("%v with %d acknowledgements: %v", i.GetState(), len(i.GetAcks()), i)
	}
	for _, a := range i.GetAcks() {
		t.Logf("  %s in %s acknowledged %v after the write", a.GetEdge(), a.GetPop(), a.GetDelay().AsDuration())
	}
	c.obey(t, "/tides.html", "Miss", "Hit")
}

// peer is the address of a member for other members.
func (c *cluster) peer(member string) string { return "https://" + member + ":2380" }

// etcdctl runs as root.
func (c *cluster) etcdctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.etcdctlAs(c.file("root"), args...)
	if err != nil {
		t.Fatalf("etcdctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
