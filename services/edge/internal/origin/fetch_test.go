// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

func TestFetch(t *testing.T) {
	asked := make(chan string, 1)
	o := serve(t, func(p *peer) {
		asked <- p.request()
		p.reply("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" +
			"HTTP/1.1 404 Gone Fishing\r\nServer: x\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\nhello")
	})
	r := get(o)
	r.Host, r.Target = "www.example.com", "/%2e/a?b"
	r.Header = fieldsOf("accept: */*")
	before := time.Now()
	res, body := mustFetch(t, newTestClient(t, Config{}), r)
	want := &Response{
		Status: 404, Minor: 1, Header: fieldsOf("Server: x", "Content-Length: 5"), ContentLength: 5,
		Framing: ContentLength, Attempts: 1, RemoteAddr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(o.HTTPPort)),
	}
	ignore := cmpopts.IgnoreFields(Response{}, "Body", "RequestTime", "ResponseTime")
	if diff := cmp.Diff(want, res, ignore, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
	if body != "hello" {
		t.Errorf("body = %q", body)
	}
	if res.RequestTime.Before(before) || res.ResponseTime.Before(res.RequestTime) {
		t.Errorf("times %v, %v", res.RequestTime, res.ResponseTime)
	}
	// D16.3: the origin is spoken to in HTTP/1.1, D15.1: with Host and Connection.
	wantAsked := "GET /%2e/a?b HTTP/1.1\r\nHost: www.example.com\r\nConnection: Keep-Alive\r\nAccept: */*\r\n\r\n"
	if diff := cmp.Diff(wantAsked, <-asked); diff != "" {
		t.Error(diff)
	}
}

// TestReuse: after which first answer a second request goes over the same
// connection.
func TestReuse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		first  string
		want   bool
	}{
		{"D16.16: length", "GET", hello, true},
		{"D16.16: chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", true},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\n\r\n", true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"HTTP/1.0 keep-alive", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", true},
		{"D16.16: close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false},
		{"D16.16: HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false},
		{"HEAD answered with a body", "HEAD", hello, false},
		{"304 with a body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", false},
		{"bytes after the last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked atomic.Int32 // over all connections
			o := serve(t, func(p *peer) {
				for p.request() != "" {
					if asked.Add(1) == 1 {
						p.reply(tt.first)
						continue
					}
					p.reply(hello)
				}
			})
			c := newTestClient(t, Config{})
			r := get(o)
			r.Method = tt.method
			if res, _ := mustFetch(t, c, r); res.Reused {
				t.Error("the first is reused")
			}
			res, body := mustFetch(t, c, get(o))
			if res.Reused != tt.want || body != "hello" || res.Attempts != 1 {
				t.Errorf("reused = %v, body %q, attempts %d", res.Reused, body, res.Attempts)
			}
		})
	}
}

// TestBodyNotRead: a body that was not read to its end costs its connection.
func TestBodyNotRead(t *testing.T) {
	o := serve(t, func(p *peer) { p.answer(hello, hello) })
	c := newTestClient(t, Config{})
	res, err := c.Fetch(t.Context(), get(o))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	_ = res.Body.Close()
	_, err = res.Body.Read(make([]byte, 1))
	wantKind(t, err, Canceled)
	if got := c.Stats(); got != (Stats{}) {
		t.Errorf("stats = %+v", got)
	}
	res, err = c.Fetch(t.Context(), get(o))
	if err != nil {
		t.Fatal(err)
	}
	// The last byte of a known length is its end, whether or not io.EOF is asked for.
	if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := c.Stats(); got != (Stats{Idle: 1}) {
		t.Errorf("stats = %+v", got)
	}
}

// TestFreeRetry: a kept connection that the origin has ended costs no attempt
// (D16.16), also when there is only one.
func TestFreeRetry(t *testing.T) {
	for _, tt := range []struct {
		name string
		ends func(p *peer)
	}{
		{"D16.16: closed on the next request", func(p *peer) { p.request() }},
		{"D16.16: closed while idle", func(*peer) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := serve(t, func(p *peer) {
				p.answer(hello)
				if p.n == 1 {
					tt.ends(p)
				}
			})
			o.Attempts = 1
			c := newTestClient(t, Config{})
			mustFetch(t, c, get(o))
			res, body := mustFetch(t, c, get(o))
			if body != "hello" || res.Attempts != 1 || res.Reused {
				t.Errorf("body %q, attempts %d, reused %v", body, res.Attempts, res.Reused)
			}
		})
	}
}

// TestFreeRetryOnce: the free try is the only one, and it is not over another
// kept connection.
func TestFreeRetryOnce(t *testing.T) {
	var conns atomic.Int64
	o := serve(t, func(p *peer) {
		conns.Add(1)
		if p.n > 1 {
			p.request()
			return
		}
		p.answer(hello)
		p.request()
	})
	o.Attempts = 1
	c := newTestClient(t, Config{})
	mustFetch(t, c, get(o))
	_, err := c.Fetch(t.Context(), get(o))
	if e := wantKind(t, err, Lost); e.Attempts != 1 || e.Reused || conns.Load() != 2 {
		t.Errorf("D16.16: %d attempts, reused %v, %d connections", e.Attempts, e.Reused, conns.Load())
	}
}

func TestAttempts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		attempts int
		script   func(p *peer)
		want     Kind // 0: answered
		used     int
	}{
		{"D16.10: lost before the answer, then answered", 3, func(p *peer) {
			if p.n < 3 {
				p.request()
				return
			}
			p.answer(hello)
		}, 0, 3},
		{"D16.10: all attempts used", 3, func(p *peer) { p.request() }, Lost, 3},
		{"one attempt", 1, func(p *peer) { p.request() }, Lost, 1},
		{"lost within the head", 3, func(p *peer) { p.answer("HTTP/1.1 200 OK\r\nA:") }, Truncated, 1},
		{"lost after an interim answer", 3, func(p *peer) { p.answer("HTTP/1.1 103 \r\n\r\n") }, Truncated, 1},
		{"D17.13: malformed is not tried again", 3, func(p *peer) { p.answer("garbage\r\n\r\n") }, Invalid, 1},
		{"D17.3: another transfer coding", 3, func(p *peer) {
			p.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")
		}, Invalid, 1},
		{"D17.10, D18.1: an error status is an answer", 3, func(p *peer) {
			p.answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
		}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := serve(t, tt.script)
			o.Attempts = tt.attempts
			c := newTestClient(t, Config{})
			if tt.want == 0 {
				if res, _ := mustFetch(t, c, get(o)); res.Attempts != tt.used {
					t.Errorf("attempts = %d, want %d", res.Attempts, tt.used)
				}
				return
			}
			_, err := c.Fetch(t.Context(), get(o))
			e := wantKind(t, err, tt.want)
			if e.Attempts != tt.used || e.Origin != o.Name || int(e.RemoteAddr.Port()) != o.HTTPPort {
				t.Errorf("%+v, want %d attempts", e, tt.used)
			}
			if got := c.Stats(); got != (Stats{}) {
				t.Errorf("stats = %+v", got)
			}
		})
	}
}

func TestMaxLength(t *testing.T) {
	o := serve(t, func(p *peer) { p.answer(hello) })
	c := newTestClient(t, Config{})
	for _, tt := range []struct {
		name  string
		limit int64
		want  Kind
	}{
		{"D17.14: without a limit it passes", 0, 0},
		{"D17.14: at the limit", 5, 0},
		{"D17.14: above the limit", 4, TooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := get(o)
			r.MaxLength = tt.limit
			if tt.want == 0 {
				mustFetch(t, c, r)
				return
			}
			_, err := c.Fetch(t.Context(), r)
			if e := wantKind(t, err, tt.want); e.Status() != 502 {
				t.Errorf("status %d", e.Status())
			}
		})
	}
}

func TestFetchAfterClose(t *testing.T) {
	o := serve(t, func(p *peer) { p.answer(hello, hello) })
	c := NewClient(Config{})
	res, err := c.Fetch(t.Context(), get(o))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || string(b) != "hello" {
		t.Errorf("a body under way: %q, %v", b, err)
	}
	_ = res.Body.Close()
	if got := c.Stats(); got != (Stats{}) {
		t.Errorf("stats = %+v", got)
	}
	_, err = c.Fetch(t.Context(), get(o))
	wantKind(t, err, Overloaded)
	c.Close()
}
