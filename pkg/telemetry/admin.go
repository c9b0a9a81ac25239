// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bounds of the admin server. Whoever reaches it is an operator or a machine of
// theirs, but a forgotten connection must not stay for ever.
const (
	adminHeadTimeout  = 5 * time.Second
	adminReadTimeout  = 10 * time.Second
	adminWriteTimeout = 2 * time.Minute // bounds the length of a profile
	adminIdleTimeout  = time.Minute
	adminMaxHead      = 16 << 10
	adminGrace        = 2 * time.Second
)

// AdminMux has the pages that each process offers on its metrics port: /metrics,
// /healthz (200 while the process answers at all), /readyz (200 while ready returns
// nil, else 503 with its text) and /debug/pprof/. The caller may add pages. The port
// must not be reachable for strangers.
func (t *Telemetry) AdminMux(ready func() error) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a prober that left needs no answer
}

// ServeAdmin answers on l with pages, usually those of AdminMux, until ctx ends. Then
// it gives running answers a moment, cuts them and returns nil. It closes l.
func (t *Telemetry) ServeAdmin(ctx context.Context, l net.Listener, pages http.Handler) error {
	srv := &http.Server{
		Handler:           pages,
		ReadHeaderTimeout: adminHeadTimeout,
		ReadTimeout:       adminReadTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       adminIdleTimeout,
		MaxHeaderBytes:    adminMaxHead,
		ErrorLog:          slog.NewLogLogger(t.Log.Handler(), slog.LevelWarn),
	}
	g, ended := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve admin pages on %s: %w", l.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-ended.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ended), adminGrace)
		defer cancel()
		if err := srv.Shutdown(grace); err != nil {
			return srv.Close() // somebody takes a profile; the process ends all the same
		}
		return nil
	})
	return g.Wait()
}
