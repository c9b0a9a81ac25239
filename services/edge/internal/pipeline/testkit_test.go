// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/brand"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/accesslog"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange/exchangetest"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const host = "www.example.com"

// policyOf is a cache policy with these TTLs.
func policyOf(least, usual, most time.Duration) *configv1.CachePolicy {
	return &configv1.CachePolicy{
		MinTtl: durationpb.New(least), DefaultTtl: durationpb.New(usual), MaxTtl: durationpb.New(most),
	}
}

// siteOf is a distribution for host with one HTTP origin at a port of this machine.
func siteOf(port int) *configv1.Distribution {
	return &configv1.Distribution{
		DomainName: "d1.cdn.test",
		Config: &configv1.DistributionConfig{
			Enabled: true, Aliases: []string{host},
			Origins: []*configv1.Origin{{Id: "web", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{
				Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
					Host: "127.0.0.1", HttpPort: proto.Int32(int32(port)),
					ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
				}},
			}}}},
			DefaultCacheBehavior: behaviorOf("cachePolicies/main"),
		},
	}
}

func behaviorOf(policy string) *configv1.CacheBehavior {
	return &configv1.CacheBehavior{
		TargetOriginId: "web", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
		Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: policy},
	}
}

func record(t testing.TB, c keys.Collection, id string, rev int64, m proto.Message) snapshot.Change {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	v, err := keys.Encode(&storev1.Record{WriteId: 1, Resource: b})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Change{Key: keys.Resource(c, id), Value: v, ModRevision: rev}
}

// snapshotOf compiles a distribution "site", its policy "main" and further policies.
func snapshotOf(
	t testing.TB, site *configv1.Distribution, main *configv1.CachePolicy, more ...snapshot.Change,
) *snapshot.Snapshot {
	t.Helper()
	changes := append([]snapshot.Change{
		record(t, keys.Distributions, "site", 1, site),
		record(t, keys.CachePolicies, "main", 2, main),
	}, more...)
	s, report := snapshot.Empty().Apply(7, changes)
	for _, a := range report.Applied {
		if a.Rejected != nil {
			t.Fatalf("%s: %s", a.Resource, a.Rejected.Message)
		}
	}
	return s
}

// fixed is a configuration that a test may change.
type fixed struct {
	mu  sync.Mutex
	now *snapshot.Snapshot
}

func (f *fixed) Current() *snapshot.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// page is an origin's answer. A nil body is an empty one; length -1 announces none.
type page struct {
	status  int
	fields  header.Fields
	text    string
	body    io.Reader
	length  int64
	chunked bool
	err     error
}

// text is a whole answer with pairs of field names and values.
func text(status int, body string, pairs ...string) page {
	return page{status: status, text: body, fields: fieldsOf(pairs...)}
}

func fieldsOf(pairs ...string) header.Fields {
	var h header.Fields
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// fakeOrigin answers as its script says and remembers what it was asked.
type fakeOrigin struct {
	mu     sync.Mutex
	script func(r *origin.Request) page
	asked  []origin.Request
}

func (f *fakeOrigin) set(script func(r *origin.Request) page) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// says makes the origin give the same answer from now on.
func (f *fakeOrigin) says(p page) { f.set(func(*origin.Request) page { return p }) }

// requests returns how often the origin was asked since the last call.
func (f *fakeOrigin) requests() []origin.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.asked
	f.asked = nil
	return out
}

func (f *fakeOrigin) Fetch(ctx context.Context, r *origin.Request) (*origin.Response, error) {
	f.mu.Lock()
	f.asked = append(f.asked, *r)
	script := f.script
	f.mu.Unlock()
	sent := time.Now()
	p := script(r)
	if p.err != nil {
		return nil, p.err
	}
	if ctx.Err() != nil {
		return nil, &origin.Error{Kind: origin.Canceled, Origin: r.Origin.Name, Err: ctx.Err()}
	}
	res := &origin.Response{
		Status: p.status, Minor: 1, Header: p.fields.Clone(2), ContentLength: int64(len(p.text)),
		Framing: origin.ContentLength, Attempts: 1, RequestTime: sent, ResponseTime: time.Now(),
		Body: io.NopCloser(strings.NewReader(p.text)),
	}
	if g, ok := p.body.(*gate); ok {
		g.ctx = ctx
	}
	if p.body != nil {
		res.Body, res.ContentLength = io.NopCloser(p.body), p.length
	}
	if p.chunked || p.body != nil && p.length < 0 {
		res.Framing, res.ContentLength = origin.Chunked, -1
	}
	if r.Method == "HEAD" || p.status == 304 || p.status == 204 {
		res.Framing, res.Body = origin.None, io.NopCloser(strings.NewReader(""))
		if p.status != 200 {
			res.ContentLength = -1
		}
	}
	if res.ContentLength >= 0 {
		res.Header.Set("Content-Length", "0") // the pipeline puts it right
	}
	return res, nil
}

func failure(kind origin.Kind) page {
	return page{err: &origin.Error{Kind: kind, Origin: "web", Attempts: 1, Err: io.ErrUnexpectedEOF}}
}

// got is an answer as a viewer has it.
type got struct {
	exchangetest.Silent
	status int
	header header.Fields
	body   string
	err    error // why the body is not whole
	sends  int
	closed bool
}

func (g *got) xcache() string {
	word, _, _ := strings.Cut(g.header.Get("X-Cache"), " ")
	return word
}

// Send reads the body as an adapter does.
func (g *got) Send(ctx context.Context, a *exchange.Answer) (int64, error) {
	g.sends++
	g.status, g.header, g.closed = a.Status, exchangetest.Header(a), a.Close
	var b bytes.Buffer
	if _, err := exchangetest.Read(ctx, a.Body, func(p []byte) { b.Write(p) }); err != nil {
		g.err = err
	}
	g.body = b.String()
	return int64(b.Len()), g.err
}

// events writes each event at once.
type events struct{ *slog.Logger }

func (l events) Append(e *accesslog.Event) {
	l.Info("request", "method", e.Method, "host", e.Host, "path", e.Path, "status", e.Status, "outcome", e.Outcome,
		"result", e.Result, "request_id", e.RequestID, "distribution", e.Distribution, "behavior", e.Behavior,
		"origin", e.Origin, "collapsed", e.Collapsed, "attempts", e.Attempts, "origin_error", e.OriginError,
		"reason", e.Reason, "error", e.Error)
}

// edge is a Pipeline between a test and a fake origin.
type edge struct {
	*Pipeline
	t      testing.TB
	origin *fakeOrigin
	config *fixed
	log    *bytes.Buffer
}

// options of newEdge; zero values are useful.
type options struct {
	site    *configv1.Distribution
	policy  *configv1.CachePolicy
	more    []snapshot.Change
	bytes   int64
	disk    *disk.Log
	change  func(*Config)
	origins fetcher
	tracer  trace.TracerProvider
	meter   metric.MeterProvider
}

func newEdge(t testing.TB, o options) *edge {
	t.Helper()
	if o.site == nil {
		o.site = siteOf(80)
	}
	if o.policy == nil {
		o.policy = policyOf(0, time.Hour, 24*time.Hour)
	}
	if o.bytes == 0 {
		o.bytes = 128 << 20
	}
	e := &edge{t: t, origin: &fakeOrigin{}, config: &fixed{now: snapshotOf(t, o.site, o.policy, o.more...)}, log: &bytes.Buffer{}}
	e.origin.says(text(200, "body"))
	ended := invalidation.New(1, 0)
	objects, err := store.Open(store.Config{MemoryBytes: o.bytes, Disk: o.disk, Ended: ended})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err) // somebody still holds something
		}
	})
	cfg := Config{
		Snapshots: e.config, Store: objects, Invalidations: ended, Origins: e.origin, Brand: brand.Seafront(), Pop: "TST1",
		Events: events{slog.New(slog.NewJSONHandler(&synced{w: e.log}, nil))},
		Log:    slog.New(slog.NewJSONHandler(&synced{w: e.log}, nil)), Tracer: o.tracer, Meter: o.meter,
	}
	if o.origins != nil {
		cfg.Origins = o.origins
	}
	if o.change != nil {
		o.change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.Pipeline = p
	t.Cleanup(p.Close)
	return e
}

// synced lets goroutines share a writer.
type synced struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *synced) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

// ask is a GET for a target with pairs of field names and values.
func ask(target string, pairs ...string) *exchange.Request {
	return &exchange.Request{
		Method: "GET", Target: target, Host: host, Scheme: "http", Major: 1, Minor: 1,
		Header: fieldsOf(pairs...), Viewer: netip.MustParseAddrPort("192.0.2.7:4711"),
	}
}

func (e *edge) do(r *exchange.Request) *got {
	e.t.Helper()
	g := &got{}
	e.Serve(e.t.Context(), r, g)
	if g.sends != 1 {
		e.t.Fatalf("%s %s was answered %d times", r.Method, r.Target, g.sends)
	}
	return g
}

func (e *edge) get(target string, pairs ...string) *got {
	e.t.Helper()
	return e.do(ask(target, pairs...))
}

func (e *edge) head(target string, pairs ...string) *got {
	e.t.Helper()
	r := ask(target, pairs...)
	r.Method = "HEAD"
	return e.do(r)
}

// want checks an answer's status, X-Cache word and body, and how often the origin
// was asked for it.
func (e *edge) want(what string, g *got, status int, word, body string, asked int) {
	e.t.Helper()
	if g.status != status || g.xcache() != word || g.body != body || g.err != nil {
		e.t.Errorf("%s: %d, X-Cache %q, body %.40q, %v; want %d, %q, %.40q", what, g.status, g.header.Get("X-Cache"),
			g.body, g.err, status, word, body)
	}
	if n := len(e.origin.requests()); n != asked {
		e.t.Errorf("%s: the origin was asked %d times, want %d", what, n, asked)
	}
}

// errorTTL is an error caching minimum.
func errorTTL(status int32, d time.Duration) *configv1.CustomErrorResponse {
	return &configv1.CustomErrorResponse{ErrorCode: status, ErrorCachingMinTtl: durationpb.New(d)}
}

func ptr[T any](v T) *T { return &v }

func seconds(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }
