// SPDX-License-Identifier: Apache-2.0

package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/telemetry"
)

// get asks for a page and returns status and body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestAdminPages(t *testing.T) {
	clean(t)
	tel := start(t, telemetry.Config{Service: "edge"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var ready atomic.Bool
	pages := tel.AdminMux(func() error {
		if !ready.Load() {
			return errors.New("no configuration is loaded")
		}
		return nil
	})
	pages.HandleFunc("GET /debug/config", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "revision 7") })
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error { return tel.ServeAdmin(ctx, l, pages) })

	at := "http://" + l.Addr().String()
	for _, tt := range []struct {
		path  string
		ready bool
		code  int
		want  string
	}{
		{"/healthz", false, http.StatusOK, "ok"},
		{"/readyz", false, http.StatusServiceUnavailable, "no configuration is loaded"},
		{"/readyz", true, http.StatusOK, "ok"},
		{"/metrics", true, http.StatusOK, "go_goroutines"},
		{"/debug/pprof/", true, http.StatusOK, "goroutine"},
		{"/debug/pprof/goroutine?debug=1", true, http.StatusOK, "goroutine profile"},
		{"/debug/pprof/cmdline", true, http.StatusOK, ""},
		{"/debug/config", true, http.StatusOK, "revision 7"},
		{"/", true, http.StatusNotFound, ""},
	} {
		ready.Store(tt.ready)
		code, body := get(t, at+tt.path)
		if code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("GET %s = %d %q, want %d with %q", tt.path, code, body, tt.code, tt.want)
		}
	}
	cancel()
	if err := g.Wait(); err != nil {
		t.Errorf("ServeAdmin: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is open after the end")
	}
}

func TestAdminEndsWithARequestOpen(t *testing.T) {
	clean(t)
	tel := start(t, telemetry.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pages := http.NewServeMux()
	pages.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		cancel() // the process is told to end while this answer is made
		<-r.Context().Done()
	})
	var g errgroup.Group
	g.Go(func() error { return tel.ServeAdmin(ctx, l, pages) })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := g.Wait(); err != nil {
		t.Errorf("ServeAdmin: %v", err)
	}
}

func TestAdminListenerThatFails(t *testing.T) {
	clean(t)
	tel := start(t, telemetry.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := tel.ServeAdmin(t.Context(), l, http.NewServeMux()); err == nil || !strings.Contains(err.Error(), "serve admin pages") {
		t.Errorf("ServeAdmin = %v, want the failure of the listener", err)
	}
}
