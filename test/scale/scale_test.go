// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/fsck"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// Bounds of waiting.
const (
	startTimeout = time.Minute
	callTimeout  = 30 * time.Second
)

const (
	sizeEnv = "SEAFRONT_SCALE"
	few     = 200
)

// callers is how many callers work at the same time.
const callers = 32

// TestScale loads distributions through the API, measures what one replica of config
// does in a second, and starts an edge on all of them. SEAFRONT_SCALE says how many;
// without it a few show that it works.
func TestScale(t *testing.T) {
	size := few
	if given := os.Getenv(sizeEnv); given != "" {
		var err error
		if size, err = strconv.Atoi(given); err != nil || size < few {
			t.Fatalf("%s is %q; want a number of at least %d", sizeEnv, given, few)
		}
	}
	w := start(t, size)
	w.measure(t, "create", size, w.create)
	changes := max(100, size/20)
	w.measure(t, "update", changes, w.update)
	w.measure(t, "read", 4*changes, w.read)
	w.list(t)
	w.consistent(t)
	w.store(t)
	w.edge(t)
	t.Logf("%d distributions, one replica of config, %d callers at once\n%s", size, callers, strings.Join(w.rows, "\n"))
}

// world is the control plane under test.
type world struct {
	size     int
	endpoint string
	db       *clientv3.Client
	api      *control.Client
	names    []string // of distributions
	policies []string // names of cache policies
	rows     []string
}

func (w *world) row(t *testing.T, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.rows = append(w.rows, line)
	t.Log(line)
}

func start(t *testing.T, size int) *world {
	w := &world{size: size, names: make([]string, size), endpoint: startStore(t)}
	var err error
	if w.db, err = etcd.Dial([]string{w.endpoint}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close() })
	registryAddress, configAddress := program.Address(t), program.Address(t)
	registryPages, configPages := program.Address(t), program.Address(t)
	quiet := []string{"SEAFRONT_ETCD_ENDPOINTS=" + w.endpoint, "SEAFRONT_LOG_LEVEL=warn"}
	registry := program.Start(t, program.Spec{
		Name: "origin-registry", Path: program.Product(t, "origin-registry"),
		Env: append(quiet, "SEAFRONT_LISTEN="+registryAddress, "SEAFRONT_METRICS_LISTEN="+registryPages),
	})
	config := program.Start(t, program.Spec{
		Name: "config", Path: program.Product(t, "config"),
		Env: append(quiet, fmt.Sprint("SEAFRONT_MAX_CACHE_POLICIES=", w.shared()), "SEAFRONT_ORIGIN_REGISTRY="+registryAddress, "SEAFRONT_LISTEN="+configAddress, "SEAFRONT_METRICS_LISTEN="+configPages),
	})
	registry.Ready(t, "http://"+registryPages+"/readyz", startTimeout)
	config.Ready(t, "http://"+configPages+"/readyz", startTimeout)
	w.api = control.Dial(t, configAddress)
	w.api.Origins = control.Dial(t, registryAddress).Origins
	for i := range w.shared() {
		w.api.CreateOrigin(t, origin(i), &originv1.Origin{Endpoint: control.Server("origin.example.net", 8080)})
		p, err := w.api.Policies.CreateCachePolicy(t.Context(), &configv1.CreateCachePolicyRequest{CachePolicy: &configv1.CachePolicy{
			DisplayName: fmt.Sprint("scale-", i), MinTtl: durationpb.New(time.Second),
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.policies = append(w.policies, p.GetCachePolicy().GetName())
	}
	return w
}

// startStore runs etcd as production does when there is much to measure.
func startStore(t *testing.T) string {
	if os.Getenv(sizeEnv) == "" {
		return etcdtest.Start(t).Endpoint()
	}
	client, peer := "http://"+program.Address(t), "http://"+program.Address(t)
	store := program.Start(t, program.Spec{Name: "etcd", Path: program.Product(t, "etcd"), Args: []string{
		"--data-dir", filepath.Join(t.TempDir(), "etcd"), "--name", "one", "--initial-cluster", "one=" + peer,
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--max-txn-ops=1024", "--quota-backend-bytes=8589934592", "--auto-compaction-mode=periodic",
		"--auto-compaction-retention=15m", "--max-request-bytes=1572864", "--log-level", "error",
	}})
	t.Cleanup(func() { store.Kill(t) }) // asked to end, it ends by the signal
	return strings.TrimPrefix(client, "http://")
}

// shared is how many origins there are, and how many cache policies, each for a
// hundred distributions.
func (w *world) shared() int { return max(1, w.size/100) }

func origin(i int) string { return "o" + strconv.Itoa(i) }

// measure makes n calls by all callers at once.
func (w *world) measure(t *testing.T, what string, n int, call func(ctx context.Context, i int) error) {
	took := make([]time.Duration, n)
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range callers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !t.Failed(); i = int(next.Add(1)) - 1 {
				at := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
				err := call(ctx, i)
				cancel()
				if err != nil {
					t.Errorf("%s %d: %v", what, i, err)
				}
				took[i] = time.Since(at)
			}
		})
	}
	all.Wait()
	whole := time.Since(began)
	slices.Sort(took)
	w.row(t, "%-8s %7d calls %8.0f a second   p50 %6.1f ms   p99 %6.1f ms", what, n, float64(n)/whole.Seconds(), ms(took[n/2]), ms(took[n*99/100]))
	if t.Failed() {
		t.FailNow()
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (w *world) create(ctx context.Context, i int) error {
	site := control.Site(&configv1.Origin{Id: "site", Source: &configv1.Origin_OriginRef{OriginRef: "origins/" + origin(i%w.shared())}})
	site.Aliases = []string{fmt.Sprintf("www.site-%d.test", i), fmt.Sprintf("*.wild-%d.test", i)}
	for _, pattern := range []string{"/images/*", "*.css", "/api/*"} {
		site.CacheBehaviors = append(site.CacheBehaviors, control.Behavior(pattern, "site", control.CachingDisabled))
	}
	site.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: w.policies[i%w.shared()]}
	res, err := w.api.Distributions.CreateDistribution(ctx, &configv1.CreateDistributionRequest{
		Distribution: &configv1.Distribution{CallerReference: fmt.Sprint("scale-", i), Config: site},
	})
	w.names[i] = res.GetDistribution().GetName()
	return err
}

func (w *world) update(ctx context.Context, i int) error {
	name := w.names[i%w.size]
	got, err := w.api.Distributions.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: name})
	if err != nil {
		return err
	}
	d := got.GetDistribution()
	d.Config.DefaultRootObject = fmt.Sprintf("index-%d.html", i)
	_, err = w.api.Distributions.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{
		Distribution: d, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"config.default_root_object"}},
	})
	return err
}

func (w *world) read(ctx context.Context, i int) error {
	_, err := w.api.Distributions.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: w.names[(i*7919)%w.size]})
	return err
}

func (w *world) list(t *testing.T) {
	began, n, token := time.Now(), 0, ""
	for {
		ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
		res, err := w.api.Distributions.ListDistributions(ctx, &configv1.ListDistributionsRequest{PageSize: 1000, PageToken: token})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		n += len(res.GetDistributions())
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if n != w.size {
		t.Errorf("listed %d of %d", n, w.size)
	}
	w.row(t, "list     %7d in %.1f s", n, time.Since(began).Seconds())
}

// consistent compares every derived key with the resources.
func (w *world) consistent(t *testing.T) {
	began := time.Now()
	r, err := fsck.Check(t.Context(), w.db, 0)
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("fsck: %v, %d problems, the first: %v", err, len(r.Problems), r.Problems[:min(3, len(r.Problems))])
	}
	w.row(t, "fsck     %7d derived keys in %.1f s, no problem", r.Derived, time.Since(began).Seconds())
}

// store tells how large etcd has become.
func (w *world) store(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	s, err := w.db.Status(ctx, w.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	w.row(t, "etcd     %.0f MB, of that in use %.0f MB, at revision %d", float64(s.DbSize)/1e6, float64(s.DbSizeInUse)/1e6, s.Header.GetRevision())
}

// edge starts an edge that has nothing on its disk.
func (w *world) edge(t *testing.T) {
	admin, viewers := program.Address(t), program.Address(t)
	began := time.Now()
	e := program.Start(t, program.Spec{Name: "edge", Path: program.Product(t, "edge"), Env: []string{
		"SEAFRONT_ETCD_ENDPOINTS=" + w.endpoint, "SEAFRONT_EDGE_ID=edge-1", "SEAFRONT_EDGE_POP=LOC1", "SEAFRONT_LOG_LEVEL=warn",
		"SEAFRONT_HTTP_LISTEN=" + viewers, "SEAFRONT_HTTPS_LISTEN=" + program.Address(t), "SEAFRONT_ADMIN_LISTEN=" + admin, "SEAFRONT_GRPC_LISTEN=127.0.0.1:0",
		"SEAFRONT_DATA=" + filepath.Join(t.TempDir(), "edge"),
	}})
	e.Ready(t, "http://"+admin+"/readyz", startTimeout)
	ready := time.Since(began)
	resident, anonymous := e.Memory(t)
	w.row(t, "edge     ready after %.1f s, then %.0f MB resident, %.0f MB of that anonymous", ready.Seconds(), resident/1e6, anonymous/1e6)
	took := make([]time.Duration, 20)
	for i := range took {
		ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
		if err := w.update(ctx, i); err != nil {
			t.Fatal(err)
		}
		cancel()
		began := time.Now()
		w.api.WatchUntil(t, w.names[i%w.size], callTimeout, func(r *control.Rollout) bool { return r.Deployment.GetEdgesCurrent() == 1 })
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	resident, anonymous = e.Memory(t)
	w.row(t, "change   known to be served by it %.0f ms after the answer, at most %.0f ms; then %.0f MB resident, %.0f MB anonymous",
		ms(took[len(took)/2]), ms(took[len(took)-1]), resident/1e6, anonymous/1e6)
}
