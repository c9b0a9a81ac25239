// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
	"github.com/seafront-cdn/seafront/test/otlp"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// fleet is a cluster of processes: a real etcd, both services and three edges, whose
// spans go to a sink and whose origin is the test.
type fleet struct {
	etcd    *etcdtest.Member
	store   *clientv3.Client
	sink    *otlp.Sink
	api     *control.Client // of config; its Origins are the registry's
	origins *control.Client // of origin-registry
	edges   []*edge
	origin  *source
}

// edge is one edge process.
type edge struct {
	*program.Process
	name              string // resource name
	http, admin, data string
	spec              program.Spec
}

// startFleet runs everything and returns when all of it is ready.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{etcd: etcdtest.Start(t), sink: otlp.Start(t), origin: startSource(t)}
	f.store = f.etcd.Client(t)
	registryAddress, configAddress := program.Address(t), program.Address(t)
	registryPages, configPages := program.Address(t), program.Address(t)
	registry := program.Start(t, program.Spec{
		Name: "origin-registry", Path: program.Product(t, "origin-registry"),
		Env: append(f.sink.Env(), "SEAFRONT_ETCD_ENDPOINTS="+f.etcd.Endpoint(),
			"SEAFRONT_LISTEN="+registryAddress, "SEAFRONT_METRICS_LISTEN="+registryPages),
	})
	config := program.Start(t, program.Spec{
		Name: "config", Path: program.Product(t, "config"),
		Env: append(f.sink.Env(), "SEAFRONT_ETCD_ENDPOINTS="+f.etcd.Endpoint(), "SEAFRONT_ORIGIN_REGISTRY="+registryAddress,
			"SEAFRONT_LISTEN="+configAddress, "SEAFRONT_METRICS_LISTEN="+configPages),
	})
	for i := range 3 {
		f.edges = append(f.edges, f.startEdge(t, "edge-"+strconv.Itoa(i+1)))
	}
	registry.Ready(t, "http://"+registryPages+"/readyz", startTimeout)
	config.Ready(t, "http://"+configPages+"/readyz", startTimeout)
	for _, e := range f.edges {
		e.ready(t)
	}
	f.api, f.origins = control.Dial(t, configAddress), control.Dial(t, registryAddress)
	f.api.Origins = f.origins.Origins
	return f
}

func (f *fleet) startEdge(t *testing.T, id string) *edge {
	t.Helper()
	e := &edge{name: "edges/" + id, http: program.Address(t), admin: program.Address(t), data: filepath.Join(t.TempDir(), id)}
	e.spec = program.Spec{
		Name: id, Path: program.Product(t, "edge"),
		Env: append(f.sink.Env(), "SEAFRONT_ETCD_ENDPOINTS="+f.etcd.Endpoint(), "SEAFRONT_EDGE_ID="+id, "SEAFRONT_EDGE_POP=LOC1",
			"SEAFRONT_HTTP_LISTEN="+e.http, "SEAFRONT_HTTPS_LISTEN="+program.Address(t), "SEAFRONT_ADMIN_LISTEN="+e.admin, "SEAFRONT_GRPC_LISTEN=127.0.0.1:0",
			"SEAFRONT_DATA="+e.data, "SEAFRONT_TRUSTED_TRACE_NETWORKS=127.0.0.0/8"),
	}
	e.start(t)
	return e
}

// start runs the edge, again after it was killed or stopped.
func (e *edge) start(t *testing.T) {
	t.Helper()
	e.Process = program.Start(t, e.spec)
}

// ready waits until the edge says that it serves.
func (e *edge) ready(t *testing.T) {
	t.Helper()
	e.Ready(t, "http://"+e.admin+"/readyz", startTimeout)
}

// counted waits until every edge is live in the eyes of config: only then does a
// deployment wait for it.
func (f *fleet) counted(t *testing.T, name string) {
	t.Helper()
	f.api.WatchUntil(t, name, deployTimeout, func(r *control.Rollout) bool {
		return int(r.Deployment.GetEdgesTotal()) == len(f.edges) && int(r.Deployment.GetEdgesCurrent()) == len(f.edges)
	})
}

// site creates a distribution with the test as its origin and returns it deployed.
func (f *fleet) site(t *testing.T, reference string) *configv1.Distribution {
	t.Helper()
	d := f.api.Create(t, reference, control.Site(inline(server(t, f.origin.address))))
	f.counted(t, d.GetName())
	return d
}

// shared is site with a registered origin.
func (f *fleet) shared(t *testing.T, reference string) *configv1.Distribution {
	t.Helper()
	o := f.api.CreateOrigin(t, reference, &originv1.Origin{Endpoint: server(t, f.origin.address)})
	d := f.api.Create(t, reference, control.Site(&configv1.Origin{Id: "site", Source: &configv1.Origin_OriginRef{OriginRef: o.GetName()}}))
	f.counted(t, d.GetName())
	return d
}

// everywhere asks every edge for a target.
func (f *fleet) everywhere(t *testing.T, host, target string, check func(e *edge, a *viewer.Answer)) {
	t.Helper()
	for _, e := range f.edges {
		check(e, viewer.Get(t, e.http, host, target))
	}
}

// source is an origin that remembers who asked.
type source struct {
	address string

	mu     sync.Mutex // guards traces
	traces map[string]string
}

// startSource serves "content of {path}" until the test ends.
func startSource(t *testing.T) *source {
	t.Helper()
	s := &source{traces: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.traces[r.URL.Path] = r.Header.Get("Traceparent")
		s.mu.Unlock()
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = w.Write([]byte("content of " + r.URL.Path))
	}))
	t.Cleanup(server.Close)
	s.address = server.Listener.Addr().String()
	return s
}

// traceparent is what the newest request for a path carried.
func (s *source) traceparent(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.traces[path]
}

// newTrace makes a trace of the test's: its id, and the header field that makes
// others continue it.
func newTrace() (id, traceparent string) {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	id = hex.EncodeToString(b[:16])
	return id, "00-" + id + "-" + hex.EncodeToString(b[16:]) + "-01"
}

// traced is a context whose calls belong to a trace.
func traced(ctx context.Context, traceparent string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "traceparent", traceparent)
}
