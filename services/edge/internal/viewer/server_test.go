// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
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

// gate is a stream that gives its bytes one at a time, each when it is told to.
type gate struct {
	bytes chan byte
}

func (g *gate) Next(ctx context.Context) (exchange.Piece, error) {
	select {
	case b, ok := <-g.bytes:
		if !ok {
			return exchange.Piece{}, io.EOF
		}
		return exchange.Piece{Bytes: []byte{b}}, nil
	case <-ctx.Done():
		return exchange.Piece{}, ctx.Err()
	}
}

func (g *gate) Close() {}

// Both protocols see the same request.
func TestRequests(t *testing.T) {
	got := make(chan exchange.Request, 1)
	s := serve(t, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		req.Own()
		got <- *req
		_, _ = to.Send(ctx, &exchange.Answer{Status: 204})
	})
	for _, tt := range []struct {
		url, scheme, name string
		major             int
	}{
		{"http://x.cdn.test/a%2fb?c", "http", "", 1},
		{"https://x.cdn.test/a%2fb?c", "https", "x.cdn.test", 2},
		{"https://127.0.0.1/a%2fb?c", "https", "", 1}, // D1.2: no name, no HTTP/2
	} {
		res, err := s.client(t).Get(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		req := <-got
		if req.Method != "GET" || req.Target != "/a%2fb?c" || req.Scheme != tt.scheme || req.ServerName != tt.name || req.Major != tt.major ||
			"//"+req.Host+req.Target != strings.TrimPrefix(tt.url, tt.scheme+":") || !req.Viewer.Addr().IsLoopback() || req.Viewer.Port() == 0 {
			t.Errorf("%s: %+v", tt.url, req)
		}
	}
}

// refuser shows the viewer what is known of what it sent.
type refuser struct{}

func (refuser) Refuse(ctx context.Context, r *exchange.Refusal, to exchange.Sender) {
	known := fmt.Sprint(r.Why, " ", r.Request.Viewer.Addr(), " ", r.Request.Host, " ", r.Request.Target)
	_, _ = to.Send(ctx, &exchange.Answer{Status: r.Why.Status(), Header: fields("X-Cache", "Error"), Body: exchange.Bytes([]byte(known)), Close: true})
}

func TestRefusals(t *testing.T) {
	s := serve(t, answer(exchange.Answer{Status: 204}), func(c *Config) {
		c.Refuser, c.MaxURLBytes = refuser{}, 100
	})
	long := "/" + strings.Repeat("a", 200)
	for _, scheme := range []string{"http", "https"} {
		res, err := s.client(t).Get(scheme + "://x.cdn.test" + long)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if want := "url_too_long 127.0.0.1 x.cdn.test " + long; res.StatusCode != 414 || string(body) != want || res.Header.Get("X-Cache") != "Error" || err != nil {
			t.Errorf("D4.6: %s: %s %q, %v", res.Proto, res.Status, body, err)
		}
	}
}

func TestEachByteIsSentAtOnce(t *testing.T) {
	for _, proto := range []string{"http", "https"} {
		for _, size := range []int64{3, -1} {
			t.Run(fmt.Sprint(proto, " size ", size), func(t *testing.T) {
				g := &gate{bytes: make(chan byte)}
				s := serve(t, answer(exchange.Answer{Status: 200, Body: exchange.Body{Stream: g, Size: size}}))
				res, err := s.client(t).Get(proto + "://x.cdn.test/") // the head comes before any byte
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if want := map[string]int{"http": 1, "https": 2}[proto]; res.ProtoMajor != want {
					t.Errorf("D1.1: protocol %s", res.Proto)
				}
				for _, b := range []byte("abc") {
					g.bytes <- b
					var got [1]byte
					if _, err := io.ReadFull(res.Body, got[:]); err != nil || got[0] != b {
						t.Fatalf("design 3.9: got %q, %v before the next byte exists, want %q", got, err, b)
					}
				}
				close(g.bytes)
				if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
					t.Errorf("end: %q, %v", rest, err)
				}
			})
		}
	}
}

func TestHTTPOnThePortOfHTTPS(t *testing.T) {
	s := serve(t, answer(exchange.Answer{Status: 204}))
	c, r := dial(t, s.https)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 400 Bad Request\r\n" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestSilentHandshakeIsCut(t *testing.T) {
	s := serve(t, answer(exchange.Answer{Status: 204}), func(c *Config) { c.HeaderTimeout = 50 * time.Millisecond })
	_, r := dial(t, s.https)
	if got, err := io.ReadAll(r); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOverload(t *testing.T) {
	var overloaded atomic.Bool
	s := serve(t, answer(exchange.Answer{Status: 204}), func(c *Config) { c.Overloaded = overloaded.Load })
	ask := func(c net.Conn, r *bufio.Reader) error {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			return err
		}
		_, err := http.ReadResponse(r, nil)
		return err
	}
	before, beforeReader := dial(t, s.http)
	if err := ask(before, beforeReader); err != nil {
		t.Fatal(err)
	}
	overloaded.Store(true)
	if c, r := dial(t, s.http); ask(c, r) == nil {
		t.Error("a new connection is served")
	}
	if err := ask(before, beforeReader); err != nil {
		t.Errorf("one that was there is cut: %v", err)
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
