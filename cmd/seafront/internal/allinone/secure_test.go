// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestTokenIsWanted(t *testing.T) {
	c := local(t)
	r := up(t, c, nil)
	list := func(cfg rpc.ClientConfig) error {
		conn, err := rpc.Dial(r.GRPC, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = configv1.NewDistributionServiceClient(conn).ListDistributions(t.Context(), &configv1.ListDistributionsRequest{})
		return err
	}
	for name, cfg := range map[string]rpc.ClientConfig{
		"no token": {}, "a wrong one": {Token: func() string { return "a-token-that-nobody-has" }},
	} {
		got := status.Convert(list(cfg))
		if got.Code() != codes.Unauthenticated || apierr.Reason(got) != apierr.ReasonUnauthenticated {
			t.Errorf("C2.330: %s: %v", name, got)
		}
	}
	if _, err := distributions(t, r).ListDistributions(t.Context(), &configv1.ListDistributionsRequest{}); err != nil {
		t.Errorf("the token of the data directory: %v", err)
	}
	info, err := os.Stat(r.Token)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token file: %v, %v", info, err)
	}
	first, err := os.ReadFile(r.Token)
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	if strings.Contains(r.out.String(), strings.TrimSpace(string(first))) {
		t.Error("the greeting prints the token")
	}
	journal(t, c, string(first))

	second := up(t, c, nil)
	second.stop()
	if again, err := os.ReadFile(second.Token); err != nil || !bytes.Equal(first, again) {
		t.Errorf("after a restart the token is another: %v", err)
	}
}

// journal looks at the audit log of a run: it names who made the sample, who was
// refused and the admin, and no token.
func journal(t *testing.T, c Config, token string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.Data, auditFile))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte(strings.TrimSpace(token))) {
		t.Error("the audit log holds the token")
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(raw) {
		var l struct{ Principal, Role, Authentication, Method, Code string }
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		_, method, _ := strings.Cut(l.Method, "/")
		seen[strings.Join([]string{l.Principal, l.Role, l.Authentication, method, l.Code}, " ")] = true
	}
	for _, want := range []string{
		"setup operator in_process CreateDistribution OK", "config reader in_process ResolveOrigins OK",
		"anonymous none none ListDistributions Unauthenticated", "admin admin token ListDistributions OK",
	} {
		if !seen[want] {
			t.Errorf("the audit log has no %q in %v", want, seen)
		}
	}
}

func TestOthersAreKeptOut(t *testing.T) {
	c := local(t)
	c.GRPCListen = "0.0.0.0:0"
	if err := Run(t.Context(), c, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("gRPC in the open: %v", err)
	}
}

func TestTokenFileThatIsNoToken(t *testing.T) {
	c := local(t)
	if err := os.WriteFile(filepath.Join(c.Data, tokenFile), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tokenFile) {
		t.Errorf("%v", err)
	}
}
