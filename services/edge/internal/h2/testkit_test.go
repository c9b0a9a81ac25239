// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler is a pipeline in one function.
type handler func(ctx context.Context, req *exchange.Request, to exchange.Sender)

func (h handler) Serve(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	h(ctx, req, to)
}

// always answers every request with a copy of a.
func always(a exchange.Answer) handler {
	return func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
		b := a
		_, _ = to.Send(ctx, &b) // the viewer's side is looked at
	}
}

var hello = always(exchange.Answer{Status: 200, Header: header.Fields{{Name: "Content-Type", Value: "text/plain"}}, Body: exchange.Bytes([]byte("hello"))})

func newServer(t testing.TB, h handler, change ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{Handler: h, Log: slog.New(slog.DiscardHandler), Meter: metricnoop.NewMeterProvider()}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// peer is what the viewers of tests are.
var peer = exchange.Peer{Address: netip.MustParseAddrPort("192.0.2.1:1234"), Secure: true, ServerName: "x.cdn.test"}

// listen serves on a port, by TLS when config is not nil, until the test ends.
func listen(t testing.TB, s *Server, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				if config == nil {
					s.ServeConn(ctx, c, peer)
					return
				}
				secured := tls.Server(c, config)
				if secured.HandshakeContext(ctx) != nil || secured.ConnectionState().NegotiatedProtocol != "h2" {
					_ = secured.Close() // not ours
					return
				}
				s.ServeConn(ctx, secured, peer)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); cancel(); conns.Wait() })
	return l.Addr().String()
}

// selfSigned is a TLS config for localhost.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// viewer speaks HTTP/2 frame by frame.
type viewer struct {
	*http2.Framer
	t      testing.TB
	conn   net.Conn
	enc    *hpack.Encoder
	block  bytes.Buffer
	events chan event
}

// event is a frame that the server sent, but for SETTINGS, WINDOW_UPDATE and answers to
// PING.
type event struct {
	kind   http2.FrameType
	stream uint32
	end    bool // END_STREAM
	code   http2.ErrCode
	header header.Fields
	data   string
}

func (e event) status() string { return e.header.Get(":status") }

// connect begins a connection through a pipe.
func connect(t testing.TB, s *Server, settings ...http2.Setting) *viewer {
	t.Helper()
	client, _ := serve(t, s)
	return begin(t, client, settings...)
}

// serve serves one end of a pipe.
func serve(t testing.TB, s *Server) (client net.Conn, done chan struct{}) {
	t.Helper()
	client, server := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done = make(chan struct{})
	go func() { defer close(done); s.ServeConn(ctx, server, peer) }()
	t.Cleanup(func() { _ = client.Close(); cancel(); <-done })
	return client, done
}

// begin sends preface and SETTINGS, and reads from then on.
func begin(t testing.TB, conn net.Conn, settings ...http2.Setting) *viewer {
	t.Helper()
	v := &viewer{t: t, conn: conn, Framer: http2.NewFramer(conn, conn), events: make(chan event, 10000)}
	v.enc = hpack.NewEncoder(&v.block)
	v.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	v.AllowIllegalWrites = true
	read := make(chan struct{})
	go func() { defer close(read); v.read() }()
	t.Cleanup(func() { _ = conn.Close(); <-read })
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := v.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return v
}

// read hands on what the server sends; the channel is closed with the connection.
func (v *viewer) read() {
	defer close(v.events)
	for {
		f, err := v.ReadFrame()
		if err != nil {
			return
		}
		e := event{kind: f.Header().Type, stream: f.Header().StreamID}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			e.end = f.StreamEnded()
			for _, field := range f.Fields {
				e.header.Add(field.Name, field.Value)
			}
		case *http2.DataFrame:
			e.end, e.data = f.StreamEnded(), string(f.Data())
		case *http2.RSTStreamFrame:
			e.code = f.ErrCode
		case *http2.GoAwayFrame:
			e.code = f.ErrCode
		default:
			continue
		}
		v.events <- e
	}
}

// next is the next event; without one the connection is closed.
func (v *viewer) next() (e event, open bool) {
	v.t.Helper()
	select {
	case e, open = <-v.events:
		return e, open
	case <-time.After(time.Hour): // of a bubble
		v.t.Fatal("nothing comes")
		return event{}, false
	}
}

// request is the header of a GET with more fields, or others instead of the pseudo ones.
func request(more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "https", ":authority", "x.cdn.test", ":path", "/"}, more...)
}

// encode makes a header block of names and values.
func (v *viewer) encode(fields ...string) []byte {
	v.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = v.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // to memory
	}
	return v.block.Bytes()
}

// ask opens a stream.
func (v *viewer) ask(stream uint32, end bool, fields ...string) {
	v.t.Helper()
	if err := v.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: v.encode(fields...), EndStream: end, EndHeaders: true}); err != nil {
		v.t.Fatal(err)
	}
}

// answer reads the events of one answer, and says how it ended.
func (v *viewer) answer() (head event, body string, code http2.ErrCode) {
	v.t.Helper()
	for {
		e, open := v.next()
		switch {
		case !open:
			v.t.Fatalf("connection closed after %v %q", head, body)
		case e.kind == http2.FrameGoAway:
			continue
		case e.kind == http2.FrameRSTStream:
			return head, body, e.code
		case e.kind == http2.FrameHeaders:
			head = e
		}
		if body += e.data; e.end {
			return head, body, http2.ErrCodeNo
		}
	}
}

// farewell reads up to the end of the connection and returns the code of its GOAWAY.
func (v *viewer) farewell() (code http2.ErrCode, told bool) {
	for {
		e, open := v.next()
		if !open {
			return code, told
		}
		if e.kind == http2.FrameGoAway {
			code, told = e.code, true
		}
	}
}

// newRequest is a request as x/net would hand it over.
func newRequest(host string) *http.Request {
	return &http.Request{Method: http.MethodGet, Host: host, RequestURI: "/", Header: http.Header{}}
}
