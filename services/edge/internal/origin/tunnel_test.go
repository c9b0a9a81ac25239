// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\n"

func upgrading(o *snapshot.Origin) *Request {
	r := get(o)
	r.Upgrade = "websocket"
	return r
}

// echo answers with 101 and the bytes that follow at once, then sends back what comes,
// until the viewer's side is closed.
func echo(p *peer) {
	head := p.request()
	if !strings.Contains(head, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n") {
		p.reply("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
		return
	}
	p.reply(switching + "early ")
	_, _ = io.Copy(p, p.in)
	p.reply("end")
}

func TestTunnel(t *testing.T) {
	t.Run("D24.3: clear", func(t *testing.T) { testTunnel(t, serve(t, echo)) })
	t.Run("D24.3: TLS", func(t *testing.T) {
		o, pool := secure(t, "localhost", &tls.Config{}, echo)
		o.RootCAs = pool
		testTunnel(t, o)
	})
}

func testTunnel(t *testing.T, o *snapshot.Origin) {
	c := newTestClient(t, Config{MaxConcurrent: 1, MaxQueue: -1})
	res, err := c.Fetch(t.Context(), upgrading(o))
	if err != nil {
		t.Fatal(err)
	}
	want := fieldsOf("Sec-WebSocket-Accept: x", "Upgrade: WebSocket")
	if diff := cmp.Diff(want, res.Header); res.Status != 101 || diff != "" {
		t.Errorf("D17.2: %d %s", res.Status, diff)
	}
	if got := c.Stats(); got != (Stats{Tunnels: 1}) {
		t.Errorf("a tunnel holds no slot of a request: %+v", got)
	}
	_ = res.Body.Close() // which has nothing to do with the tunnel
	if _, err := io.WriteString(res.Tunnel, "hello "); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len("early hello "))
	if _, err := io.ReadFull(res.Tunnel, b); err != nil || string(b) != "early hello " {
		t.Errorf("D24.3: %q, %v", b, err)
	}
	if err := res.Tunnel.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(res.Tunnel); err != nil || string(rest) != "end" {
		t.Errorf("half-closed: %q, %v", rest, err)
	}
	_ = res.Tunnel.Close()
	_ = res.Tunnel.Close()
	if got := c.Stats(); got != (Stats{}) {
		t.Errorf("stats = %+v", got)
	}
}

func TestUpgradeAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		want         Kind // 0: an ordinary answer
	}{
		{"D24.3: 200 is an ordinary answer", hello, 0},
		{"D24.3: so is 426", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\nhello", 0},
		{"RFC 9110 §7.8: 101 names no protocol", "HTTP/1.1 101 \r\n\r\n", Invalid},
		{"RFC 9110 §7.8: another than was asked for", "HTTP/1.1 101 \r\nUpgrade: h2c\r\n\r\n", Invalid},
		{"RFC 9110 §7.8: more than one", "HTTP/1.1 101 \r\nUpgrade: websocket, h2c\r\n\r\n", Invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := serve(t, func(p *peer) { p.answer(tt.answer, hello) })
			c := newTestClient(t, Config{})
			res, err := c.Fetch(t.Context(), upgrading(o))
			if tt.want != 0 {
				wantKind(t, err, tt.want)
			} else if err != nil {
				t.Fatal(err)
			} else {
				b, err := io.ReadAll(res.Body)
				if err != nil || string(b) != "hello" || res.Tunnel != nil || res.Header.Has("Upgrade") {
					t.Errorf("%+v, %q, %v", res, b, err)
				}
				_ = res.Body.Close()
				if res, _ := mustFetch(t, c, get(o)); !res.Reused {
					t.Error("the connection is not kept")
				}
			}
			if got := c.Stats(); got.Tunnels+got.Active != 0 {
				t.Errorf("stats = %+v", got)
			}
		})
	}
}

func TestTunnelEnds(t *testing.T) {
	idle := func(p *peer) { p.request(); p.reply(switching); p.hang() }
	t.Run("D24.4: nothing from the origin for ten minutes", func(t *testing.T) {
		bubble(t, Config{}, idle, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
			o.CompletionTimeout = time.Minute // is for answers
			res, err := c.Fetch(t.Context(), upgrading(o))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Minute)
			if _, err := io.WriteString(res.Tunnel, "viewers do not count"); err != nil {
				t.Error(err)
			}
			began := time.Now()
			_, err = res.Tunnel.Read(make([]byte, 1))
			if wantKind(t, err, Timeout); time.Since(began) != 10*time.Minute {
				t.Errorf("after %v", time.Since(began))
			}
			_ = res.Tunnel.Close()
		})
	})
	t.Run("the caller's context", func(t *testing.T) {
		bubble(t, Config{}, idle, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			res, err := c.Fetch(ctx, upgrading(o))
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			_, err = res.Tunnel.Read(make([]byte, 1))
			wantKind(t, err, Canceled)
			synctest.Wait()
			_, err = res.Tunnel.Write(make([]byte, 1))
			wantKind(t, err, Canceled)
			_ = res.Tunnel.Close()
		})
	})
	t.Run("Close ends a Read that waits", func(t *testing.T) {
		bubble(t, Config{}, idle, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
			res, err := c.Fetch(t.Context(), upgrading(o))
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() { _ = res.Tunnel.Close() })
			_, err = res.Tunnel.Read(make([]byte, 1))
			wantKind(t, err, Lost)
		})
	})
}

// TestTunnelLimit: connections that have switched are bounded, in all and per viewer.
func TestTunnelLimit(t *testing.T) {
	idle := func(p *peer) { p.request(); p.reply(switching); p.hang() }
	bubble(t, Config{MaxTunnels: 2}, idle, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		var open []Tunnel
		for _, tt := range []struct {
			viewer string
			want   Kind
		}{{"192.0.2.1", 0}, {"192.0.2.1", Overloaded}, {"192.0.2.2", 0}, {"192.0.2.3", Overloaded}} {
			r := upgrading(o)
			r.Viewer = netip.MustParseAddr(tt.viewer)
			res, err := c.Fetch(t.Context(), r)
			if tt.want != 0 {
				wantKind(t, err, tt.want)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, res.Tunnel)
		}
		for _, tunnel := range open {
			_ = tunnel.Close()
		}
		if got := c.Stats(); got != (Stats{}) {
			t.Errorf("stats = %+v", got)
		}
	})
}
