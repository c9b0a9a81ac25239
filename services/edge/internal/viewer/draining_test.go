// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// A draining edge cuts nobody: it answers, and ends the connection with the answer.
func TestDrainingEndsConnectionsWithTheirAnswers(t *testing.T) {
	var draining atomic.Bool
	s := serve(t, answer(exchange.Answer{Status: 200, Body: exchange.Bytes([]byte("hello"))}), func(c *Config) { c.Draining = draining.Load })
	for _, tt := range []struct{ name, url, proto string }{
		{"HTTP/1.1", "http://x.cdn.test/", "HTTP/1.1"},
		{"design 3.15: HTTP/2 by GOAWAY", "https://x.cdn.test/", "HTTP/2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			draining.Store(false)
			client := s.client(t)
			get := func() (reused bool) {
				t.Helper()
				req, err := http.NewRequest(http.MethodGet, tt.url, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
				res, err := client.Do(req.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if body, err := io.ReadAll(res.Body); err != nil || string(body) != "hello" || res.Proto != tt.proto {
					t.Errorf("%s %q %v", res.Proto, body, err)
				}
				return reused
			}
			get()
			if !get() {
				t.Error("the connection was not kept before")
			}
			draining.Store(true)
			if !get() {
				t.Error("an idle connection was cut")
			}
			for range 3 {
				if get() {
					t.Error("the connection was kept")
				}
			}
		})
	}
}
