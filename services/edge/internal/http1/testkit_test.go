// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends tests that stand still; no test waits for it.
const patience = time.Minute

// handler is a pipeline in one function.
type handler func(ctx context.Context, req *exchange.Request, to exchange.Sender)

func (h handler) Serve(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	h(ctx, req, to)
}

// answers sends one answer to everyone.
func answers(a exchange.Answer) handler {
	return func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
		a := a
		_, _ = to.Send(ctx, &a)
	}
}

func newServer(t testing.TB, h handler, change ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{Handler: h}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// script is a connection whose viewer has said everything beforehand, in the given
// portions, and then ends its half.
type script struct {
	in  [][]byte
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.in[0])
	if s.in[0] = s.in[0][n:]; len(s.in[0]) == 0 {
		s.in = s.in[1:]
	}
	return n, nil
}
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// play has portions served and returns what the viewer gets.
func play(s *Server, portions ...string) string {
	c := &script{}
	for _, p := range portions {
		if p != "" {
			c.in = append(c.in, []byte(p))
		}
	}
	s.ServeConn(context.Background(), c, exchange.Peer{})
	return c.out.String()
}

// statuses returns the statuses of the answers in what a viewer got.
func statuses(got string) string {
	var out []string
	r := bufio.NewReader(strings.NewReader(got))
	for {
		line, err := r.ReadString('\n')
		if strings.HasPrefix(line, "HTTP/1.1 ") && len(line) > 12 {
			out = append(out, line[9:12])
		}
		if err != nil {
			return strings.Join(out, " ")
		}
	}
}

// describe writes a request down with strings of its own, body included.
func describe(req *exchange.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s host=%q 1.%d", req.Method, req.Target, req.Host, req.Minor)
	for _, f := range req.Header {
		fmt.Fprintf(&b, " %s=%q", f.Name, f.Value)
	}
	if req.HasBody {
		body, err := io.ReadAll(req.Body)
		fmt.Fprintf(&b, " body=%q", body)
		if err != nil {
			fmt.Fprintf(&b, " (%v)", err)
		}
	}
	return b.String()
}

// recorder answers with 200 and remembers the requests.
type recorder struct {
	mu  sync.Mutex // guards got
	got []string
}

func (r *recorder) Serve(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	d := describe(req)
	r.mu.Lock()
	r.got = append(r.got, d)
	r.mu.Unlock()
	_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Bytes([]byte("ok"))})
}

func fields(pairs ...string) header.Fields {
	var f header.Fields
	for i := 0; i < len(pairs); i += 2 {
		f.Add(pairs[i], pairs[i+1])
	}
	return f
}

// site is a Server behind a listener.
type site struct {
	server *Server
	addr   string
	tls    *tls.Config // of viewers; nil: clear
	cancel context.CancelFunc
}

// listen serves connections on a port of the system's choice until the test ends.
func listen(t testing.TB, secure bool, h handler, change ...func(*Config)) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{server: newServer(t, h, change...), addr: l.Addr().String()}
	var config *tls.Config
	if secure {
		config, s.tls = certificate(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				peer := exchange.Peer{Address: nc.RemoteAddr().(*net.TCPAddr).AddrPort()}
				if secure {
					sc := tls.Server(nc, config)
					if sc.Handshake() != nil {
						_ = nc.Close()
						return
					}
					nc, peer.Secure = sc, true
				}
				s.server.ServeConn(ctx, nc, peer)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		over, end := context.WithCancel(context.Background())
		end()
		_ = s.server.Shutdown(over)
		wg.Wait()
	})
	return s
}

// certificate makes the configurations of both sides.
func certificate(t testing.TB) (server, viewer *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"cdn.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots, ServerName: "cdn.test"}
}

// dial opens a connection that fails the test when it stands still.
func (s *site) dial(t testing.TB) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if s.tls != nil {
		c = tls.Client(c, s.tls)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// say writes what a viewer says.
func say(t testing.TB, c io.Writer, what string) {
	t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
}

// hear reads exactly what a viewer has to get.
func hear(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

var viewerAddr = netip.MustParseAddrPort("192.0.2.1:1234")

// both runs a test clear and by TLS.
func both(t *testing.T, f func(t *testing.T, secure bool)) {
	t.Helper()
	t.Run("clear", func(t *testing.T) { f(t, false) })
	t.Run("TLS", func(t *testing.T) { f(t, true) })
}

// readAnswer reads an answer as net/http does, and returns its body.
func readAnswer(r *bufio.Reader) ([]byte, error) {
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return nil, err
		}
		if res.StatusCode < 200 {
			continue // interim
		}
		defer res.Body.Close()
		return io.ReadAll(res.Body)
	}
}
