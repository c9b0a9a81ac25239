// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge"
)

// TestPort calls an edge that has no etcd, with the token of a reader and without one.
func TestPort(t *testing.T) {
	const free, token = "127.0.0.1:0", "0123456789abcdef"
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "seafront-edge", LogTo: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("reader alice "+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := api{GRPCListen: free, Access: program.Access{TokenFile: tokens}}.open(tel, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer port.close()
	e, err := edge.New(edge.Config{
		ID: "e1", DataDir: t.TempDir(), EtcdEndpoints: []string{"127.0.0.1:1"}, Telemetry: tel, AccessLog: "off",
		HTTPListen: free, HTTPSListen: free, AdminListen: free,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- port.run(ctx, tel, e) }()

	call := func(token string) (*edgev1.InspectRequestResponse, error) {
		conn, err := rpc.Dial(port.listener.Addr().String(), rpc.ClientConfig{Token: func() string { return token }})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return edgev1.NewCacheServiceClient(conn).InspectRequest(t.Context(), &edgev1.InspectRequestRequest{Url: "http://h/"})
	}
	if res, err := call(token); err != nil || !strings.Contains(res.GetInspection().GetEnds(), "no configuration") {
		t.Errorf("a reader: %v, %v", res, err)
	}
	if _, err := call("another-token-of-nobody"); status.Code(err) != codes.Unauthenticated {
		t.Errorf("somebody: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestPortThatOthersReach(t *testing.T) {
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "seafront-edge", LogTo: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (api{GRPCListen: "0.0.0.0:0"}).open(tel, io.Discard); err == nil || !strings.Contains(err.Error(), "--tls-cert") {
		t.Errorf("a port without TLS and callers: %v", err)
	}
	if o, err := (api{}).open(tel, io.Discard); err != nil || o.listener != nil {
		t.Errorf("no port: %v", err)
	}
}
