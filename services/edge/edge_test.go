// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge"
)

func want(t *testing.T, what string, got answer, status int, cache string) {
	t.Helper()
	if got.status != status || got.header.Get("X-Cache") != cache+" from seafront" {
		t.Errorf("%s: %d, X-Cache %q, %q; want %d %s", what, got.status, got.header.Get("X-Cache"), got.body, status, cache)
	}
}

func TestServedFromCacheAndObeysChanges(t *testing.T) {
	c := etcdtest.Client(t)
	origin := newOrigin(t)
	e := start(t, c, t.TempDir())
	awaitStatus(t, c, applied(1)) // the first list has come: what follows comes by the watch, with a span
	d := site(t, "1", origin, optimized)
	awaitStatus(t, c, applied(write(t, c, "1", d)))
	want(t, "first", e.get("http://d1.cdn.test/a"), 200, "Miss")
	hit := e.get("http://d1.cdn.test/a")
	want(t, "second", hit, 200, "Hit")
	if hit.body != "this is /a" || hit.header.Get("X-Seafront-Pop") != "AMS1" || hit.header.Get("Date") == "" {
		t.Errorf("hit: %q %v", hit.body, hit.header)
	}
	secure := e.get("https://d1.cdn.test/a")
	want(t, "over HTTPS", secure, 200, "Hit")
	if secure.proto != "HTTP/2.0" {
		t.Errorf("D1.1: protocol %s", secure.proto)
	}
	want(t, "D2.6: a host of nobody", e.get("http://nobody.cdn.test/"), 403, "Error")

	d.Config.CacheBehaviors = []*configv1.CacheBehavior{{
		PathPattern: "/news/*", TargetOriginId: "o", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_REDIRECT_TO_HTTPS,
		Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: disabled},
	}}
	want(t, "before the change", e.get("http://d1.cdn.test/news/1"), 200, "Miss")
	awaitStatus(t, c, applied(write(t, c, "1", d)))
	want(t, "CachingDisabled", e.get("https://d1.cdn.test/news/1"), 200, "Miss")
	want(t, "CachingDisabled", e.get("https://d1.cdn.test/news/1"), 200, "Miss")
	want(t, "unchanged behavior", e.get("http://d1.cdn.test/a"), 200, "Hit")
	conn, err := net.Dial("tcp", e.at.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /news/1 HTTP/1.1\r\nHost: d1.cdn.test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(conn)
	_, port, _ := net.SplitHostPort(e.at.HTTPS)
	if err != nil || !strings.Contains(string(raw), "Location: https://d1.cdn.test:"+port+"/news/1\r\n") {
		t.Errorf("D6.2: redirect to the public HTTPS port %s: %q, %v", port, raw, err)
	}
	e.stop()
	checkSpans(t, e)
}

// checkSpans looks for the spans of requests, and of both changes in the trace of the
// write.
func checkSpans(t *testing.T, e *running) {
	t.Helper()
	var apply, requests, fetches int
	for _, s := range e.spans.GetSpans() {
		switch s.Name {
		case "apply":
			apply++
			if s.Parent.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
				t.Errorf("apply is in trace %s", s.Parent.TraceID())
			}
		case "request":
			requests++
		case "origin fetch":
			fetches++
		}
	}
	if apply != 2 || requests < 8 || fetches < 4 {
		t.Errorf("design 3.10: %d spans of changes, %d of requests, %d of fetches", apply, requests, fetches)
	}
}

func TestAcknowledgedAfterTheSwap(t *testing.T) {
	c := etcdtest.Client(t)
	hold, release := make(chan int64), make(chan struct{})
	var from int64 = 1 << 62
	armed := make(chan int64, 1)
	start(t, c, t.TempDir(), func(cfg *edge.Config) {
		cfg.BeforeSwap = func(revision int64) {
			select {
			case from = <-armed:
			default:
			}
			if revision >= from {
				hold <- revision
				<-release
			}
		}
	})
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s != nil })
	armed <- 0
	rev := write(t, c, "1", site(t, "1", newOrigin(t), optimized))
	for <-hold < rev {
		release <- struct{}{}
	}
	if s := status(t, c); s.GetAppliedRevision() >= rev {
		t.Errorf("C8.67: revision %d is acknowledged while the swap of %d is held", s.GetAppliedRevision(), rev)
	}
	armed <- 1 << 62
	release <- struct{}{}
	awaitStatus(t, c, applied(rev))
}

// TestStatusListsRejections writes what a later release might, straight into etcd.
func TestStatusListsRejections(t *testing.T) {
	c := etcdtest.Client(t)
	origin := newOrigin(t)
	e := start(t, c, t.TempDir())
	awaitStatus(t, c, applied(write(t, c, "1", site(t, "1", origin, optimized))))
	bad := site(t, "1", origin, disabled)
	bad.Config.HttpVersion = 77
	rev := write(t, c, "1", bad)
	last := write(t, c, "2", site(t, "2", origin, optimized))
	s := awaitStatus(t, c, applied(last))
	if r := s.GetRejected(); len(r) != 1 || s.GetRejectedCount() != 1 || r[0].GetResource() != "distributions/1" ||
		r[0].GetRevision() != rev || r[0].GetReason() != "UNKNOWN_ENUM_VALUE" || !strings.Contains(r[0].GetMessage(), "http_version") {
		t.Errorf("C8.76: status rejects %v", r)
	}
	want(t, "the old version", e.get("http://d1.cdn.test/a"), 200, "Miss")
	want(t, "the old version", e.get("http://d1.cdn.test/a"), 200, "Hit")
	want(t, "everything else", e.get("http://d2.cdn.test/a"), 200, "Miss")
	page := e.page("/debug/config")
	if r := page["rejections"].([]any); len(r) != 1 || r[0].(map[string]any)["reason"] != "UNKNOWN_ENUM_VALUE" {
		t.Errorf("/debug/config: %v", page)
	}
	if n := strings.Count(e.log.String(), "record rejected"); n != 1 {
		t.Errorf("the rejection is logged %d times", n)
	}
}

func TestWithoutAnyConfiguration(t *testing.T) {
	e := start(t, nil, t.TempDir())
	got := e.get("http://d1.cdn.test/")
	want(t, "a viewer", got, 503, "Error")
	if got.header.Get("Retry-After") == "" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("503 without a configuration: %v", got.header)
	}
	if status, body := e.admin("/readyz"); status != 503 || !strings.Contains(body, "no configuration") {
		t.Errorf("/readyz: %d %s", status, body)
	}
}

// edgeWithData runs an edge until it has written what it serves: one distribution
// whose newest version is rejected, another that is good. It returns their last
// revision.
func edgeWithData(t *testing.T, dir string) (e *running, revision int64) {
	t.Helper()
	c := etcdtest.Client(t)
	origin := newOrigin(t)
	e = start(t, c, dir)
	d := site(t, "1", origin, optimized)
	awaitStatus(t, c, applied(write(t, c, "1", d)))
	d.Config.DefaultCacheBehavior.Compress = true // not built
	awaitStatus(t, c, applied(write(t, c, "1", d)))
	revision = write(t, c, "2", site(t, "2", origin, disabled))
	awaitStatus(t, c, applied(revision))
	return e, revision
}

// checkAlone checks an edge that has no etcd.
func checkAlone(t *testing.T, e *running, revision int64) {
	t.Helper()
	want(t, "alone", e.get("http://d1.cdn.test/a"), 200, "Miss")
	want(t, "alone", e.get("http://d1.cdn.test/a"), 200, "Hit")
	want(t, "alone", e.get("http://d2.cdn.test/a"), 200, "Miss")
	want(t, "alone", e.get("http://d2.cdn.test/a"), 200, "Miss")
	if status, body := e.admin("/readyz"); status != 200 {
		t.Errorf("/readyz: %d %s", status, body)
	}
	page := e.page("/debug/config")
	if page["source"] != "SOURCE_DISK" || page["connected"] != false || page["revision"] != float64(revision) || len(page["rejections"].([]any)) != 1 {
		t.Errorf("design 3.3: /debug/config: %v, want revision %d", page, revision)
	}
}

func TestRestartWithoutEtcd(t *testing.T) {
	dir := t.TempDir()
	e, revision := edgeWithData(t, dir)
	e.stop()
	checkAlone(t, start(t, nil, dir), revision)
}

// written says how far the file of a running edge goes, from a copy of it.
func written(t *testing.T, dir string) int {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(copyDir(t, dir), "lastgood.db"), 0o600, nil)
	if err != nil {
		return 0 // the copy was made during a write
	}
	defer db.Close()
	n := 0
	if err := db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket([]byte("served")).Stats().KeyN + tx.Bucket([]byte("rejected")).Stats().KeyN
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKilled takes the files of a running edge as kill -9 leaves them.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	_, revision := edgeWithData(t, dir)
	for written(t, dir) < 4 { // two distributions, a rejected version, the edge itself
	}
	checkAlone(t, start(t, nil, copyDir(t, dir)), revision)
}

func TestTornFileIsNamedAndRefused(t *testing.T) {
	dir := t.TempDir()
	e, _ := edgeWithData(t, dir)
	e.stop()
	file := filepath.Join(dir, "lastgood.db")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content[:len(content)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	e = start(t, nil, dir)
	if got := e.get("http://d1.cdn.test/a"); got.status != 503 {
		t.Errorf("a torn file is served: %d %s", got.status, got.body)
	}
	if status, _ := e.admin("/readyz"); status != 503 {
		t.Errorf("/readyz: %d", status)
	}
	if s, _ := e.page("/debug/config")["disk_refused"].(string); !strings.Contains(s, file) || !strings.Contains(e.log.String(), file) {
		t.Errorf("page %q and log do not name %s", s, file)
	}
	e.stop()
	c := etcdtest.Client(t)
	origin := newOrigin(t)
	rev := write(t, c, "1", site(t, "1", origin, optimized))
	e = start(t, c, dir)
	awaitStatus(t, c, applied(rev))
	want(t, "with etcd again", e.get("http://d1.cdn.test/a"), 200, "Miss")
}

func TestStop(t *testing.T) {
	c := etcdtest.Client(t)
	dir := t.TempDir()
	e := start(t, c, dir)
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s.GetSource() == edgev1.EdgeStatus_SOURCE_ETCD })
	if status, body := e.admin("/readyz"); status != 200 {
		t.Errorf("/readyz: %d %s", status, body)
	}
	second := edge.Config{
		Etcd: c, DataDir: dir, HTTPListen: "127.0.0.1:0", HTTPSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
		Telemetry: newTelemetry(io.Discard, tracetest.NewInMemoryExporter()),
	}
	if _, err := edge.New(second); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second edge in the same directory: %v", err)
	}
	e.stop()
	if s := status(t, c); s != nil {
		t.Errorf("C8.74: a stopped edge has a status: %v", s)
	}
	if got, err := c.Get(t.Context(), keys.Edge("e1")); err != nil || len(got.Kvs) != 1 {
		t.Errorf("a stopped edge has no identity: %v, %v", got, err)
	}
	for _, at := range []string{e.at.HTTP, e.at.HTTPS, e.at.Admin} {
		if _, err := net.Dial("tcp", at); err == nil {
			t.Errorf("%s still takes connections", at)
		}
	}
	again := start(t, c, dir)
	awaitStatus(t, c, func(s *edgev1.EdgeStatus) bool { return s != nil })
	again.stop()
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		cfg  edge.Config
		want string // in the error; "" for none
	}{
		{edge.Config{}, ""},
		{edge.Config{HTTPListen: "nowhere"}, "--http-listen"},
		{edge.Config{HTTPSListen: "nowhere"}, "--https-listen"},
		{edge.Config{AdminListen: "nowhere"}, "--admin-listen"},
		{edge.Config{PublicHTTPSPort: 70000}, "--public-https-port"},
		{edge.Config{CacheBytes: 1}, "--cache-bytes"},
		{edge.Config{DiskCacheBytes: 1 << 20}, "--disk-cache-bytes"},
		{edge.Config{DiskCacheBytes: -1}, "--disk-cache-bytes"},
		{edge.Config{MaxHeaderBytes: 1 << 20}, "--max-header-bytes"},
		{edge.Config{Brand: "other"}, "brand"},
		{edge.Config{ID: "a\nb"}, "--id"},
		{edge.Config{ID: "a/b"}, "--id"},
		{edge.Config{ID: "\xff"}, "--id"},
		{edge.Config{ID: strings.Repeat("a", 129)}, "--id"},
		{edge.Config{Labels: map[string]string{"a;b": "c"}}, `--label["a;b"]`},
		{edge.Config{ID: "edge é 1", Pop: "AMS1-C2"}, ""},
		{edge.Config{Pop: "AMS1\r\nX: y"}, "--pop"},
		{edge.Config{StallTimeout: -1}, "--stall-timeout"},
		{edge.Config{MaxConnections: -1}, "--max-connections"},
		{edge.Config{DrainDelay: -1}, "--drain-delay"},
	} {
		err := tt.cfg.Validate()
		if got := fmt.Sprint(err); (err == nil) != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("Validate = %v, want %q", err, tt.want)
		}
	}
	if _, err := edge.New(edge.Config{}); err == nil {
		t.Error("an edge without telemetry")
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	cfg := edge.Config{
		DataDir: dir, HTTPListen: "127.0.0.1:0", HTTPSListen: l.Addr().String(), AdminListen: "127.0.0.1:0",
		Telemetry: newTelemetry(io.Discard, tracetest.NewInMemoryExporter()),
	}
	if _, err := edge.New(cfg); err == nil || !strings.Contains(err.Error(), "viewers by HTTPS") {
		t.Fatalf("a port that is taken: %v", err)
	}
	start(t, nil, dir) // the directory is free again
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || !slices.Contains(names, filepath.Join(dir, "lastgood.db")) {
		t.Errorf("files %v, %v", names, err)
	}
}
