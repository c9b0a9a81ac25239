// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange/exchangetest"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// gate is an origin body that gives what it is sent, piece by piece.
type gate struct {
	pieces chan string
	rest   string
	ctx    context.Context // of the origin request; it ends the body, as in life
}

func newGate() *gate { return &gate{pieces: make(chan string)} }

func (g *gate) Read(p []byte) (int, error) {
	for g.rest == "" {
		select {
		case s, ok := <-g.pieces:
			if !ok {
				return 0, io.EOF
			}
			g.rest = s
		case <-g.ctx.Done():
			return 0, g.ctx.Err()
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// crowd is a number of viewers that ask at the same time.
type crowd struct {
	wg      sync.WaitGroup
	viewers []*watcher
}

// watcher is a viewer that shows what it has so far.
type watcher struct {
	exchangetest.Silent
	got
	mu     sync.Mutex
	so     strings.Builder
	cancel context.CancelFunc
}

func (w *watcher) far() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.so.String()
}

// Send reads the body piece by piece.
func (w *watcher) Send(ctx context.Context, a *exchange.Answer) (int64, error) {
	w.sends++
	w.status, w.header = a.Status, exchangetest.Header(a)
	add := func(b []byte) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.so.Write(b)
	}
	var n int64
	n, w.err = exchangetest.Read(ctx, a.Body, add)
	return n, w.err
}

// start lets n viewers ask for a target.
func start(e *edge, n int, target string, pairs ...string) *crowd {
	c := &crowd{}
	for range n {
		w := &watcher{}
		ctx, cancel := context.WithCancel(e.t.Context())
		w.cancel = cancel
		c.viewers = append(c.viewers, w)
		c.wg.Go(func() {
			defer cancel()
			e.Serve(ctx, ask(target, pairs...), w)
		})
	}
	return c
}

// results counts the words of X-Cache.
func (c *crowd) results() map[string]int {
	out := map[string]int{}
	for _, w := range c.viewers {
		out[w.xcache()]++
	}
	return out
}

func TestThousandMissesAreOneOriginRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		body := strings.Repeat("0123456789abcdef", 1<<14)
		e.origin.set(func(*origin.Request) page {
			time.Sleep(time.Second)
			return text(200, body)
		})
		c := start(e, 1000, "/")
		c.wg.Wait()
		if n := len(e.origin.requests()); n != 1 {
			t.Errorf("D14.8: %d origin requests for 1000 viewers", n)
		}
		for i, w := range c.viewers {
			if w.far() != body || w.status != 200 || w.err != nil {
				t.Fatalf("viewer %d: %d, %d bytes, %v", i, w.status, len(w.far()), w.err)
			}
		}
		if r := c.results(); r["Miss"] != 1 || r["Hit"] != 999 {
			t.Errorf("D14.8: results %v", r)
		}
		for _, w := range c.viewers {
			if has := w.header.Has("Age"); has != (w.xcache() == "Hit") {
				t.Errorf("D13.14: Age of a %s: %v", w.xcache(), has)
			}
		}
	})
}

func TestGatedOriginFeedsAllViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		body := newGate()
		e.origin.says(page{status: 200, body: body, length: 30})
		c := start(e, 40, "/")
		want := ""
		for n := range 30 {
			body.pieces <- string(rune('a' + n%26))
			want += string(rune('a' + n%26))
			synctest.Wait()
			for i, w := range c.viewers {
				if w.far() != want {
					t.Fatalf("D14.12: viewer %d has %q of %q", i, w.far(), want)
				}
			}
		}
		late := start(e, 1, "/")
		synctest.Wait()
		if late.viewers[0].far() != want {
			t.Errorf("D14.12: who came later has %q", late.viewers[0].far())
		}
		close(body.pieces)
		c.wg.Wait()
		late.wg.Wait()
		if n := len(e.origin.requests()); n != 1 {
			t.Errorf("D14.8: %d origin requests", n)
		}
		e.want("stored", e.get("/"), 200, "Hit", want, 0)
	})
}

func TestLeaderLeavesAndTheFillCompletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		body := newGate()
		e.origin.says(page{status: 200, body: body, length: 1 << 22})
		leader := start(e, 1, "/")
		synctest.Wait()
		waiter := start(e, 1, "/")
		body.pieces <- "one"
		synctest.Wait()
		leader.viewers[0].cancel()
		leader.wg.Wait()
		body.pieces <- "two"
		synctest.Wait()
		if got := waiter.viewers[0].far(); got != "onetwo" {
			t.Errorf("D14.12: %q", got)
		}
		body.pieces <- strings.Repeat("x", 1<<22-6)
		close(body.pieces)
		waiter.wg.Wait()
		if waiter.viewers[0].err != nil || len(e.origin.requests()) != 1 {
			t.Errorf("D14.12: %v", waiter.viewers[0].err)
		}
	})
}

func TestEverybodyLeaves(t *testing.T) {
	for _, tt := range []struct {
		name   string
		length int64
		stored bool
	}{
		{"D14.14: little is missing", 1 << 19, true},
		{"D14.14: most is missing", 1 << 22, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEdge(t, options{})
				body := newGate()
				e.origin.says(page{status: 200, body: body, length: tt.length})
				c := start(e, 2, "/")
				body.pieces <- "x"
				synctest.Wait()
				for _, w := range c.viewers {
					w.cancel()
				}
				c.wg.Wait()
				synctest.Wait()
				if got := e.fills.Stats().Fills == 1; got != tt.stored {
					t.Errorf("goes on: %v, want %v", got, tt.stored)
				}
				if tt.stored {
					body.pieces <- strings.Repeat("x", int(tt.length)-1)
					close(body.pieces)
				}
				synctest.Wait()
				if _, got := e.Store.Peek(keyOf(e, "/")); got != tt.stored {
					t.Errorf("stored: %v, want %v", got, tt.stored)
				}
				if s := e.fills.Stats(); s.Fills != 0 || s.Bytes != 0 {
					t.Errorf("left over: %+v", s)
				}
			})
		})
	}
}

func TestUnsharedAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy *configv1.CachePolicy
		answer page
		first  int // origin requests of ten viewers at once
		again  int // and of ten more
	}{
		{"D14.10: private", policyOf(0, hour, hour), text(200, "x", "Cache-Control", "private"), 10, 10},
		{"D14.10: no-cache", policyOf(0, hour, hour), text(200, "x", "Cache-Control", "no-cache"), 10, 10},
		{"D14.10: max-age=0", policyOf(0, hour, hour), text(200, "x", "Cache-Control", "max-age=0"), 10, 10},
		{"D14.11: no-cache with MinTTL", policyOf(minute, hour, hour), text(200, "x", "Cache-Control", "no-cache"), 1, 0},
		{"D14.9: caching off", policyOf(0, 0, 0), text(200, "x"), 10, 10},
		{"an error that is not stored is shared", policyOf(0, hour, hour), text(429, "x"), 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEdge(t, options{policy: tt.policy})
				most, under := 0, 0
				var mu sync.Mutex
				e.origin.set(func(*origin.Request) page {
					mu.Lock()
					under++
					most = max(most, under)
					mu.Unlock()
					time.Sleep(time.Second)
					mu.Lock()
					under--
					mu.Unlock()
					return tt.answer
				})
				for i, want := range []int{tt.first, tt.again} {
					c := start(e, 10, "/")
					c.wg.Wait()
					if n := len(e.origin.requests()); n != want {
						t.Errorf("round %d: %d origin requests, want %d", i, n, want)
					}
				}
				if tt.again == 10 && most != 10 {
					t.Errorf("design 3.9: only %d at a time: the viewers line up", most)
				}
			})
		})
	}
}

func TestCookiesForwardedDoNotCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := policyOf(0, hour, hour)
		policy.Cookies = items(configv1.ItemSelection_MODE_ALL)
		e := newEdge(t, options{policy: policy})
		e.origin.set(func(*origin.Request) page {
			time.Sleep(time.Second)
			return text(200, "x")
		})
		start(e, 5, "/").wg.Wait()
		if n := len(e.origin.requests()); n != 5 {
			t.Errorf("D14.9: %d origin requests for 5 viewers", n)
		}
		e.want("stored all the same", e.get("/"), 200, "Hit", "x", 0)
	})
}

func TestOriginFailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.set(func(*origin.Request) page {
			time.Sleep(time.Second)
			return failure(origin.Timeout)
		})
		c := start(e, 20, "/")
		c.wg.Wait()
		if n := len(e.origin.requests()); n != 1 || c.results()["Error"] != 20 {
			t.Errorf("D14.12: %d requests, %v", n, c.results())
		}
		for _, w := range c.viewers {
			if w.status != 504 || !strings.Contains(w.far(), w.header.Get("X-Seafront-Id")) || w.header.Has("Age") {
				t.Errorf("D22.12: %d %v", w.status, w.header)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		broken := &origin.Error{Kind: origin.Truncated, Origin: "web"}
		e.origin.says(page{status: 200, length: 9, body: &breaking{text: "half", err: broken}})
		c := start(e, 20, "/")
		c.wg.Wait()
		for _, w := range c.viewers {
			if w.far() != "half" && w.far() != "" || !errors.Is(w.err, broken) {
				t.Errorf("D17.12: %q, %v", w.far(), w.err)
			}
		}
	})
}

func TestRevalidationIsCollapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.says(text(200, "one", "Cache-Control", "max-age=60", "ETag", `"1"`))
		e.get("/")
		time.Sleep(2 * minute)
		e.origin.requests()
		e.origin.set(func(*origin.Request) page {
			time.Sleep(time.Second)
			return text(304, "")
		})
		c := start(e, 30, "/")
		c.wg.Wait()
		if n := len(e.origin.requests()); n != 1 || c.results()["RefreshHit"] != 1 || c.results()["Hit"] != 29 {
			t.Errorf("D14.6, D14.8: %d requests, %v", n, c.results())
		}
		time.Sleep(2 * minute)
		e.origin.set(func(*origin.Request) page {
			time.Sleep(time.Second)
			return text(500, "")
		})
		c = start(e, 30, "/")
		c.wg.Wait()
		for _, w := range c.viewers {
			if w.status != 200 || w.far() != "one" {
				t.Errorf("D13.21: %d %q", w.status, w.far())
			}
		}
		if n := len(e.origin.requests()); n != 1 {
			t.Errorf("D13.21: %d requests", n)
		}
	})
}

func TestWaiterGoesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := siteOf(80)
		o := site.Config.Origins[0]
		o.ConnectionAttempts, o.ConnectTimeout, o.ReadTimeout = ptr(int32(1)), seconds(1), seconds(4)
		e := newEdge(t, options{site: site})
		first := true
		hang := make(chan struct{})
		var mu sync.Mutex
		e.origin.set(func(*origin.Request) page {
			mu.Lock()
			leading := first
			first = false
			mu.Unlock()
			if leading {
				<-hang
			}
			return text(200, "x")
		})
		leader := start(e, 1, "/")
		synctest.Wait()
		began := time.Now()
		waiter := start(e, 1, "/")
		waiter.wg.Wait()
		if d := time.Since(began); d != 5*time.Second || waiter.viewers[0].status != 200 {
			t.Errorf("D14.13: %d after %v", waiter.viewers[0].status, d)
		}
		close(hang)
		leader.wg.Wait()
	})
}

func TestMemoryIsBoundedWithAStoppedViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window, size = 1 << 20, 32 << 20
		e := newEdge(t, options{bytes: 16 << 20, change: func(c *Config) { c.FillWindow = window }})
		e.origin.set(func(*origin.Request) page {
			time.Sleep(time.Second) // so that both viewers wait for this answer
			return page{status: 200, body: io.LimitReader(zeros{}, size), length: -1}
		})
		stop := make(chan struct{})
		stopped := &stalled{taken: make(chan struct{}), stop: stop}
		var wg sync.WaitGroup
		wg.Go(func() { e.Serve(t.Context(), ask("/"), stopped) })
		synctest.Wait()
		most := int64(0)
		counted := &counting{after: stopped.taken, each: func() { most = max(most, e.fills.Stats().Bytes) }}
		e.Serve(t.Context(), ask("/"), counted)
		if bound := e.Store.MaxInline() + window; counted.n != size || most > bound {
			t.Errorf("design 3.9: %d bytes sent, up to %d held, bound %d", counted.n, most, bound)
		}
		close(stop)
		wg.Wait()
		if stopped.err == nil {
			t.Error("design 3.9: the stopped viewer was not cut")
		}
		if s := e.fills.Stats(); s.Bytes != 0 {
			t.Errorf("left over: %+v", s)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// stalled is a viewer that takes one piece and stops.
type stalled struct {
	exchangetest.Silent
	taken, stop chan struct{}
	err         error
}

func (s *stalled) Send(ctx context.Context, a *exchange.Answer) (int64, error) {
	defer a.Body.Stream.Close()
	_, s.err = a.Body.Stream.Next(ctx)
	close(s.taken)
	<-s.stop
	_, s.err = a.Body.Stream.Next(ctx)
	return 0, s.err
}

// counting is a viewer that throws away what it gets.
type counting struct {
	exchangetest.Silent
	after chan struct{}
	n     int64
	each  func()
}

func (c *counting) Send(ctx context.Context, a *exchange.Answer) (int64, error) {
	<-c.after
	defer a.Body.Stream.Close()
	for {
		b, err := a.Body.Stream.Next(ctx)
		if err == io.EOF {
			return c.n, nil
		}
		if err != nil {
			return c.n, err
		}
		c.n += b.Size()
		c.each()
	}
}

func TestNoRoomForAnotherFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{change: func(c *Config) { c.MaxFillBytes = 64 << 10 }})
		e.origin.says(text(200, "stale", "Cache-Control", "max-age=60"))
		e.get("/old")
		time.Sleep(2 * minute)
		body := newGate()
		e.origin.says(page{status: 200, body: body, length: 10})
		c := start(e, 1, "/a")
		synctest.Wait()
		e.origin.requests()
		g := e.get("/b")
		if g.status != 503 || g.header.Get("X-Cache") != "CapacityExceeded from seafront" {
			t.Errorf("design 3.9: %d %q", g.status, g.header.Get("X-Cache"))
		}
		e.want("design 3.9: or stale", e.get("/old"), 200, "Hit", "stale", 0)
		body.pieces <- "0123456789"
		close(body.pieces)
		c.wg.Wait()
	})
}

func TestViewerLeavesBeforeTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		hang := make(chan struct{})
		e.origin.set(func(*origin.Request) page { <-hang; return text(200, "x") })
		c := start(e, 1, "/")
		synctest.Wait()
		c.viewers[0].cancel()
		c.wg.Wait()
		if c.viewers[0].sends != 1 {
			t.Errorf("answered %d times", c.viewers[0].sends)
		}
		close(hang)
		synctest.Wait()
		if s := e.Store.Stats().Memory; s.Records != 0 {
			t.Error("D14.14: stored for nobody")
		}
	})
}
