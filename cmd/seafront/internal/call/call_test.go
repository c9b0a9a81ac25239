// SPDX-License-Identifier: Apache-2.0

package call

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/seafront-cdn/seafront/pkg/access"
	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/auth"
	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/reload"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is a part that answers with what it was asked for.
type api struct {
	configv1.UnimplementedDistributionServiceServer
}

func (a api) Register(r grpc.ServiceRegistrar) { configv1.RegisterDistributionServiceServer(r, a) }

func (api) Run(ctx context.Context, serving func(bool)) error {
	serving(true)
	<-ctx.Done()
	return ctx.Err()
}

func (api) GetDistribution(_ context.Context, r *configv1.GetDistributionRequest) (*configv1.GetDistributionResponse, error) {
	if r.GetName() == "" {
		return nil, apierr.BadFields([]apierr.Violation{{Field: "name", Reason: "INVALID_NAME", Description: "is empty"}})
	}
	return &configv1.GetDistributionResponse{Distribution: &configv1.Distribution{Name: r.GetName()}}, nil
}

func (api) WatchDeployment(_ *configv1.WatchDeploymentRequest, s grpc.ServerStreamingServer[configv1.WatchDeploymentResponse]) error {
	for range 2 {
		if err := s.Send(&configv1.WatchDeploymentResponse{}); err != nil {
			return err
		}
	}
	return nil
}

// serve answers for who has the token in the data directory that it returns.
func serve(t *testing.T) (target, data string) {
	t.Helper()
	data = t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "token"), []byte(auth.NewToken()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.OpenAdmin(slog.New(slog.DiscardHandler), filepath.Join(data, "token"), "admin")
	if err != nil {
		t.Fatal(err)
	}
	guard, err := auth.New(auth.Config{Tokens: []*reload.Value[*auth.Tokens]{tokens}, Rule: access.Rule})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = rpc.Serve(ctx, rpc.ServerConfig{Guard: guard}, []net.Listener{l}, api{}) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return l.Addr().String(), data
}

func TestCall(t *testing.T) {
	target, data := serve(t)
	elsewhere := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(elsewhere, []byte("a-token-that-nobody-has\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name          string
		c             Config
		in, out, want string // want is in the error; empty for none
	}{
		{"the token is picked up", Config{Method: "DistributionService/GetDistribution", Request: `{"name": "distributions/E1"}`, Data: data}, "", "distributions/E1", ""},
		{"the whole name", Config{Method: "seafront.config.v1.DistributionService/GetDistribution", Request: "-", Data: data}, `{"name": "distributions/E2"}`, "distributions/E2", ""},
		{"a stream", Config{Method: "DistributionService/WatchDeployment", Request: "{}", Data: data}, "", "{}\n{}", ""},
		{"the list", Config{}, "", "seafront.config.v1.DistributionService/GetDistribution\n", ""},
		{"no token", Config{Method: "DistributionService/GetDistribution", Request: "{}", Data: t.TempDir()}, "", "", "Unauthenticated UNAUTHENTICATED_CALLER"},
		{"another token", Config{Method: "DistributionService/GetDistribution", Request: "{}", Data: data, Client: program.Client{TokenFile: elsewhere}}, "", "", "UNAUTHENTICATED_CALLER"},
		{"a bad field", Config{Method: "DistributionService/GetDistribution", Request: "{}", Data: data}, "", "", "InvalidArgument INVALID_NAME: name is empty\n  name: is empty"},
		{"no method", Config{Method: "DistributionService/Nothing", Request: "{}", Data: data}, "", "", "no method"},
		{"half a method", Config{Method: "GetDistribution", Request: "{}", Data: data}, "", "", "not Service/Method"},
		{"another message", Config{Method: "DistributionService/GetDistribution", Request: `{"nome": 1}`, Data: data}, "", "", "no GetDistributionRequest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.Target = target
			var out bytes.Buffer
			err := Run(t.Context(), tt.c, strings.NewReader(tt.in), &out)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if !strings.Contains(out.String(), tt.out) {
				t.Errorf("it prints %q, want %q", &out, tt.out)
			}
		})
	}
}
