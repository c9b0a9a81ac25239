// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// newRealEdge is an edge before an origin that speaks HTTP.
func newRealEdge(t *testing.T, o options, handler http.Handler) *edge {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newEdgeTo(t, o, server.Listener.Addr())
}

func newEdgeTo(t *testing.T, o options, at net.Addr) *edge {
	t.Helper()
	client := origin.NewClient(origin.Config{})
	t.Cleanup(client.Close)
	o.site, o.origins = siteOf(at.(*net.TCPAddr).Port), client
	return newEdge(t, o)
}

func TestRealOrigin(t *testing.T) {
	var asked atomic.Int64
	body := bytes.Repeat([]byte("0123456789"), 50_000)
	e := newRealEdge(t, options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		switch r.URL.Path {
		case "/file":
			w.Header().Set("ETag", `"v1"`)
			_, _ = w.Write(body)
		case "/always":
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Cache-Control", "max-age=0")
			_, _ = w.Write(body)
		case "/redirect":
			http.Redirect(w, r, "/file", http.StatusMovedPermanently)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		default:
			http.NotFound(w, r)
		}
	}))
	for _, tt := range []struct {
		name, target  string
		status        int
		first, second string
	}{
		{"D17.1: a file", "/file", 200, "Miss", "Hit"},
		{"D17.10: redirects are not followed", "/redirect", 301, "Miss", "Hit"},
		{"D18.1: an error", "/none", 404, "Error", "Error"},
		{"D22.10: no content", "/empty", 204, "Miss", "Hit"},
		{"D13.6: max-age=0 is validated each time", "/always", 200, "Miss", "RefreshHit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, second := e.get(tt.target), e.get(tt.target)
			if first.status != tt.status || first.xcache() != tt.first || first.err != nil {
				t.Errorf("first: %d %q %v", first.status, first.header.Get("X-Cache"), first.err)
			}
			if second.status != tt.status || second.xcache() != tt.second || second.body != first.body {
				t.Errorf("second: %d %q", second.status, second.header.Get("X-Cache"))
			}
			if tt.status == 200 && first.body != string(body) {
				t.Errorf("got %d bytes, want %d", len(first.body), len(body))
			}
			if tt.status == 204 && second.header.Has("Content-Length") {
				t.Errorf("D22.10: %v", second.header)
			}
		})
	}
	asked.Store(0)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			g := &got{}
			e.Serve(t.Context(), ask("/crowd"), g)
			if g.status != 404 {
				t.Errorf("got %d", g.status)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("D14.8: %d origin requests", n)
	}
}

// rawOrigin answers each connection with bytes.
func rawOrigin(t *testing.T, answer string) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				buf := make([]byte, 4096)
				if _, err := c.Read(buf); err != nil {
					return
				}
				_, _ = io.WriteString(c, answer)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr()
}

func TestRawOrigin(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		status       int
		body         string
		broken       bool
		stored       bool
	}{
		{"D17.12: shorter than announced", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 200, "half", true, false},
		{"D17.12: no final chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 200, "half", true, false},
		{"D17.12: close-delimited", "HTTP/1.1 200 OK\r\n\r\nwhole", 200, "whole", false, true},
		{"D17.3: chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n", 200, "whole", false, true},
		{"D17.2: hop-by-hop", "HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nVia: 1.1 x\r\n\r\nwhole", 200, "whole", false, true},
		{"D17.11: 103 is dropped", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", 200, "whole", false, true},
		{"malformed", "HTTP/1.1 200 OK\nX: 1\n\n", 502, "", false, true},
		{"two framings", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, "", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdgeTo(t, options{}, rawOrigin(t, tt.answer))
			g := e.get("/")
			if g.status != tt.status || tt.status == 200 && g.body != tt.body || (g.err != nil) != tt.broken {
				t.Errorf("got %d %q %v", g.status, g.body, g.err)
			}
			if g.header.Has("X-Hop") || g.header.Has("Keep-Alive") || len(g.header.Values("Via")) != 1 {
				t.Errorf("D17.2, D17.4: %v", g.header)
			}
			waitStored(e)
			if stored := e.Store.Stats().Memory.Records == 1; stored != tt.stored {
				t.Errorf("stored: %v, want %v", stored, tt.stored)
			}
		})
	}
}

func TestOriginThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr()
	_ = l.Close()
	e := newEdgeTo(t, options{}, at)
	for range 2 {
		g := e.get("/")
		if g.status != 502 || g.xcache() != "Error" || !strings.Contains(g.body, "valid answer from the origin") {
			t.Errorf("D16.13: %d %q", g.status, g.body)
		}
	}
	if n := strings.Count(e.log.String(), `"origin_error":"connect"`); n != 1 {
		t.Errorf("D18.8: the origin was tried %d times:\n%s", n, e.log)
	}
}

func TestGatedRealOrigin(t *testing.T) {
	next := make(chan struct{})
	e := newRealEdge(t, options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for n := range 10 {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			_, _ = fmt.Fprint(w, n)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	c := start(e, 20, "/")
	want := ""
	for n := range 10 {
		next <- struct{}{}
		want += fmt.Sprint(n)
		for i, w := range c.viewers {
			deadline := time.Now().Add(20 * time.Second)
			for w.far() != want {
				if time.Now().After(deadline) {
					t.Fatalf("D14.12: viewer %d has %q of %q", i, w.far(), want)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	c.wg.Wait()
	for i, w := range c.viewers {
		if w.far() != want || w.err != nil {
			t.Errorf("viewer %d: %q, %v", i, w.far(), w.err)
		}
	}
}
