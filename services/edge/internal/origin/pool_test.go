// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestPoolOrder: the most recently used connection is taken, the longest idle one
// goes where there is no room.
func TestPoolOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{max: 4, perEndpoint: 2, conns: map[endpoint]kept{}}
		e, other := endpoint{host: "a"}, endpoint{host: "b"}
		open := func(e endpoint) (*conn, net.Conn) {
			near, far := net.Pipe()
			l := &line{Conn: near}
			return newConn(e, netip.AddrPort{}, l, l), far
		}
		over := func(far net.Conn) bool {
			_ = far.SetReadDeadline(time.Now())
			_, err := far.Read(make([]byte, 1))
			return err == io.EOF
		}
		a1, far1 := open(e)
		a2, far2 := open(e)
		a3, far3 := open(e)
		p.put(a1, time.Minute)
		p.put(a2, time.Minute)
		p.put(a3, time.Minute)
		if !over(far1) || over(far2) || over(far3) || p.count() != 2 {
			t.Errorf("of three, the first has to go; %d are kept", p.count())
		}
		b1, _ := open(other)
		b2, _ := open(other)
		p.put(b1, time.Minute)
		p.put(b2, time.Minute)
		c1, farC := open(endpoint{host: "c"})
		p.put(c1, time.Minute)
		if !over(farC) || p.count() != 4 {
			t.Errorf("beyond the limit of all, a newcomer has to go; %d are kept", p.count())
		}
		if got := p.take(e); got != a3 {
			t.Error("not the last one")
		}
		if got := p.take(e); got != a2 {
			t.Error("not the other one")
		}
		if got := p.take(e); got != nil {
			t.Error("one too many")
		}
		p.put(a2, 0)
		if !over(far2) {
			t.Error("kept without a keep-alive time")
		}
		a3.abort()
		p.close()
		if p.count() != 0 {
			t.Errorf("%d are kept after close", p.count())
		}
	})
}

// TestPoolDropsDead: a connection that the origin has closed or written to is not
// used again.
func TestPoolDropsDead(t *testing.T) {
	answered := make(chan struct{})
	for _, tt := range []struct {
		name   string
		script func(*peer)
	}{
		{"closed", func(p *peer) { p.answer(hello) }},
		{"bytes that nobody asked for", func(p *peer) {
			p.answer(hello)
			<-answered // else the bytes may come within the same packet
			p.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			p.hang()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := serve(t, func(p *peer) {
				if p.n > 1 {
					p.answer(hello)
					return
				}
				tt.script(p)
			})
			c := newTestClient(t, Config{})
			mustFetch(t, c, get(o))
			if tt.name != "closed" {
				answered <- struct{}{}
			}
			kept := c.idle.pop(endpointOf(get(o)))
			if kept == nil {
				t.Fatal("nothing is kept")
			}
			// Peeking proves that a byte, or the end, has arrived. A byte stays in the
			// buffer, where alive must see it; the end has to be found on the socket.
			if _, err := kept.in.Peek(1); err != nil {
				kept.in.Reset(kept.Conn)
			} else if kept.alive() {
				t.Error("a byte in the buffer is not seen")
			}
			c.idle.put(kept, time.Minute)
			if res, body := mustFetch(t, c, get(o)); res.Attempts != 1 || body != "hello" {
				t.Errorf("attempts %d, body %q", res.Attempts, body)
			}
		})
	}
}
