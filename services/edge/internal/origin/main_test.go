// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is the origin's end of one connection.
type peer struct {
	net.Conn
	n  int // which connection to this origin it is, from 1
	in *bufio.Reader
}

// request reads a head and returns it, or "" when the connection is over.
func (p *peer) request() string {
	var b strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			return ""
		}
		b.WriteString(line)
		if line == "\r\n" {
			return b.String()
		}
	}
}

// reply writes bytes as they are. A client that left is no failure of a script.
func (p *peer) reply(raw string) { _, _ = io.WriteString(p, raw) }

// answer replies to each request in turn with the next of the answers, then
// closes.
func (p *peer) answer(raw ...string) {
	for _, r := range raw {
		if p.request() == "" {
			return
		}
		p.reply(r)
	}
}

// listen runs the script for each connection to an address of its own and returns
// the port. All ends with the test.
func listen(t testing.TB, wrap func(net.Conn) net.Conn, script func(*peer)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ended, end := context.WithCancel(context.Background())
	t.Cleanup(func() {
		end()
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for n := 1; ; n++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = nc.Close() }()
				defer context.AfterFunc(ended, func() { _ = nc.Close() })()
				c := wrap(nc)
				defer func() { _ = c.Close() }()
				script(&peer{Conn: c, n: n, in: bufio.NewReader(c)})
			})
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

func plain(c net.Conn) net.Conn { return c }

// originAt describes a clear-text origin on this machine.
func originAt(port int) *snapshot.Origin {
	return &snapshot.Origin{
		Name: "origins/test", Host: "127.0.0.1", HTTPPort: port, HTTPSPort: port,
		Scheme: snapshot.HTTP, Family: snapshot.IPv4,
		Attempts: 3, ConnectTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		KeepaliveTimeout: 5 * time.Second,
	}
}

// serve starts a clear-text origin.
func serve(t testing.TB, script func(*peer)) *snapshot.Origin {
	t.Helper()
	return originAt(listen(t, plain, script))
}

// newTestClient returns a Client that is closed with the test.
func newTestClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	c := NewClient(cfg)
	t.Cleanup(c.Close)
	return c
}

func get(o *snapshot.Origin) *Request {
	return &Request{Origin: o, ViewerScheme: "http", Method: "GET", Target: "/a"}
}

// mustFetch fetches, reads the body and closes it.
func mustFetch(t testing.TB, c *Client, r *Request) (*Response, string) {
	t.Helper()
	res, err := c.Fetch(t.Context(), r)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read body: %v", err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatalf("close body: %v", err)
	}
	return res, string(b)
}

// wantKind checks that err is an *Error of a kind.
func wantKind(t testing.TB, err error, want Kind) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error = %v, want an *Error of kind %v", err, want)
	}
	if e.Kind != want {
		t.Fatalf("error = %v, want kind %v", err, want)
	}
	return e
}

// pipes is a Dial function whose connections are pipes, for tests in bubbles of
// synctest. Each far end runs the script.
type pipes struct {
	script func(*peer)
	wg     sync.WaitGroup
	mu     sync.Mutex // guards n
	n      int
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.mu.Lock()
	p.n++
	n := p.n
	p.mu.Unlock()
	p.wg.Go(func() {
		defer func() { _ = far.Close() }()
		p.script(&peer{Conn: far, n: n, in: bufio.NewReader(far)})
	})
	return near, nil
}

// dials is how many connections were made.
func (p *pipes) dials() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// hang waits until the other side closes.
func (p *peer) hang() { _, _ = io.Copy(io.Discard, p.in) }

// fakeResolver knows what it is told and counts how often it is asked.
type fakeResolver struct {
	mu    sync.Mutex // guards asked
	asked []string
	addrs []netip.Addr
	err   error
}

func (r *fakeResolver) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, network+" "+host)
	return r.addrs, r.err
}
