// SPDX-License-Identifier: Apache-2.0

package integrity

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/fsck"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/secret"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/config"
	originregistry "github.com/seafront-cdn/seafront/services/origin-registry"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

const (
	replicas = 3
	callers  = 8
	rounds   = 150 // of each caller; SEAFRONT_INTEGRITY multiplies
	timeout  = 30 * time.Second
)

// replica is one server of both services.
type replica struct {
	distributions configv1.DistributionServiceClient
	invalidations configv1.InvalidationServiceClient
	keys          configv1.PublicKeyServiceClient
	groups        configv1.KeyGroupServiceClient
	policies      configv1.CachePolicyServiceClient
	origins       originv1.OriginServiceClient
	functions     configv1.FunctionServiceClient
	stores        configv1.KeyValueStoreServiceClient
	canaries      configv1.ContinuousDeploymentPolicyServiceClient
	logs          configv1.RealtimeLogConfigServiceClient
	requests      configv1.OriginRequestPolicyServiceClient
	certificates  configv1.CertificateServiceClient
}

// start serves both services from an etcd until the test ends.
func start(t *testing.T, kv *clientv3.Client, secrets *secret.Keyring) replica {
	t.Helper()
	memory := rpc.NewMemory()
	conn, err := rpc.Dial("passthrough:///memory", rpc.ClientConfig{Dialer: memory.Dial})
	if err != nil {
		t.Fatal(err)
	}
	registry := originregistry.New(originregistry.Config{Etcd: kv})
	control := config.New(config.Config{
		Etcd: kv, Origins: originv1.NewOriginServiceClient(conn), BaseDomain: "cdn.example.net", Secrets: secrets,
		Limits: config.Limits{PublicKeys: 10_000, KeyGroups: 10_000, StagingDistributions: 10_000, ContinuousDeploymentPolicies: 10_000},
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	var served errgroup.Group
	served.Go(func() error {
		err := rpc.Serve(ctx, rpc.ServerConfig{}, []net.Listener{memory}, registry, control)
		ended <- err
		return err
	})
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		if err := served.Wait(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return replica{
		configv1.NewDistributionServiceClient(conn), configv1.NewInvalidationServiceClient(conn),
		configv1.NewPublicKeyServiceClient(conn), configv1.NewKeyGroupServiceClient(conn),
		configv1.NewCachePolicyServiceClient(conn), originv1.NewOriginServiceClient(conn),
		configv1.NewFunctionServiceClient(conn), configv1.NewKeyValueStoreServiceClient(conn),
		configv1.NewContinuousDeploymentPolicyServiceClient(conn), configv1.NewRealtimeLogConfigServiceClient(conn),
		configv1.NewOriginRequestPolicyServiceClient(conn), configv1.NewCertificateServiceClient(conn),
	}
}

// shared is what all callers fight for: names of everything that was made, some of it
// gone.
type shared struct {
	mu  sync.Mutex
	all map[string][]string // by collection
}

func (s *shared) add(name string) {
	if name == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, _, _ := strings.Cut(name, "/")
	s.all[c] = append(s.all[c], name)
}

// staging is the collection of distributions that policies can be for.
const staging = "staging"

func (s *shared) addDistribution(d *configv1.Distribution) {
	s.add(d.GetName())
	if d.GetStaging() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all[staging] = append(s.all[staging], d.GetName())
	}
}

// pick returns one of a collection, or empty.
func (s *shared) pick(r *rand.Rand, c string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all[c]) == 0 {
		return ""
	}
	return s.all[c][r.IntN(len(s.all[c]))]
}

// TestEverythingAtOnce lets callers at several replicas do everything at random. A
// call may be refused for what others do; it may not fail otherwise, and what is left
// has to be sound (C8.66).
func TestEverythingAtOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("SEAFRONT_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	factor := 1
	if given := os.Getenv("SEAFRONT_INTEGRITY"); given != "" {
		var err error
		if factor, err = strconv.Atoi(given); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEAFRONT_SEED=%d", seed)
	space := etcdtest.New(t)
	var servers []replica
	line, err := secret.NewKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := secret.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	for range replicas {
		servers = append(servers, start(t, space.Client(t), secrets))
	}
	world := &shared{all: map[string][]string{}}
	var all sync.WaitGroup
	var done, refused atomic.Int64
	counts := newTally()
	for i := range callers {
		c := &caller{r: rand.New(rand.NewPCG(seed, uint64(i))), servers: servers, world: world, tag: fmt.Sprint(i)}
		all.Go(func() {
			for n := range rounds * factor {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), timeout)
				what, err := c.act(ctx, n)
				cancel()
				counts.add(what, err)
				switch code := status.Code(err); {
				case err == nil:
					done.Add(1)
				case errors.Is(err, errNothing), expected(code):
					refused.Add(1)
				default:
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d calls had an effect, %d were refused\n%s", done.Load(), refused.Load(), counts)
	client := space.Client(t)
	report, err := fsck.Check(t.Context(), client, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("fsck: %s", p)
	}
	t.Logf("at revision %d: %v, %d derived keys", report.Revision, report.Resources, report.Derived)
	counts.effective(t)
}

// expected are the codes of calls that others have got in the way of.
func expected(c codes.Code) bool {
	switch c {
	case codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted:
		return true
	case codes.Unavailable: // what is referred to kept changing
		return true
	}
	return false
}
