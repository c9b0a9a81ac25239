// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"version"}, &out); err != nil || out.String() != "edge dev\n" {
		t.Errorf("version: %q, %v", &out, err)
	}
}

func TestHealthcheck(t *testing.T) {
	ready := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !ready {
			http.Error(w, "draining", http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	args := []string{"healthcheck", "--admin-listen", s.Listener.Addr().String()}
	if err := run(t.Context(), args, nil); err != nil {
		t.Errorf("a ready edge: %v", err)
	}
	ready = false
	if err := run(t.Context(), args, nil); err == nil || !strings.Contains(err.Error(), "draining") {
		t.Errorf("an edge that is not ready: %v", err)
	}
}

func TestServe(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	flags := []string{
		"--data", filepath.Join(t.TempDir(), "edge"), "--etcd-endpoints", "127.0.0.1:1,127.0.0.1:2",
		"--http-listen", "127.0.0.1:0", "--https-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--grpc-listen", "127.0.0.1:0", "--access-log", "off",
		"--trusted-trace-networks", "10.0.0.0/8,2001:db8::/32", "--log-level", "error",
	}
	if err := run(ended, flags, nil); err != nil {
		t.Errorf("a start and a stop: %v", err)
	}
	for _, bad := range [][]string{{"--cache-bytes", "1"}, {"--grpc-listen", "nowhere"}, {"--tls-cert", "alone"}, {"--brand", "x"}, {"--trusted-trace-networks", "x"}, {"--unknown"}} {
		if err := run(ended, append(flags, bad...), nil); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(bad[0], "--")) {
			t.Errorf("flags %v: %v", bad, err)
		}
	}
}
