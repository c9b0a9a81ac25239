// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"io"
	"net"
	"strings"
	"testing"
)

func TestIncompleteBody(t *testing.T) {
	reset := func(p *peer) { _ = p.Conn.(*net.TCPConn).SetLinger(0) }
	for _, tt := range []struct {
		name string
		raw  string
		end  func(*peer)
		body string
		want Kind // 0: whole
	}{
		{"D17.12: shorter than announced", "Content-Length: 6\r\n\r\nhello", nil, "hello", Truncated},
		{"D17.12: longer than announced", "Content-Length: 4\r\n\r\nhello", nil, "hell", Invalid},
		{"D17.13: announced and nothing came", "Content-Length: 6\r\n\r\n", nil, "", ZeroSize},
		{"D17.12: chunked, no final chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", nil, "hello", Truncated},
		{"D17.12: chunked, ends within a chunk", "Transfer-Encoding: chunked\r\n\r\n6\r\nhello", nil, "hello", Truncated},
		{"D17.12: chunked, malformed later", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n", nil, "hello", Invalid},
		{"D17.12: close-delimited is whole", "\r\nhello", nil, "hello", 0},
		{"close-delimited, but reset", "\r\n", reset, "", Truncated},
		{"reset", "Content-Length: 6\r\n\r\n", reset, "", Truncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			arrived := make(chan struct{})
			o := serve(t, func(p *peer) {
				p.answer("HTTP/1.1 200 OK\r\n" + tt.raw)
				if tt.end != nil {
					<-arrived // a reset throws away what was not read yet
					tt.end(p)
				}
			})
			c := newTestClient(t, Config{})
			res, err := c.Fetch(t.Context(), get(o))
			close(arrived)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			if string(b) != tt.body {
				t.Errorf("body = %q, want %q", b, tt.body)
			}
			if tt.want == 0 {
				if err != nil {
					t.Error(err)
				}
			} else if e := wantKind(t, err, tt.want); e.Attempts != 1 || e.Origin != o.Name {
				t.Errorf("%+v", e)
			}
			if _, again := res.Body.Read(make([]byte, 1)); again != err && tt.want != 0 {
				t.Errorf("then %v", again)
			}
			_ = res.Body.Close()
			if got := c.Stats(); got != (Stats{}) {
				t.Errorf("stats = %+v", got)
			}
		})
	}
}

// TestCutSurplus: what follows a body is dropped with its connection, for those who do not
// take it for a fault of the body.
func TestCutSurplus(t *testing.T) {
	o := serve(t, func(p *peer) {
		p.answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	c := newTestClient(t, Config{})
	for range 2 {
		req := get(o)
		req.CutSurplus = true
		res, err := c.Fetch(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "hell" || err != nil || res.Reused {
			t.Errorf("%q, %v, reused %v", b, err, res.Reused)
		}
		_ = res.Body.Close()
		if got := c.Stats(); got != (Stats{}) {
			t.Errorf("stats = %+v", got)
		}
	}
}

// TestBodyStreams: bytes arrive while the origin still holds back others (D17.1).
func TestBodyStreams(t *testing.T) {
	for _, tt := range []struct{ name, head, first, second string }{
		{"D17.1: length", "Content-Length: 2\r\n\r\n", "a", "b"},
		{"D17.1: chunked", "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", "1\r\nb\r\n0\r\n\r\n"},
		{"D17.1: close-delimited", "\r\n", "a", "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			release := make(chan struct{})
			o := serve(t, func(p *peer) {
				p.answer("HTTP/1.1 200 OK\r\n" + tt.head + tt.first)
				<-release
				p.reply(tt.second)
			})
			res, err := newTestClient(t, Config{}).Fetch(t.Context(), get(o))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			b := make([]byte, 10)
			if n, err := res.Body.Read(b); err != nil || string(b[:n]) != "a" {
				t.Errorf("got %q, %v", b[:n], err)
			}
			close(release)
			if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "b" {
				t.Errorf("got %q, %v", rest, err)
			}
		})
	}
}

// TestCloseWhileReading: Close ends a Read that waits.
func TestCloseWhileReading(t *testing.T) {
	o := serve(t, func(p *peer) {
		p.answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		p.hang()
	})
	res, err := newTestClient(t, Config{}).Fetch(t.Context(), get(o))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := io.ReadAll(res.Body)
		got <- err
	}()
	_ = res.Body.Close()
	wantKind(t, <-got, Canceled)
}

// TestLargeBody: many bytes in any framing come as they were sent.
func TestLargeBody(t *testing.T) {
	want := strings.Repeat("0123456789abcdef", 1<<16)
	for name, raw := range map[string]string{
		"length":  "Content-Length: 1048576\r\n\r\n" + want,
		"chunked": "Transfer-Encoding: chunked\r\n\r\n100000\r\n" + want + "\r\n0\r\n\r\n",
		"close":   "\r\n" + want,
	} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, func(p *peer) { p.answer("HTTP/1.1 200 OK\r\n" + raw) })
			if _, got := mustFetch(t, newTestClient(t, Config{}), get(o)); got != want {
				t.Error("bytes differ")
			}
		})
	}
}
