// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// slowBody gives a byte every interval, so often.
type slowBody struct {
	interval time.Duration
	left     int
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	<-time.After(b.interval)
	b.left--
	p[0] = 'a'
	return 1, nil
}

func TestUploadTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(*peer)
		body   io.Reader
		want   time.Duration
	}{
		{"D16.9: counts from the end of the request", (*peer).hang, &slowBody{time.Minute, 5}, 5*time.Minute + 30*time.Second},
		{"D16.9: from its beginning when that is the end", (*peer).hang, strings.NewReader(""), 30 * time.Second},
		{"D16.9: an origin that takes no byte of the body", func(p *peer) {
			p.request()
			<-time.After(time.Hour)
		}, strings.NewReader(strings.Repeat("a", 100000)), 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Config{}, tt.script, func(t *testing.T, c *Client, o *snapshot.Origin, p *pipes) {
				began := time.Now()
				_, err := c.Fetch(t.Context(), sending(o, "POST", tt.body, -1))
				wantKind(t, err, Timeout)
				if got := time.Since(began); got != tt.want || p.dials() != 1 {
					t.Errorf("after %v, want %v; %d dials", got, tt.want, p.dials())
				}
			})
		})
	}
}

// TestSlowTaker: no time-out strikes while the origin takes a byte now and then.
func TestSlowTaker(t *testing.T) {
	bubble(t, Config{}, func(p *peer) {
		p.request()
		for range 100 {
			<-time.After(29 * time.Second)
			if _, err := p.in.ReadByte(); err != nil {
				return
			}
			if p.in.Buffered() > 0 {
				_, _ = p.in.Discard(p.in.Buffered())
			}
		}
		p.hang()
	}, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		began := time.Now()
		_, err := c.Fetch(t.Context(), sending(o, "POST", strings.NewReader(strings.Repeat("a", 150000)), -1))
		wantKind(t, err, Timeout)
		if got := time.Since(began); got < 10*time.Minute {
			t.Errorf("D16.9: ended after %v", got)
		}
	})
}

func TestCancelUpload(t *testing.T) {
	bubble(t, Config{}, (*peer).hang, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		pr, _ := io.Pipe()
		began := time.Now()
		_, err := c.Fetch(ctx, sending(o, "POST", pr, -1))
		wantKind(t, err, Canceled)
		if got := time.Since(began); got != time.Second || c.Stats() != (Stats{}) {
			t.Errorf("after %v, %+v", got, c.Stats())
		}
	})
}

// TestRepeats: what an origin has seen of a request that it may act upon is not sent
// twice.
func TestRepeats(t *testing.T) {
	lost := func(p *peer) { p.request() }
	for _, tt := range []struct {
		name   string
		change func(*Request)
		fresh  int // requests at the origin over new connections
		kept   int // and when the first of them goes over a kept one
	}{
		{"D16.10: GET", func(*Request) {}, 3, 4},
		{"D16.10: HEAD", func(r *Request) { r.Method = "HEAD" }, 3, 4},
		{"D16.11, D16.16: OPTIONS", func(r *Request) { r.Method = "OPTIONS" }, 1, 2},
		{"D16.11, D16.16: PUT without a body", func(r *Request) { r.Method = "PUT" }, 1, 2},
		{"D16.11, D16.16: DELETE", func(r *Request) { r.Method = "DELETE" }, 1, 2},
		{"D16.11: PATCH", func(r *Request) { r.Method = "PATCH" }, 1, 1},
		{"D16.11: POST", func(r *Request) { r.Method = "POST" }, 1, 1},
		{"D16.11: an unknown method", func(r *Request) { r.Method = "MOVE" }, 1, 1},
		{"D16.11: PUT with a body", func(r *Request) { r.Method, r.Body, r.Length = "PUT", strings.NewReader("a"), 1 }, 1, 1},
		{"D16.11: GET with a body", func(r *Request) { r.Body, r.Length = strings.NewReader("a"), 1 }, 1, 1},
		{"GET, once", func(r *Request) { r.Once = true }, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, kept := range map[string]bool{"fresh": false, "kept": true} {
				var asked atomic.Int32
				o := serve(t, func(p *peer) {
					if kept && p.n == 1 {
						p.answer(hello)
					}
					if p.request() != "" {
						asked.Add(1)
					}
				})
				c := newTestClient(t, Config{})
				want := tt.fresh
				if kept {
					mustFetch(t, c, get(o))
					want = tt.kept
				}
				r := get(o)
				tt.change(r)
				if _, err := c.Fetch(t.Context(), r); err == nil {
					t.Fatal("answered")
				}
				if got := int(asked.Load()); got != want {
					t.Errorf("%s: asked %d times, want %d", name, got, want)
				}
			}
		})
	}
	t.Run("D16.b: no connection, so nothing was sent", func(t *testing.T) {
		var dials atomic.Int32
		o := serve(t, lost)
		c := newTestClient(t, Config{Dial: func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, errors.New("refused")
		}})
		r := sending(o, "POST", readerFunc(func([]byte) (int, error) { t.Error("the body is read"); return 0, io.EOF }), -1)
		r.Once = true
		_, err := c.Fetch(t.Context(), r)
		if wantKind(t, err, Connect); dials.Load() != 3 {
			t.Errorf("%d attempts to connect", dials.Load())
		}
	})
}

// TestClosedEarly: an origin that closes without an answer while the body comes has
// not answered, and nothing is sent again.
func TestClosedEarly(t *testing.T) {
	var conns atomic.Int32
	o := serve(t, func(p *peer) {
		conns.Add(1)
		p.request()
		_, _ = io.ReadFull(p.in, make([]byte, 100))
	})
	c := newTestClient(t, Config{})
	endless := readerFunc(func(p []byte) (int, error) { return len(p), nil })
	_, err := c.Fetch(t.Context(), sending(o, "POST", endless, -1))
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Write && e.Kind != Lost || e.Status() != 502 || conns.Load() != 1 {
		t.Errorf("D16.11: %v, %d connections", err, conns.Load())
	}
}

// untouched is a body that nobody is to read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("D4.10: the body was read before there was a connection")
	return 0, io.EOF
}

// A viewer that waits for 100 Continue is told to go on by the first read of its body: not
// while nobody is there to take it.
func TestBodyIsNotReadWithoutAConnection(t *testing.T) {
	nobody := serve(t, func(*peer) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := *nobody
	gone.HTTPPort = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, Config{})
	if _, err := c.Fetch(t.Context(), sending(&gone, "POST", untouched{t}, 5)); err == nil {
		t.Error("an answer of nobody")
	}
	c.Close()
	_, err = c.Fetch(t.Context(), sending(nobody, "POST", untouched{t}, -1))
	wantKind(t, err, Overloaded)
}
