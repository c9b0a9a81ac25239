// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/audit"
	"github.com/seafront-cdn/seafront/pkg/auth"
	"github.com/seafront-cdn/seafront/pkg/caller"
	"github.com/seafront-cdn/seafront/pkg/reload"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// authority signs certificates.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.make(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, "ca")
	return a
}

// issue makes a certificate for this machine and a caller of that name.
func (a *authority) issue(t *testing.T, name string, change func(*x509.Certificate)) (cert, key string) {
	t.Helper()
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	a.make(t, c, name)
	return filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
}

func (a *authority) make(t *testing.T, c *x509.Certificate, file string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		t.Fatal(err)
	}
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.file(t, file+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
	a.file(t, file+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// file replaces a file at once, as tools that renew certificates do.
func (a *authority) file(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func (a *authority) bundle() string { return filepath.Join(a.dir, "ca.pem") }

const (
	readerToken   = "reader-token-0123456789"
	operatorToken = "operator-token-0123456789"
)

// safe is a server with TLS, tokens and client certificates.
type safe struct {
	*authority
	addr string
	log  *slog.Logger
	mem  *rpc.Memory // of a reader
	who  chan caller.Caller
	more atomic.Bool             // streams go on
	stop func() []map[string]any // ends the server and returns its audit log
}

func serveSafe(t *testing.T, strict bool) *safe {
	t.Helper()
	s := &safe{authority: newAuthority(t, "ours"), log: slog.New(slog.DiscardHandler), who: make(chan caller.Caller, 10)}
	s.mem = rpc.NewMemoryAs(auth.Identity{Name: "config", Role: auth.Reader})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cert, key := s.issue(t, "server", nil)
	clients, err := auth.OpenClients(s.log, s.bundle(), s.file(t, "roles", []byte("operator otto\nedge edge-*\nreader spiffe://ops/rita\n")))
	must(err)
	tokens, err := auth.OpenTokens(s.log, s.file(t, "tokens", []byte("reader rita "+readerToken+"\noperator oda "+operatorToken+"\n")))
	must(err)
	encryption, err := rpc.ServerTLS(s.log, cert, key, clients, strict)
	must(err)
	guard, err := auth.New(auth.Config{Clients: clients, Tokens: []*reload.Value[*auth.Tokens]{tokens}, Rule: func(method string) (auth.Rule, bool) {
		r, ok := map[string]auth.Rule{
			"/grpc.health.v1.Health/Check":                            {Public: true},
			"/grpc.health.v1.Health/Watch":                            {Public: true},
			"/seafront.origin.v1.OriginService/GetOrigin":             {Least: auth.Reader},
			"/seafront.config.v1.DistributionService/WatchDeployment": {Least: auth.Operator},
		}[method]
		return r, ok
	}})
	must(err)
	journal := filepath.Join(s.dir, "audit")
	log, err := audit.Open(audit.Config{Path: journal})
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	auditing, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = log.Run(auditing) })
	wg.Go(func() {
		defer end()
		if err := rpc.Serve(ctx, rpc.ServerConfig{TLS: encryption, Guard: guard, Audit: log, Grace: time.Second}, []net.Listener{l, s.mem},
			&origins{get: func(ctx context.Context, _ *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
				s.who <- caller.From(ctx)
				return &originv1.GetOriginResponse{Origin: &originv1.Origin{Name: "origins/answer", Etag: "E7"}}, nil
			}},
			&distributions{watch: func(w grpc.ServerStreamingServer[configv1.WatchDeploymentResponse]) error {
				s.who <- caller.From(w.Context())
				err := w.Send(&configv1.WatchDeploymentResponse{})
				for err == nil && s.more.Load() {
					time.Sleep(reload.Interval / 10) // news
					err = w.Send(&configv1.WatchDeploymentResponse{})
				}
				return err
			}}); err != nil {
			t.Error(err)
		}
	})
	s.stop = sync.OnceValue(func() []map[string]any {
		cancel()
		wg.Wait()
		raw, err := os.ReadFile(journal)
		must(err)
		var all []map[string]any
		for line := range bytes.Lines(raw) {
			m := map[string]any{}
			must(json.Unmarshal(line, &m))
			all = append(all, m)
		}
		return all
	})
	t.Cleanup(func() { s.stop() })
	return s
}

// as is how a client connects: cert and token may be empty, trust is the bundle that
// it believes.
func (s *safe) as(t *testing.T, trust, cert, key, token string) rpc.ClientConfig {
	t.Helper()
	encryption, err := rpc.ClientTLS(s.log, rpc.ClientFiles{Authorities: trust, Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	cfg := rpc.ClientConfig{TLS: encryption}
	if token != "" {
		cfg.Token = func() string { return token }
	}
	return cfg
}

func (s *safe) get(t *testing.T, cfg rpc.ClientConfig) error {
	t.Helper()
	conn, err := rpc.Dial(s.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = originv1.NewOriginServiceClient(conn).GetOrigin(t.Context(), &originv1.GetOriginRequest{Name: "origins/asked"})
	return err
}

func (s *safe) watch(t *testing.T, cfg rpc.ClientConfig) error {
	t.Helper()
	conn, err := rpc.Dial(s.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := configv1.NewDistributionServiceClient(conn).WatchDeployment(t.Context(), &configv1.WatchDeploymentRequest{Name: "distributions/E1"})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func TestCallersOverTLS(t *testing.T) {
	s := serveSafe(t, false)
	foreign := newAuthority(t, "theirs")
	issue := func(a *authority, name string, change func(*x509.Certificate)) []string {
		cert, key := a.issue(t, name, change)
		return []string{cert, key}
	}
	expired := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	early := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	}
	servers := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	const bad, denied = codes.Unauthenticated, codes.PermissionDenied
	for _, tt := range []struct {
		name       string
		pair       []string
		token      string
		get, watch codes.Code // a unary call for readers, a stream for operators
		who        string
	}{
		{"nobody", nil, "", bad, bad, ""},
		{"a token", nil, readerToken, codes.OK, denied, "rita"},
		{"a wrong token", nil, "reader-token-0123456780", bad, bad, ""},
		{"a certificate", issue(s.authority, "otto", nil), "", codes.OK, codes.OK, "otto"},
		{"a certificate and a wrong token", issue(s.authority, "otto", nil), "nonsense", bad, bad, ""},
		{"a certificate and the token of somebody else", issue(s.authority, "otto", nil), readerToken, codes.OK, denied, "rita"},
		{"an edge", issue(s.authority, "edge-1", nil), "", denied, denied, ""},
		{"a name without a role", issue(s.authority, "someone", nil), "", denied, denied, ""},
		{"no name", issue(s.authority, "", nil), "", bad, bad, ""},
		{"a foreign authority", issue(foreign, "otto", nil), "", bad, bad, ""},
		{"an expired certificate", issue(s.authority, "late", expired), "", bad, bad, ""},
		{"a certificate that is not valid yet", issue(s.authority, "early", early), "", bad, bad, ""},
		{"a certificate for servers", issue(s.authority, "host", servers), "", bad, bad, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.pair == nil {
				tt.pair = []string{"", ""}
			}
			cfg := s.as(t, s.bundle(), tt.pair[0], tt.pair[1], tt.token)
			for _, c := range []struct {
				what string
				want codes.Code
				err  error
			}{{"unary", tt.get, s.get(t, cfg)}, {"stream", tt.watch, s.watch(t, cfg)}} {
				got := status.Convert(c.err)
				if got.Code() != c.want {
					t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
				}
				reason := map[codes.Code]string{bad: apierr.ReasonUnauthenticated, denied: apierr.ReasonAccessDenied}[c.want]
				if apierr.Reason(got) != reason {
					t.Errorf("C2.177, C2.330: %s: reason %q, want %q", c.what, apierr.Reason(got), reason)
				}
				if c.want == codes.OK {
					if who := <-s.who; who.Name != tt.who {
						t.Errorf("%s: the handler sees %+v, want %s", c.what, who, tt.who)
					}
				}
			}
			if err := rpc.CheckHealth(t.Context(), s.addr, originsAPI, cfg); err != nil {
				t.Errorf("health is open to all: %v", err)
			}
		})
	}
	select {
	case who := <-s.who:
		t.Errorf("a handler ran for %+v", who)
	default:
	}
}

func TestConnectionsThatDoNotComeAbout(t *testing.T) {
	s := serveSafe(t, true)
	foreign := newAuthority(t, "theirs")
	cert, key := s.issue(t, "otto", nil)
	theirs, theirKey := foreign.issue(t, "otto", nil)
	late, lateKey := s.issue(t, "late", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	if err := s.get(t, s.as(t, s.bundle(), cert, key, "")); err != nil {
		t.Fatalf("a good certificate: %v", err)
	}
	for _, tt := range []struct {
		name string
		cfg  rpc.ClientConfig
	}{
		{"no certificate where one is required", s.as(t, s.bundle(), "", "", readerToken)},
		{"a foreign authority's", s.as(t, s.bundle(), theirs, theirKey, "")},
		{"an expired one", s.as(t, s.bundle(), late, lateKey, "")},
		{"a server that the client does not believe", s.as(t, foreign.bundle(), cert, key, "")},
		{"plain text to a TLS port", rpc.ClientConfig{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := status.Code(s.get(t, tt.cfg)); got != codes.Unavailable {
				t.Errorf("%v, want Unavailable", got)
			}
		})
	}
}

func TestMemoryIsOneCallerAmongOthers(t *testing.T) {
	s := serveSafe(t, true)
	conn, err := rpc.Dial("passthrough:///memory", rpc.ClientConfig{Dialer: s.mem.Dial})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := originv1.NewOriginServiceClient(conn).GetOrigin(t.Context(), &originv1.GetOriginRequest{}); err != nil {
		t.Error(err)
	}
	stream, err := configv1.NewDistributionServiceClient(conn).WatchDeployment(t.Context(), &configv1.WatchDeploymentRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("what a reader of this process may not: %v", err)
	}
}

// TestFilesAreFollowed: a new certificate, a new authority and a new list of roles
// count without a restart, the last one on connections that exist.
func TestFilesAreFollowed(t *testing.T) {
	s := serveSafe(t, false)
	cert, key := s.issue(t, "otto", nil)
	conn, err := rpc.Dial(s.addr, s.as(t, s.bundle(), cert, key, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func() codes.Code {
		_, err := originv1.NewOriginServiceClient(conn).GetOrigin(t.Context(), &originv1.GetOriginRequest{})
		if err == nil {
			<-s.who
		}
		return status.Code(err)
	}
	await := func(what string, want codes.Code, ask func() codes.Code) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ask() != want; time.Sleep(reload.Interval / 10) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: never %v", what, want)
			}
		}
	}
	await("at first", codes.OK, ask)
	s.file(t, "roles", []byte("edge otto\n"))
	await("a role is taken away", codes.PermissionDenied, ask)
	s.file(t, "roles", []byte("admin otto\n"))
	await("a role is given", codes.OK, ask)

	next := newAuthority(t, "next")
	_, _ = next.issue(t, "server", nil)
	for _, name := range []string{"ca.pem", "server.pem", "server.key"} {
		b, err := os.ReadFile(filepath.Join(next.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		s.file(t, name, b)
	}
	await("the authority is another: on the old connection", codes.Unauthenticated, ask)
	newCert, newKey := next.issue(t, "otto", nil)
	await("and on a new one", codes.OK, func() codes.Code {
		err := s.get(t, s.as(t, next.bundle(), newCert, newKey, ""))
		if err == nil {
			<-s.who
		}
		return status.Code(err)
	})
}

// TestStreamsEndWithTheRightToThem: a stream tells nothing more to a caller whose role
// or credentials were taken away.
func TestStreamsEndWithTheRightToThem(t *testing.T) {
	for what, tt := range map[string]struct {
		file, text string
		want       codes.Code
	}{
		"another role": {"roles", "reader otto\n", codes.PermissionDenied},
		"no token":     {"tokens", "# nobody\n", codes.Unauthenticated},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := serveSafe(t, false)
			s.more.Store(true)
			cert, key := s.issue(t, "otto", nil)
			cfg := s.as(t, s.bundle(), cert, key, "")
			if tt.file == "tokens" {
				cfg = s.as(t, s.bundle(), "", "", operatorToken)
			}
			conn, err := rpc.Dial(s.addr, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			stream, err := configv1.NewDistributionServiceClient(conn).WatchDeployment(ctx, &configv1.WatchDeploymentRequest{Name: "distributions/E1"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			s.file(t, tt.file, []byte(tt.text))
			for err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != tt.want {
				t.Errorf("the stream ended with %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAuditLog(t *testing.T) {
	s := serveSafe(t, false)
	cert, key := s.issue(t, "otto", nil)
	_ = s.get(t, s.as(t, s.bundle(), cert, key, ""))
	_ = s.watch(t, s.as(t, s.bundle(), "", "", readerToken))
	_ = s.get(t, s.as(t, s.bundle(), "", "", "a-token-that-nobody-has"))
	if err := rpc.CheckHealth(t.Context(), s.addr, "", s.as(t, s.bundle(), "", "", "")); err != nil {
		t.Error(err)
	}
	lines := s.stop()
	want := []map[string]any{
		{"principal": "otto", "role": "operator", "authentication": "certificate", "method": getOrigin, "code": "OK", "etag": "E7"},
		{"principal": "rita", "role": "reader", "authentication": "token", "method": "seafront.config.v1.DistributionService/WatchDeployment",
			"code": "PermissionDenied", "reason": "ACCESS_DENIED"},
		{"principal": "anonymous", "role": "none", "authentication": "none", "method": getOrigin, "code": "Unauthenticated", "reason": "UNAUTHENTICATED_CALLER"},
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d: %v", len(lines), len(want), lines)
	}
	for i, w := range want {
		for k, v := range w {
			if lines[i][k] != v {
				t.Errorf("line %d: %s is %v, want %v", i, k, lines[i][k], v)
			}
		}
		if lines[i]["peer"] == "" || lines[i]["time"] == "" {
			t.Errorf("line %d says neither when nor from where: %v", i, lines[i])
		}
	}
	if got, ok := lines[0]["resources"].([]any); !ok || len(got) != 2 || got[0] != "origins/asked" || got[1] != "origins/answer" {
		t.Errorf("resources %v", lines[0]["resources"])
	}
}

func TestTokensStayAtHome(t *testing.T) {
	token := func() string { return "x" }
	for target, want := range map[string]bool{
		"127.0.0.1:7400": true, "[::1]:7400": true, "localhost:7400": true, "dns:///localhost:7400": true, "unix:///tmp/x": true,
		"10.0.0.1:7400": false, "config:7400": false, "dns:///config:7400": false, "0.0.0.0:7400": false, ":7400": false,
		"localhost.example.org:7400": false, "dns://10.0.0.1/localhost:7400": false, "[::ffff:127.0.0.1]:7400": true,
	} {
		if got := rpc.IsLoopback(target); got != want {
			t.Errorf("IsLoopback(%s) = %v", target, got)
		}
		conn, err := rpc.Dial(target, rpc.ClientConfig{Token: token})
		if (err == nil) != want {
			t.Errorf("a token to %s: %v", target, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

func TestServerAsksItself(t *testing.T) {
	s := serveSafe(t, true)
	cert, key := filepath.Join(s.dir, "server.pem"), filepath.Join(s.dir, "server.key")
	pinned, err := rpc.PinnedTLS(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(s.addr, rpc.ClientConfig{TLS: pinned})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	awaitHealth(t, conn, "", healthpb.HealthCheckResponse_SERVING)
	other, _ := s.issue(t, "other", nil)
	wrong, err := rpc.PinnedTLS(other, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := rpc.CheckHealth(t.Context(), s.addr, "", rpc.ClientConfig{TLS: wrong}); err == nil {
		t.Error("another certificate than the pinned one: no error")
	}
}
