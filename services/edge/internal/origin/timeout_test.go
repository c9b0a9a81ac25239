// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// bubble runs a test in a bubble with an origin at the end of pipes.
func bubble(t *testing.T, cfg Config, script func(*peer), test func(*testing.T, *Client, *snapshot.Origin, *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{script: script}
		if cfg.Dial == nil {
			cfg.Dial = p.dial
		}
		c := NewClient(cfg)
		test(t, c, originAt(80), p)
		c.Close()
		p.wg.Wait()
	})
}

func TestReadTimeout(t *testing.T) {
	silent := func(p *peer) { p.request(); p.hang() }
	within := func(p *peer) {
		p.request()
		p.reply("HTTP/1.1 200 ")
		p.hang()
	}
	for _, tt := range []struct {
		name     string
		script   func(*peer)
		attempts int
		want     time.Duration
	}{
		{"D16.9, D16.13: no first byte", silent, 1, 30 * time.Second},
		{"D16.10: each attempt has its own", silent, 3, 90 * time.Second},
		{"D16.9: between two packets of the head; D16.12: no byte has gone on, so it is tried again", within, 2, 60 * time.Second},
		{"D16.9: the request is not taken", func(p *peer) { <-time.After(time.Minute) }, 1, 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Config{}, tt.script, func(t *testing.T, c *Client, o *snapshot.Origin, p *pipes) {
				o.Attempts = tt.attempts
				began := time.Now()
				_, err := c.Fetch(t.Context(), get(o))
				e := wantKind(t, err, Timeout)
				if e.Status() != 504 || e.Attempts != tt.attempts || p.dials() != tt.attempts {
					t.Errorf("%+v, %d dials", e, p.dials())
				}
				if got := time.Since(began); got != tt.want {
					t.Errorf("after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestTimeoutThenAnswer(t *testing.T) {
	bubble(t, Config{}, func(p *peer) {
		if p.n == 1 {
			p.hang()
			return
		}
		p.answer(hello)
	}, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		if res, body := mustFetch(t, c, get(o)); res.Attempts != 2 || body != "hello" {
			t.Errorf("D16.10: attempts %d, body %q", res.Attempts, body)
		}
	})
}

// TestSlowAnswer: no time-out strikes while every packet is in time (D16.9).
func TestSlowAnswer(t *testing.T) {
	bubble(t, Config{}, func(p *peer) {
		p.request()
		for _, b := range []byte(hello) {
			<-time.After(29 * time.Second)
			p.reply(string(b))
		}
	}, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		if _, body := mustFetch(t, c, get(o)); body != "hello" {
			t.Errorf("D16.9: body %q", body)
		}
	})
}

func TestBodyTimeout(t *testing.T) {
	bubble(t, Config{}, func(p *peer) {
		p.answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		p.hang()
	}, func(t *testing.T, c *Client, o *snapshot.Origin, p *pipes) {
		res, err := c.Fetch(t.Context(), get(o))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		b, err := io.ReadAll(res.Body)
		wantKind(t, err, Timeout)
		if got := time.Since(began); got != 30*time.Second || string(b) != "he" || p.dials() != 1 {
			t.Errorf("D16.9: after %v, %q, %d dials", got, b, p.dials())
		}
		_ = res.Body.Close()
	})
}

// nowhere is a dial that no one answers.
func nowhere(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestConnectTimeout(t *testing.T) {
	bubble(t, Config{Dial: nowhere}, nil, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		began := time.Now()
		_, err := c.Fetch(t.Context(), get(o))
		e := wantKind(t, err, ConnectTimeout)
		if got := time.Since(began); got != 30*time.Second || e.Attempts != 3 || e.Status() != 504 {
			t.Errorf("D16.14: after %v, %+v", got, e)
		}
	})
}

// TestHandshakeTimeout: a server that takes the connection and says nothing more
// has ConnectTimeout, not ReadTimeout, for the handshake.
func TestHandshakeTimeout(t *testing.T) {
	bubble(t, Config{}, (*peer).hang, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		o.Scheme, o.TLSVersions, o.ReadTimeout = snapshot.HTTPS, tls12and13, time.Second
		began := time.Now()
		_, err := c.Fetch(t.Context(), get(o))
		wantKind(t, err, ConnectTimeout)
		if got := time.Since(began); got != 30*time.Second {
			t.Errorf("D16.14: after %v", got)
		}
	})
}

func TestCompletionTimeout(t *testing.T) {
	slow := func(p *peer) {
		p.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			if _, err := io.WriteString(p, "1\r\na\r\n"); err != nil {
				return
			}
			<-time.After(7 * time.Second)
		}
	}
	t.Run("D16.15: covers all attempts", func(t *testing.T) {
		bubble(t, Config{}, (*peer).hang, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
			o.CompletionTimeout = 59 * time.Second // not the instant of a read time-out
			began := time.Now()
			_, err := c.Fetch(t.Context(), get(o))
			e := wantKind(t, err, Completion)
			if got := time.Since(began); got != 59*time.Second || e.Status() != 504 || e.Attempts != 2 {
				t.Errorf("after %v, %+v", got, e)
			}
		})
	})
	t.Run("D16.15: covers connecting", func(t *testing.T) {
		bubble(t, Config{Dial: nowhere}, nil, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
			o.CompletionTimeout = 5 * time.Second
			_, err := c.Fetch(t.Context(), get(o))
			wantKind(t, err, Completion)
		})
	})
	t.Run("D16.15: ends a body that has begun", func(t *testing.T) {
		bubble(t, Config{}, slow, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
			o.CompletionTimeout = time.Minute
			began := time.Now()
			res, err := c.Fetch(t.Context(), get(o))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			wantKind(t, err, Completion)
			if got := time.Since(began); got != time.Minute || len(b) != 9 {
				t.Errorf("after %v, %d bytes", got, len(b))
			}
			_ = res.Body.Close()
		})
	})
}

// TestCancel: the end of the caller's context ends every phase at once, and
// nothing is tried again.
func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cfg    Config
		scheme snapshot.Scheme
		script func(*peer)
	}{
		{"while connecting", Config{Dial: nowhere}, snapshot.HTTP, nil},
		{"in the handshake", Config{}, snapshot.HTTPS, (*peer).hang},
		{"while writing", Config{}, snapshot.HTTP, func(*peer) { <-time.After(time.Hour) }},
		{"before the answer", Config{}, snapshot.HTTP, (*peer).hang},
		{"within the head", Config{}, snapshot.HTTP, func(p *peer) { p.answer("HTTP/1.1 "); p.hang() }},
		{"within the body", Config{}, snapshot.HTTP, func(p *peer) {
			p.answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
			p.hang()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.cfg, tt.script, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
				o.Scheme, o.TLSVersions = tt.scheme, tls12and13
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				res, err := c.Fetch(ctx, get(o))
				if err == nil {
					_, err = io.ReadAll(res.Body)
					_ = res.Body.Close()
				}
				wantKind(t, err, Canceled)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("cause of %v is hidden", err)
				}
				if got := time.Since(began); got != time.Second {
					t.Errorf("after %v", got)
				}
				if got := c.Stats(); got != (Stats{}) {
					t.Errorf("stats = %+v", got)
				}
			})
		})
	}
}

// TestCancelAfterBody: a context that ends after the body was closed does not
// touch the connection, which is kept.
func TestCancelAfterBody(t *testing.T) {
	bubble(t, Config{}, func(p *peer) { p.answer(hello, hello) }, func(t *testing.T, c *Client, o *snapshot.Origin, p *pipes) {
		ctx, cancel := context.WithCancel(t.Context())
		res, err := c.Fetch(ctx, get(o))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(res.Body)
		_ = res.Body.Close()
		cancel()
		synctest.Wait()
		if res, _ := mustFetch(t, c, get(o)); !res.Reused || p.dials() != 1 {
			t.Errorf("reused %v, %d dials", res.Reused, p.dials())
		}
	})
}

func TestKeepaliveTimeout(t *testing.T) {
	bubble(t, Config{}, func(p *peer) { p.answer(hello, hello, hello) }, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		mustFetch(t, c, get(o))
		time.Sleep(o.KeepaliveTimeout - 1)
		if res, _ := mustFetch(t, c, get(o)); !res.Reused {
			t.Error("D16.b: closed too early")
		}
		time.Sleep(o.KeepaliveTimeout)
		synctest.Wait()
		if got := c.Stats(); got != (Stats{}) {
			t.Errorf("D16.b: an idle connection is closed: %+v", got)
		}
		if res, _ := mustFetch(t, c, get(o)); res.Reused {
			t.Error("D16.b: used after its time")
		}
	})
}
