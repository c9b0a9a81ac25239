// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/edge"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// Managed cache policies.
const (
	optimized = "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"
	disabled  = "cachePolicies/4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
)

const patience = time.Minute

// log keeps what was logged.
type log struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// running is an edge that runs.
type running struct {
	t     *testing.T
	at    edge.Addresses
	dir   string
	log   *log
	spans *tracetest.InMemoryExporter
	stop  func() // ends it and waits
	part  rpc.Part
}

func newTelemetry(to io.Writer, spans sdktrace.SpanExporter) *telemetry.Telemetry {
	return &telemetry.Telemetry{
		Log:    slog.New(slog.NewTextHandler(to, nil)),
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)), Meter: sdkmetric.NewMeterProvider(),
		Metrics: http.NotFoundHandler(),
	}
}

// start runs an edge in dir until the test ends, or stop is called.
func start(t *testing.T, client *clientv3.Client, dir string, change ...func(*edge.Config)) *running {
	t.Helper()
	r := &running{t: t, dir: dir, log: &log{}, spans: tracetest.NewInMemoryExporter()}
	cfg := edge.Config{
		ID: "e1", Pop: "AMS1", Etcd: client, EtcdEndpoints: []string{"127.0.0.1:1"}, DataDir: dir, BaseDomain: "cdn.test",
		HTTPListen: "127.0.0.1:0", HTTPSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", CacheBytes: 64 << 20,
		DrainGrace: 5 * time.Second,
		Telemetry:  newTelemetry(r.log, r.spans),
	}
	for _, f := range change {
		f(&cfg)
	}
	e, err := edge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.at, r.part = e.Addresses(), e.Part()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// answer is what a viewer got.
type answer struct {
	status int
	header http.Header
	body   string
	proto  string
}

// get asks the edge for a URL of any host.
func (r *running) get(url string) answer {
	r.t.Helper()
	roots := x509.NewCertPool()
	cert, err := os.ReadFile(filepath.Join(r.dir, "tls", "default.crt"))
	if err != nil || !roots.AppendCertsFromPEM(cert) {
		r.t.Fatal("default certificate: ", err)
	}
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := r.at.HTTP
			if strings.HasSuffix(addr, ":443") {
				to = r.at.HTTPS
			}
			return new(net.Dialer).DialContext(ctx, network, to)
		},
	}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr, Timeout: patience}).Get(url)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body), res.Proto}
}

// admin returns an admin page.
func (r *running) admin(path string) (status int, body string) {
	r.t.Helper()
	res, err := http.Get("http://" + r.at.Admin + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// page decodes an admin page.
func (r *running) page(path string) map[string]any {
	r.t.Helper()
	status, body := r.admin(path)
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); status != 200 || err != nil {
		r.t.Fatalf("%s: %d %s: %v", path, status, body, err)
	}
	return out
}

// awaitStatus reads the edge's status in etcd until it is right.
func awaitStatus(t *testing.T, c *clientv3.Client, right func(*edgev1.EdgeStatus) bool) *edgev1.EdgeStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	changes := c.Watch(ctx, keys.EdgeStatus("e1"))
	for {
		s := status(t, c)
		if right(s) {
			return s
		}
		if _, ok := <-changes; !ok {
			t.Fatalf("status does not come right: %v", s)
		}
	}
}

// status is the edge's status, nil when there is none.
func status(t *testing.T, c *clientv3.Client) *edgev1.EdgeStatus {
	t.Helper()
	got, err := c.Get(t.Context(), keys.EdgeStatus("e1"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Kvs) == 0 {
		return nil
	}
	s := &edgev1.EdgeStatus{}
	if err := keys.Decode(got.Kvs[0].Value, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func applied(revision int64) func(*edgev1.EdgeStatus) bool {
	return func(s *edgev1.EdgeStatus) bool { return s.GetAppliedRevision() >= revision }
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// write puts a record as config would and returns its revision.
func write(t *testing.T, c *clientv3.Client, id string, m proto.Message) int64 {
	t.Helper()
	resource, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	value, err := keys.Encode(&storev1.Record{WriteId: 1, Generation: 1, Traceparent: traceparent, Resource: resource})
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Put(t.Context(), keys.Resource(keys.Distributions, id), string(value))
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Revision
}

// site is a distribution for d{id}.cdn.test with an origin.
func site(t *testing.T, id string, origin *httptest.Server, policy string) *configv1.Distribution {
	t.Helper()
	host, port, err := net.SplitHostPort(origin.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return &configv1.Distribution{Name: "distributions/" + id, DomainName: "d" + id + ".cdn.test", Config: &configv1.DistributionConfig{
		Enabled: true,
		Origins: []*configv1.Origin{{Id: "o", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{
			Http: &originv1.HttpEndpoint{Host: host, HttpPort: proto.Int32(int32(n)), ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY},
		}}}}},
		DefaultCacheBehavior: &configv1.CacheBehavior{
			TargetOriginId: "o", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
			Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: policy},
		},
	}}
}

// newOrigin answers every path with a text of its own.
func newOrigin(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "this is "+r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s
}

// copyDir copies the files of a directory as they are at this moment.
func copyDir(t *testing.T, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}
