// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// started is what the first line of the log says.
type started struct{ Msg, GRPC, Metrics string }

// serve runs the program with args until the test stops it.
func serve(t *testing.T, args ...string) (at started, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append(args, "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--log-json"), write)
		_ = write.Close()
	}()
	lines := json.NewDecoder(read)
	for at.GRPC == "" {
		if err := lines.Decode(&at); err != nil {
			t.Fatalf("it ended before it said where it listens: %v, %v", err, <-ended)
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, read)
	}()
	return at, func() error {
		cancel()
		<-drained
		return <-ended
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
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

func TestServe(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	member := etcdtest.Start(t)
	at, stop := serve(t, "--etcd-endpoints="+member.Endpoint())
	var out bytes.Buffer
	for run(t.Context(), []string{"healthcheck", "--target=" + at.GRPC}, &out) != nil {
		if t.Context().Err() != nil {
			t.Fatal("it never became healthy")
		}
	}
	if code, body := get(t, "http://"+at.Metrics+"/readyz"); code != http.StatusOK {
		t.Errorf("readyz: %d %s", code, body)
	}
	conn, err := rpc.Dial(at.GRPC, rpc.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := configv1.NewDistributionServiceClient(conn).ListDistributions(t.Context(), &configv1.ListDistributionsRequest{}); err != nil {
		t.Errorf("list: %v", err)
	}
	if _, body := get(t, "http://"+at.Metrics+"/metrics"); !strings.Contains(body, "seafront_config_distributions 0") || !strings.Contains(body, `seafront_config_edges{state="serving"} 0`) {
		t.Errorf("no figures of config in /metrics:\n%s", body)
	}
	if err := stop(); err != nil {
		t.Errorf("after the end: %v", err)
	}
	if err := run(t.Context(), []string{"healthcheck", "--target=" + at.GRPC}, &out); err == nil {
		t.Error("it is healthy after its end")
	}
}

func TestNotReadyWithoutEtcd(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	member := etcdtest.Start(t)
	member.Stop()
	at, stop := serve(t, "--etcd-endpoints="+member.Endpoint())
	if code, body := get(t, "http://"+at.Metrics+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d %s", code, body)
	}
	if err := stop(); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--listen=nonsense"}, {"--max-distributions=0"}, {"--versions=0"}, {"--versions=101"}, {"--max-aliases=401"}, {"--max-staging-distributions=-1"}, {"--log-level=loud"}, {"--unknown"}, {"--base-domain=UPPER"}, {"--base-domain="},
		{"--metrics-listen=127.0.0.1:99999", "--listen=127.0.0.1:0"}, {"--origin-registry=\x00"},
		{"--listen=0.0.0.0:0"}, {"--listen=0.0.0.0:0", "--token-file=none"}, {"--tls-cert=none"}, {"--tls-client-auth=perhaps"}, {"--registry-cert=none"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"version"}, &out); err != nil || out.String() != "config dev\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
