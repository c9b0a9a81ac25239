// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// Each phase has its end, and not before.
func TestTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name    string
		said    []string // a second between them
		answers int
		want    time.Duration // from the last word to the end
	}{
		{"D22.9: nothing is said", nil, 0, DefaultIdleTimeout},
		{"D22.9: after an answer", []string{get}, 1, DefaultIdleTimeout},
		{"D22.9: a while later", []string{get, get, get, get}, 4, DefaultIdleTimeout},
		{"a head without end", []string{"GET / HTTP/1.1\r\n"}, 1, DefaultHeaderTimeout},
		{"a head byte by byte", strings.Split("GET / HTTP/1.1\r\nA: ", ""), 1, 0},
		{"a head without end, after an answer", []string{get, "GET / HT"}, 2, DefaultHeaderTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, over := pipe(t, answers(exchange.Answer{Status: 204}))
				got := make(chan string)
				go func() {
					b, _ := io.ReadAll(c)
					got <- string(b)
				}()
				last := time.Now()
				for _, word := range tt.said {
					time.Sleep(time.Second)
					if _, err := io.WriteString(c, word); err != nil {
						break // cut in the middle
					}
					last = time.Now()
				}
				<-over
				took := time.Since(last)
				if tt.want == 0 {
					if took > 2*time.Second {
						t.Errorf("ended %v after the last word", took)
					}
				} else if took != tt.want {
					t.Errorf("ended after %v, want %v", took, tt.want)
				}
				if n := strings.Count(<-got, "HTTP/1.1 "); n != tt.answers {
					t.Errorf("%d answers, want %d", n, tt.answers)
				}
			})
		})
	}
}

// A busy connection lives on.
func TestBusyConnectionsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, over := pipe(t, answers(exchange.Answer{Status: 204}))
		r := bufio.NewReader(c)
		for range 100 {
			time.Sleep(DefaultIdleTimeout - time.Second)
			say(t, c, get[:10])
			time.Sleep(DefaultHeaderTimeout - time.Second)
			say(t, c, get[10:])
			hear(t, r, "HTTP/1.1 204 No Content\r\n\r\n")
		}
		_ = c.Close()
		<-over
	})
}

// waiting is a handler that waits as one for an origin does.
type waiting struct {
	entered chan struct{}
	proceed chan struct{}
	ended   chan error // why the context ended; nil if it did not
}

func newWaiting() *waiting {
	const many = 200
	return &waiting{make(chan struct{}, many), make(chan struct{}, many), make(chan error, many)}
}

func (w *waiting) Serve(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	ctx, stop := to.Watch(ctx)
	w.entered <- struct{}{}
	select {
	case <-w.proceed:
		w.ended <- nil
	case <-ctx.Done():
		w.ended <- context.Cause(ctx)
	}
	stop()
	_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Bytes([]byte(req.Target))})
}

func TestWatch(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		t.Run("a viewer that leaves", func(t *testing.T) {
			w := newWaiting()
			c, _ := listen(t, secure, w.Serve, func(c *Config) { c.LeaveGrace = time.Millisecond }).dial(t)
			say(t, c, get)
			<-w.entered
			_ = c.Close()
			if err := <-w.ended; !errors.Is(err, errLeft) {
				t.Errorf("the wait ends with %v", err)
			}
		})
		t.Run("a viewer that breaks off", func(t *testing.T) {
			w := newWaiting()
			c, _ := listen(t, secure, w.Serve, func(c *Config) { c.LeaveGrace = patience }).dial(t)
			say(t, c, get)
			<-w.entered
			reset(bottomOf(c))
			_ = bottomOf(c).Close()
			if err := <-w.ended; !errors.Is(err, errLeft) {
				t.Errorf("the wait ends with %v", err)
			}
		})
		t.Run("a viewer that has said all", func(t *testing.T) {
			w := newWaiting()
			c, r := listen(t, secure, w.Serve, func(c *Config) { c.LeaveGrace = patience }).dial(t)
			say(t, c, get)
			<-w.entered
			if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			w.proceed <- struct{}{}
			if got, err := readAnswer(r); err != nil || string(got) != "/" {
				t.Errorf("RFC 9112 §9.6: answer %q, %v", got, err)
			}
			if err := <-w.ended; err != nil {
				t.Error(err)
			}
			if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
		})
		t.Run("a viewer that says more", func(t *testing.T) {
			w := newWaiting()
			c, r := listen(t, secure, w.Serve).dial(t)
			more := strings.Repeat("GET /"+strings.Repeat("a", 100)+" HTTP/1.1\r\nHost: h\r\n\r\n", 100)
			say(t, c, get)
			<-w.entered
			say(t, c, more)
			for range 101 {
				w.proceed <- struct{}{}
				if _, err := readAnswer(r); err != nil {
					t.Fatal(err)
				}
				if err := <-w.ended; err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

func TestHalfCloseHasAGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiting()
		s := newServer(t, w.Serve)
		over := make(chan struct{})
		begun := time.Now()
		go func() {
			defer close(over)
			s.ServeConn(t.Context(), &script{in: [][]byte{[]byte(get)}}, exchange.Peer{})
		}()
		if err := <-w.ended; !errors.Is(err, errLeft) || time.Since(begun) != lookOutAfter+DefaultLeaveGrace {
			t.Errorf("the wait ends with %v after %v", err, time.Since(begun))
		}
		<-over
	})
}

// Who has the body still to come is watched when it is there, and by whoever reads it
// before.
func TestWatchBehindABody(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		for _, whole := range []bool{true, false} {
			cause := make(chan error, 1)
			entered := make(chan struct{})
			s := listen(t, secure, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
				ctx, stop := to.Watch(ctx)
				defer stop()
				close(entered)
				_, _ = io.ReadAll(req.Body)
				<-ctx.Done()
				cause <- context.Cause(ctx)
			}, func(c *Config) { c.LeaveGrace = time.Millisecond })
			c, _ := s.dial(t)
			say(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabc")
			<-entered
			if whole {
				say(t, c, "d")
			}
			_ = c.Close()
			if err := <-cause; err == nil {
				t.Error("the viewer has not left")
			}
		}
	})
}

func TestShutdown(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		w := newWaiting()
		s := listen(t, secure, w.Serve)
		idle, idleReader := s.dial(t)
		say(t, idle, get)
		w.proceed <- struct{}{}
		if _, err := readAnswer(idleReader); err != nil {
			t.Fatal(err)
		}
		<-w.entered
		silent, silentReader := s.dial(t)
		if secure {
			say(t, silent, "") // the handshake
		}
		busy, busyReader := s.dial(t)
		say(t, busy, get)
		<-w.entered
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.server.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
		for _, r := range []io.Reader{idleReader, silentReader} {
			if got, err := io.ReadAll(r); len(got) > 0 || err != nil {
				t.Errorf("an idle connection gets %q, %v", got, err)
			}
		}
		w.proceed <- struct{}{}
		hear(t, busyReader, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n/")
		wg.Wait()
		late, edge := net.Pipe()
		s.server.ServeConn(t.Context(), edge, exchange.Peer{})
		if _, err := late.Read(make([]byte, 1)); err == nil {
			t.Error("a connection after the end is served")
		}
	})
}

// A request that is on its way when the server closes is answered.
func TestLastCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, over := pipe(t, answers(exchange.Answer{Status: 204}))
		synctest.Wait()
		go func() { _ = s.Shutdown(context.Background()) }()
		synctest.Wait()
		time.Sleep(lastCall / 2)
		say(t, c, get)
		hear(t, c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		<-over
	})
}

func TestShutdownCutsAtTheEnd(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		g := make(chan struct{})
		s := listen(t, secure, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
			_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Body{Stream: &stuck{}, Size: -1}})
			close(g)
		})
		c, r := s.dial(t)
		say(t, c, "GET / HTTP/1.0\r\n\r\n")
		hear(t, r, "HTTP/1.1 200 OK\r\n")
		over, end := context.WithCancel(t.Context())
		end()
		if err := s.server.Shutdown(over); err == nil {
			t.Error("no error")
		}
		s.cancel()
		<-g
		if got, err := io.ReadAll(r); err == nil {
			t.Errorf("a cut answer ends in order after %q", got)
		}
	})
}

// stuck is a stream whose origin says nothing.
type stuck struct{}

func (*stuck) Next(ctx context.Context) (exchange.Piece, error) {
	<-ctx.Done()
	return exchange.Piece{}, ctx.Err()
}
func (*stuck) Close() {}
