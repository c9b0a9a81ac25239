// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

const upgrade = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"

// sentBy is what Send returned.
type sentBy struct {
	n   int64
	err error
}

// tunnels answers with a tunnel to origin.
func tunnels(origin io.ReadWriteCloser, result chan<- sentBy) handler {
	return func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		n, err := to.Send(ctx, &exchange.Answer{Status: 101, Header: fields("Upgrade", req.Upgrade, "Connection", "close"), Tunnel: origin})
		result <- sentBy{n, err}
	}
}

// connected returns two ends of a TCP connection.
func connected(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = x.Close(), y.Close() })
	return x.(*net.TCPConn), y.(*net.TCPConn)
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

func TestTunnel(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		origin, ours := connected(t)
		result := make(chan sentBy, 1)
		c, r := listen(t, secure, tunnels(ours, result)).dial(t)
		say(t, c, upgrade+"early") // D24.3: what is behind the request belongs to the tunnel
		hear(t, r, switching)
		hear(t, origin, "early")
		large := bytes.Repeat([]byte("0123456789"), 100000)
		go func() { _, _ = c.Write(large) }()
		hear(t, origin, string(large))
		go func() { _, _ = origin.Write(large) }()
		hear(t, r, string(large))
		// Each half ends by itself.
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(origin); len(rest) > 0 || err != nil {
			t.Errorf("origin gets %q, %v", rest, err)
		}
		say(t, origin, "bye")
		_ = origin.Close()
		if rest, err := io.ReadAll(r); string(rest) != "bye" || err != nil {
			t.Errorf("viewer gets %q, %v", rest, err)
		}
		if got := <-result; got.n != int64(len(large)+3) || got.err != nil {
			t.Errorf("D24.5: sent %d, %v", got.n, got.err)
		}
	})
}

func TestTunnelEndsWithEitherSide(t *testing.T) {
	for name, leave := range map[string]func(viewer, origin net.Conn, s *site){
		"viewer":     func(v, _ net.Conn, _ *site) { reset(v); _ = v.Close() },
		"origin":     func(_, o net.Conn, _ *site) { reset(o); _ = o.Close() },
		"the server": func(_, _ net.Conn, s *site) { s.cancel() },
	} {
		origin, ours := connected(t)
		result := make(chan sentBy, 1)
		s := listen(t, false, tunnels(ours, result))
		c, r := s.dial(t)
		say(t, c, upgrade)
		hear(t, r, switching)
		leave(c, origin, s)
		if got := <-result; got.err == nil {
			t.Errorf("%s: no error", name)
		}
		if name != "origin" {
			if _, err := origin.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: the origin's side goes on", name)
			}
		}
	}
}

// What counts is what the origin says (D24.4).
func TestTunnelIsNotKeptForSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin, ours := net.Pipe()
		result := make(chan sentBy, 1)
		c, _, over := pipe(t, tunnels(ours, result))
		say(t, c, upgrade)
		hear(t, c, switching)
		for range 3 {
			time.Sleep(DefaultTunnelTimeout - time.Second)
			say(t, origin, "x")
			hear(t, c, "x")
		}
		quiet := time.Now()
		var talk sync.WaitGroup
		talk.Go(func() { // the viewer talks on
			for {
				if _, err := c.Write([]byte("y")); err != nil {
					return
				}
				time.Sleep(time.Minute)
			}
		})
		talk.Go(func() { _, _ = io.Copy(io.Discard, origin) })
		if got := <-result; !errors.Is(got.err, errQuiet) || got.n != 3 {
			t.Errorf("sent %d, %v", got.n, got.err)
		}
		if took := time.Since(quiet); took != DefaultTunnelTimeout {
			t.Errorf("ended after %v", took)
		}
		<-over
		talk.Wait()
	})
}

func TestWhoMayUpgrade(t *testing.T) {
	for _, tt := range []struct{ name, head, want string }{
		{"D24.1", "GET / HTTP/1.1\r\nHost: h\r\nConnection: a, UPGRADE\r\nUpgrade: WebSocket\r\n\r\n", "WebSocket"},
		{"RFC 9110 §7.8: Connection does not name it", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", ""},
		{"RFC 9110 §7.8: HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", ""},
		{"with a body", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx", ""},
		{"two of them", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", ""},
	} {
		got := "not asked"
		play(newServer(t, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
			got = req.Upgrade + ""
			_, _ = to.Send(ctx, &exchange.Answer{Status: 200})
		}), tt.head)
		if got != tt.want {
			t.Errorf("%s: upgrade %q, want %q", tt.name, got, tt.want)
		}
	}
}
