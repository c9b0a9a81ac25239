// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
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
	if _, err := originv1.NewOriginServiceClient(conn).ListOrigins(t.Context(), &originv1.ListOriginsRequest{}); err != nil {
		t.Errorf("list: %v", err)
	}
	if _, body := get(t, "http://"+at.Metrics+"/metrics"); !strings.Contains(body, "rpc_server") {
		t.Errorf("no figures of calls in /metrics:\n%s", body)
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
		{"--listen=nonsense"}, {"--max-origins=0"}, {"--log-level=loud"}, {"--unknown"}, {"--metrics-listen=127.0.0.1:99999", "--listen=127.0.0.1:0"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// TestServeSafely: a server that others can reach, with a certificate of its own and a
// token.
func TestServeSafely(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	dir := t.TempDir()
	cert, key, tokens := filepath.Join(dir, "cert"), filepath.Join(dir, "key"), filepath.Join(dir, "tokens")
	selfSigned(t, cert, key)
	if err := os.WriteFile(tokens, []byte("reader rita a-token-of-a-reader\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	member := etcdtest.Start(t)
	at, stop := serve(t, "--etcd-endpoints="+member.Endpoint(), "--tls-cert="+cert, "--tls-key="+key, "--token-file="+tokens)
	var out bytes.Buffer
	for run(t.Context(), []string{"healthcheck", "--target=" + at.GRPC, "--tls-cert=" + cert}, &out) != nil {
		if t.Context().Err() != nil {
			t.Fatal("it never became healthy")
		}
	}
	if code, body := get(t, "http://"+at.Metrics+"/readyz"); code != http.StatusOK {
		t.Errorf("readyz: %d %s", code, body)
	}
	encryption, err := rpc.ClientTLS(slog.New(slog.DiscardHandler), rpc.ClientFiles{Authorities: cert})
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]codes.Code{"a-token-of-a-reader": codes.OK, "a-token-of-nobody": codes.Unauthenticated} {
		conn, err := rpc.Dial(at.GRPC, rpc.ClientConfig{TLS: encryption, Token: func() string { return token }})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		api := originv1.NewOriginServiceClient(conn)
		if _, err := api.ListOrigins(t.Context(), &originv1.ListOriginsRequest{}); status.Code(err) != want {
			t.Errorf("%s: %v, want %v", token, err, want)
		}
		if _, err := api.DeleteOrigin(t.Context(), &originv1.DeleteOriginRequest{Name: "origins/a"}); status.Code(err) == codes.NotFound || err == nil {
			t.Errorf("%s deletes: %v", token, err)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

func selfSigned(t *testing.T, cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: raw}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
