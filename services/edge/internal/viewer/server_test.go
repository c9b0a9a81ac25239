// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler is a pipeline in one function.
type handler func(ctx context.Context, req *exchange.Request, to exchange.Sender)

func (h handler) Serve(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	h(ctx, req, to)
}

// config is a snapshot that stays as it is.
type config struct{ *snapshot.Snapshot }

func (c config) Current() *snapshot.Snapshot { return c.Snapshot }

// server is a running Server.
type server struct {
	http, https string
	stop        func()
	roots       *x509.CertPool
}

func serve(t *testing.T, h handler, change ...func(*Config)) server {
	t.Helper()
	cert, err := OpenCertificate(t.TempDir(), "cdn.test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Handler: h, Snapshots: config{snapshot.Empty()}, Certificate: cert,
		Log: slog.New(slog.DiscardHandler), Meter: metricnoop.NewMeterProvider(), Grace: 5 * time.Second,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := listen(t), listen(t)
	out := server{http: plain.Addr().String(), https: secure.Addr().String(), roots: x509.NewCertPool()}
	out.roots.AddCert(cert.current.Load().Leaf)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, plain, secure) }()
	stopped := false
	out.stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(out.stop)
	return out
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// client trusts the server and reaches it under any name.
func (s server) client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.roots},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := s.http
			if strings.HasSuffix(addr, ":443") {
				to = s.https
			}
			return new(net.Dialer).DialContext(ctx, network, to)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// dial opens a connection that fails the test when it stands still.
func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

func fields(pairs ...string) header.Fields {
	var f header.Fields
	for i := 0; i < len(pairs); i += 2 {
		f.Add(pairs[i], pairs[i+1])
	}
	return f
}

// answer sends one answer to everyone.
func answer(a exchange.Answer) handler {
	return func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
		a := a
		_, _ = to.Send(ctx, &a)
	}
}

func TestDrain(t *testing.T) {
	g := &gate{bytes: make(chan byte)}
	s := serve(t, answer(exchange.Answer{Status: 200, Body: exchange.Body{Stream: g, Size: -1}}))
	res, err := s.client(t).Get("http://x.cdn.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.stop()
	}()
	g.bytes <- 'a'
	close(g.bytes)
	if got, err := io.ReadAll(res.Body); string(got) != "a" || err != nil {
		t.Errorf("an answer under way ends with %q, %v", got, err)
	}
	<-ended
	if _, err := net.Dial("tcp", s.http); err == nil {
		t.Error("a stopped server takes connections")
	}
}

func TestGraceIsBounded(t *testing.T) {
	g := &gate{bytes: make(chan byte)}
	s := serve(t, answer(exchange.Answer{Status: 200, Body: exchange.Body{Stream: g, Size: -1}}),
		func(c *Config) { c.Grace = 50 * time.Millisecond })
	res, err := s.client(t).Get("http://x.cdn.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	s.stop()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("a cut answer is taken for whole")
	}
}
