// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// hush stands in every secret of the test and nowhere else.
const hush = "hush8Xq2vTz"

// evidence is everything that the CDN says or writes, by where it was found.
type evidence struct {
	mu    sync.Mutex
	found map[string]*bytes.Buffer
}

func (e *evidence) at(where string) io.Writer { return written{e, where} }

type written struct {
	*evidence
	where string
}

func (p written) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found[p.where] == nil {
		p.found[p.where] = &bytes.Buffer{}
	}
	return p.found[p.where].Write(b)
}

// leaks names the places that hold hush in any of some spellings.
func (e *evidence) leaks() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	spellings := []string{hush, hex.EncodeToString([]byte(hush)), url.QueryEscape(hush)}
	for shift := range 3 { // base64 of it at any place of a longer text
		text := base64.StdEncoding.EncodeToString([]byte("xxx"[:shift] + hush))
		spellings = append(spellings, strings.TrimRight(text, "=")[shift+1:len(hush)])
	}
	var out []string
	for where, b := range e.found {
		for _, s := range spellings {
			if bytes.Contains(b.Bytes(), []byte(s)) {
				out = append(out, where)
			}
		}
	}
	return out
}

// watched is a CDN of which everything is written down.
type watched struct {
	*evidence
	t       *testing.T
	keyFile string
	member  *etcdtest.Member
	at      addresses
	api     configv1.DistributionServiceClient
	origins originv1.OriginServiceClient
}

// watch starts a CDN with logs at debug and all traces.
func watch(t *testing.T) *watched {
	w := &watched{evidence: &evidence{found: map[string]*bytes.Buffer{}}, t: t, member: etcdtest.Start(t)}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w.evidence.at("traces"), r.Body) }))
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	c := local(t)
	c.Sample, c.ReadyFile = false, filepath.Join(t.TempDir(), "ready")
	w.keyFile = filepath.Join(c.Data, "cluster.key")
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "seafront", LogLevel: slog.LevelDebug, LogTo: w.evidence.at("log")})
	if err != nil {
		t.Fatal(err)
	}
	client := w.member.Client(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, c, tel, client, w.member.Endpoint(), time.Now(), w.evidence.at("greeting"))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		collector.Close()
		w.disk(c.Data)
		w.check()
	})
	if err := retry(ctx, func() error {
		b, err := os.ReadFile(c.ReadyFile)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &w.at)
	}); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(w.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(w.note))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	w.api, w.origins = configv1.NewDistributionServiceClient(conn), originv1.NewOriginServiceClient(conn)
	return w
}

// note makes a call as the admin and writes down what it answers.
func (w *watched) note(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	token, err := os.ReadFile(w.at.Token)
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)))
	err = invoke(ctx, method, req, reply, cc, opts...)
	raw, _ := proto.Marshal(reply.(proto.Message))
	_, _ = fmt.Fprintf(w.evidence.at("answer of "+method), "%s %v\n", raw, status.Convert(err).Proto())
	return err
}

// store writes down every value that etcd has had since the beginning.
func (w *watched) store() {
	kv := w.member.Client(w.t)
	now, err := kv.Get(w.t.Context(), "/")
	if err != nil {
		w.t.Fatal(err)
	}
	for rev := int64(1); rev <= now.Header.Revision; rev++ {
		res, err := kv.Get(w.t.Context(), "", clientv3.WithPrefix(), clientv3.WithRev(rev), clientv3.WithMinModRev(rev))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, pair := range res.Kvs {
			_, _ = fmt.Fprintf(w.evidence.at("etcd"), "%s %s\n", pair.Key, pair.Value)
		}
	}
}

func (w *watched) disk(dir string) {
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		_, _ = w.evidence.at("file " + filepath.Base(name)).Write(b)
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
}

func (w *watched) pages() {
	for _, page := range []string{"/metrics", "/readyz", "/debug/config", "/debug/key?url=http://x.example.com/", "/debug/", "/debug/pprof/goroutine?debug=2"} {
		res, err := http.Get("http://" + w.at.Admin + page)
		if err != nil {
			w.t.Fatal(err)
		}
		_, _ = io.Copy(w.evidence.at("page "+page), res.Body)
		_ = res.Body.Close()
	}
}

func (w *watched) check() {
	for _, where := range w.leaks() {
		w.t.Errorf("C5.24, C8.102: a secret in %s", where)
	}
	for _, where := range []string{"log", "traces", "etcd", "file cluster.key", "page /metrics", "viewer"} {
		if w.found[where] == nil || w.found[where].Len() == 0 {
			w.t.Errorf("nothing was found in %s: the test proves nothing", where)
		}
	}
}

// get is a viewer's request.
func (w *watched) get(host, path string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.at.HTTP+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	_, _ = fmt.Fprintln(w.evidence.at("viewer"), res.Status, res.Header, string(b))
	if res.StatusCode != 200 {
		w.t.Fatalf("%s%s: %s: %s", host, path, res.Status, b)
	}
}

// server is an origin that remembers what it was sent.
func server(t *testing.T) (port int32, last func() http.Header) {
	var mu sync.Mutex
	var got http.Header
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = r.Header.Clone()
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(u.Port(), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n), func() http.Header {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

func endpointAt(port int32) *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
		Host: "localhost", HttpPort: proto.Int32(port), ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
	}}}
}

func ownHeaders(pairs ...string) []*configv1.OriginCustomHeader {
	var out []*configv1.OriginCustomHeader
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, &configv1.OriginCustomHeader{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// TestSecretsAreSeenByOriginsAlone creates, reads, changes, copies and restores
// resources with secrets, misuses the API, serves viewers and changes the cluster key.
// Afterwards no log line, span, answer, error, page, file or value in etcd holds one.
func TestSecretsAreSeenByOriginsAlone(t *testing.T) {
	w := watch(t)
	ctx := t.Context()
	port, seen := server(t)
	wantSeen := func(what string, want map[string]string) {
		t.Helper()
		for name, value := range want {
			if got := seen().Get(name); got != value {
				t.Errorf("%s: the origin got %s %q, want %q", what, name, got, value)
			}
		}
	}
	if _, err := w.origins.CreateOrigin(ctx, &originv1.CreateOriginRequest{OriginId: "o", Origin: &originv1.Origin{
		Endpoint: endpointAt(port), CustomHeaders: []*originv1.OriginHeader{{Name: "X-Registered", Value: hush + "-r"}, {Name: "X-Both", Value: hush + "-r"}},
	}}); err != nil {
		t.Fatal(err)
	}
	made, err := w.api.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: &configv1.Distribution{
		CallerReference: "secrets", Config: &configv1.DistributionConfig{
			Enabled: true,
			Origins: []*configv1.Origin{
				{Id: "inline", Source: &configv1.Origin_Endpoint{Endpoint: endpointAt(port)}, CustomHeaders: ownHeaders("X-Inline", hush+"-i", "Authorization", "Bearer "+hush)},
				{Id: "ref", Source: &configv1.Origin_OriginRef{OriginRef: "origins/o"}, CustomHeaders: ownHeaders("X-Both", hush+"-d")},
			},
			DefaultCacheBehavior: toOrigin("", "inline"), CacheBehaviors: []*configv1.CacheBehavior{toOrigin("/ref/*", "ref")},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := made.GetDistribution()
	if h := d.GetConfig().GetOrigins()[0].GetCustomHeaders(); len(h) != 2 || h[0].GetName() != "X-Inline" || h[0].GetValue() != "" {
		t.Errorf("C9.42: answered %v, want names alone", h)
	}
	settle := func() {
		t.Helper()
		res, err := w.api.WaitDistribution(ctx, &configv1.WaitDistributionRequest{Name: d.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		d = res.GetDistribution()
	}
	inline := map[string]string{"X-Inline": hush + "-i", "Authorization": "Bearer " + hush}
	settle()
	w.get(d.GetDomainName(), "/1")
	wantSeen("inline", inline)
	w.get(d.GetDomainName(), "/ref/1")
	wantSeen("registered", map[string]string{"X-Registered": hush + "-r", "X-Both": hush + "-d", "X-Inline": ""})

	w.misuse(d)

	// Read, change, write, as a client does that has no secrets.
	d.Config.Comment = "changed"
	d.Config.Origins[0].CustomHeaders[0], d.Config.Origins[0].CustomHeaders[1] = d.Config.Origins[0].CustomHeaders[1], d.Config.Origins[0].CustomHeaders[0]
	update := func(what string) {
		t.Helper()
		if _, err := w.api.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{Distribution: d}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		settle()
	}
	update("C9.42: kept")
	w.get(d.GetDomainName(), "/2")
	wantSeen("C9.42: kept", inline)
	d.Config.Origins[0].CustomHeaders = []*configv1.OriginCustomHeader{{Name: "x-inline", Clear: true}, {Name: "Authorization", Value: hush + "-new"}}
	update("C9.42: cleared")
	w.get(d.GetDomainName(), "/3")
	wantSeen("C9.42: cleared and replaced", map[string]string{"X-Inline": "", "Authorization": hush + "-new"})
	if _, err := w.api.RestoreDistributionVersion(ctx, &configv1.RestoreDistributionVersionRequest{Name: d.GetName() + "/versions/1", Etag: d.GetEtag()}); err != nil {
		t.Fatal(err)
	}
	settle()
	w.get(d.GetDomainName(), "/4")
	wantSeen("restored", inline)

	w.changeKey()
	settle()
	w.get(d.GetDomainName(), "/5")
	wantSeen("C8.102: with another cluster key", inline)
	copied, err := w.api.CopyDistribution(ctx, &configv1.CopyDistributionRequest{Source: d.GetName(), CallerReference: "copy"})
	if err != nil {
		t.Fatal(err)
	}
	d.Config.Origins[0].CustomHeaders = ownHeaders("X-Inline", hush+"-not-copied")
	update("changed after the copy")
	if _, err := w.api.PromoteStagingDistribution(ctx, &configv1.PromoteStagingDistributionRequest{
		Primary: d.GetName(), PrimaryEtag: d.GetEtag(), Staging: copied.GetDistribution().GetName(), StagingEtag: copied.GetDistribution().GetEtag(),
	}); err != nil {
		t.Fatal(err)
	}
	settle()
	w.get(d.GetDomainName(), "/6")
	wantSeen("copied and promoted", inline)
	w.readAll(d)
	w.pages()
	w.store()
}

func toOrigin(pattern, target string) *configv1.CacheBehavior {
	return &configv1.CacheBehavior{
		PathPattern: pattern, TargetOriginId: target, ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
		Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"},
	}
}

// misuse makes requests that are refused, with secrets in them.
func (w *watched) misuse(d *configv1.Distribution) {
	ctx := w.t.Context()
	for what, change := range map[string]func(*configv1.Distribution){
		"a line end":      func(d *configv1.Distribution) { d.Config.Origins[0].CustomHeaders[0].Value = hush + "\r\n" },
		"a refused name":  func(d *configv1.Distribution) { d.Config.Origins[0].CustomHeaders[0].Name = "Host" },
		"too long":        func(d *configv1.Distribution) { d.Config.Origins[0].CustomHeaders[0].Value = strings.Repeat(hush, 200) },
		"value and clear": func(d *configv1.Distribution) { d.Config.Origins[0].CustomHeaders[0].Clear = true },
		"a stale etag":    func(d *configv1.Distribution) { d.Etag = "EAAAAAAAAAAAAA" },
		"no such policy": func(d *configv1.Distribution) {
			d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/00000000-0000-4000-8000-000000000000"}
		},
	} {
		bad := proto.CloneOf(d)
		bad.Config.Origins[0].CustomHeaders = ownHeaders("X-Inline", hush)
		change(bad)
		if _, err := w.api.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{Distribution: bad}); err == nil {
			w.t.Errorf("%s: no error", what)
		}
		bad.CallerReference = "secrets"
		if _, err := w.api.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: bad}); err == nil {
			w.t.Errorf("create: %s: no error", what)
		}
	}
	if _, err := w.origins.CreateOrigin(ctx, &originv1.CreateOriginRequest{OriginId: "o", Origin: &originv1.Origin{
		Endpoint: endpointAt(1), CustomHeaders: []*originv1.OriginHeader{{Name: "X-A", Value: hush}},
	}}); err == nil {
		w.t.Error("twice the same origin: no error")
	}
	renamed := proto.CloneOf(d)
	renamed.Config.Origins[0].CustomHeaders[0].Name = "X-Renamed"
	_, err := w.api.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{Distribution: renamed})
	if err == nil || !strings.Contains(err.Error(), "none is stored") {
		w.t.Errorf("C9.42: a header with a new name and no value: %v", err)
	}
	dry := proto.CloneOf(d)
	dry.Config.Origins[0].CustomHeaders[0].Value = hush
	if _, err := w.api.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{Distribution: dry, ValidateOnly: true}); err != nil {
		w.t.Error(err)
	}
}

// readAll reads by every method that shows resources with secrets.
func (w *watched) readAll(d *configv1.Distribution) {
	ctx := w.t.Context()
	for what, call := range map[string]func() error{
		"list": func() error {
			_, err := w.api.ListDistributions(ctx, &configv1.ListDistributionsRequest{})
			return err
		},
		"get": func() error {
			_, err := w.api.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: d.GetName()})
			return err
		},
		"versions": func() error {
			_, err := w.api.ListDistributionVersions(ctx, &configv1.ListDistributionVersionsRequest{Parent: d.GetName()})
			return err
		},
		"version": func() error {
			_, err := w.api.GetDistributionVersion(ctx, &configv1.GetDistributionVersionRequest{Name: d.GetName() + "/versions/2"})
			return err
		},
		"origins": func() error { _, err := w.origins.ListOrigins(ctx, &originv1.ListOriginsRequest{}); return err },
		"origin": func() error {
			_, err := w.origins.GetOrigin(ctx, &originv1.GetOriginRequest{Name: "origins/o"})
			return err
		},
		"resolved": func() error {
			_, err := w.origins.ResolveOrigins(ctx, &originv1.ResolveOriginsRequest{Names: []string{"origins/o"}})
			return err
		},
	} {
		if err := call(); err != nil {
			w.t.Errorf("%s: %v", what, err)
		}
	}
}

// changeKey goes from one cluster key to another while everything runs.
func (w *watched) changeKey() {
	old, err := os.ReadFile(w.keyFile)
	if err != nil {
		w.t.Fatal(err)
	}
	next, err := secret.NewKey("next")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, text := range []string{string(old) + next, next + "\n" + string(old)} {
		if err := os.WriteFile(w.keyFile, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	keyring, err := secret.Load(w.keyFile, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := records.Rewrap(w.t.Context(), w.member.Client(w.t), keyring)
	if err != nil || r.Changed == 0 || len(r.Failed) > 0 {
		w.t.Errorf("C8.102: %+v, %v", r, err)
	}
	if err := os.WriteFile(w.keyFile, []byte(next), 0o600); err != nil {
		w.t.Fatal(err)
	}
}
