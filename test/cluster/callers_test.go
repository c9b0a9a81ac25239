// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package cluster

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
)

func (c *compose) file(elements ...string) string {
	return filepath.Join(append([]string{c.credentials}, elements...)...)
}

// tls trusts the cluster and shows no certificate.
func (c *compose) tls(t *testing.T) credentials.TransportCredentials {
	t.Helper()
	return clientTLS(t, rpc.ClientFiles{Authorities: c.file("operator", "ca.pem")})
}

func clientTLS(t *testing.T, f rpc.ClientFiles) credentials.TransportCredentials {
	t.Helper()
	out, err := rpc.ClientTLS(slog.New(slog.DiscardHandler), f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// token is that of a role.
func (c *compose) token(t *testing.T, role string) func() string {
	t.Helper()
	raw, err := os.ReadFile(c.file("operator", role+".token"))
	if err != nil {
		t.Fatal(err)
	}
	return func() string { return strings.TrimSpace(string(raw)) }
}

// jwt signs a token for a role, with the key of a directory of credentials.
func jwt(t *testing.T, dir, role string, expires time.Time) func() string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "authority", "jwt.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, part := range []map[string]any{
		{"alg": "EdDSA", "kid": "trial"},
		{"iss": "https://issuer.seafront.localhost", "aud": "seafront", "sub": "somebody", "roles": []string{role}, "exp": expires.Unix()},
	} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	signed := strings.Join(parts, ".")
	signed += "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key.(ed25519.PrivateKey), []byte(signed)))
	return func() string { return signed }
}

// strangers call config and origin-registry in every wrong way, and in the right ones.
func (c *cluster) strangers(t *testing.T) {
	other, soon, ago := c.foreign, time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	trusting, secure := c.file("operator", "ca.pem"), c.tls(t)
	certificate := func(dir, who string) credentials.TransportCredentials {
		return clientTLS(t, rpc.ClientFiles{Authorities: trusting, Cert: filepath.Join(dir, who, "cert.pem"), Key: filepath.Join(dir, who, "key.pem")})
	}
	const unknown, forbidden = "UNAUTHENTICATED_CALLER", "ACCESS_DENIED"
	for i, tt := range []struct {
		name   string
		cfg    rpc.ClientConfig
		write  bool
		code   codes.Code
		reason string
	}{
		{"nobody", rpc.ClientConfig{TLS: secure}, false, codes.Unauthenticated, unknown},
		{"wrong token", rpc.ClientConfig{TLS: secure, Token: func() string { return "0123456789abcdef0123456789abcdef" }}, false, codes.Unauthenticated, unknown},
		{"the token of another cluster", rpc.ClientConfig{TLS: secure, Token: (&compose{credentials: other}).token(t, "admin")}, false, codes.Unauthenticated, unknown},
		{"reader reads", rpc.ClientConfig{TLS: secure, Token: c.token(t, "reader")}, false, codes.OK, ""},
		{"wrong role", rpc.ClientConfig{TLS: secure, Token: c.token(t, "reader")}, true, codes.PermissionDenied, forbidden},
		{"operator writes", rpc.ClientConfig{TLS: secure, Token: c.token(t, "operator")}, true, codes.OK, ""},
		{"JWT", rpc.ClientConfig{TLS: secure, Token: jwt(t, c.credentials, "operator", soon)}, true, codes.OK, ""},
		{"JWT of the wrong role", rpc.ClientConfig{TLS: secure, Token: jwt(t, c.credentials, "reader", soon)}, true, codes.PermissionDenied, forbidden},
		{"expired JWT", rpc.ClientConfig{TLS: secure, Token: jwt(t, c.credentials, "admin", ago)}, false, codes.Unauthenticated, unknown},
		{"JWT of another signer", rpc.ClientConfig{TLS: secure, Token: jwt(t, other, "admin", soon)}, false, codes.Unauthenticated, unknown},
		{"certificate", rpc.ClientConfig{TLS: certificate(c.credentials, "operator")}, true, codes.OK, ""},
		{"certificate of config", rpc.ClientConfig{TLS: certificate(c.credentials, "config")}, true, codes.PermissionDenied, forbidden},
		{"certificate of an edge", rpc.ClientConfig{TLS: certificate(c.credentials, "edge-1")}, false, codes.PermissionDenied, forbidden},
		{"certificate of a foreign CA", rpc.ClientConfig{TLS: certificate(other, "operator")}, false, codes.Unauthenticated, unknown},
		{"trusts a foreign CA", rpc.ClientConfig{TLS: clientTLS(t, rpc.ClientFiles{Authorities: filepath.Join(other, "operator", "ca.pem")}), Token: c.token(t, "admin")}, false, codes.Unavailable, ""},
		{"no TLS", rpc.ClientConfig{}, false, codes.Unavailable, ""},
	} {
		for _, service := range []string{"config-1", "origin-registry-1"} {
			api := control.DialWith(t, c.address(t, service, "7400"), tt.cfg)
			err := ask(t, api, service, fmt.Sprintf("stranger-%d", i), tt.write)
			reason := apierr.Reason(status.Convert(err))
			if status.Code(err) != tt.code || reason != tt.reason {
				t.Errorf("%s at %s: %v, reason %q; want %v, %q", tt.name, service, err, reason, tt.code, tt.reason)
			}
		}
	}
}

// ask reads, or writes something of that id.
func ask(t *testing.T, api *control.Client, service, id string, write bool) error {
	t.Helper()
	var err error
	switch origin := strings.HasPrefix(service, "origin-registry"); {
	case origin && write:
		_, err = api.Origins.CreateOrigin(t.Context(), &originv1.CreateOriginRequest{
			OriginId: id, Origin: &originv1.Origin{Endpoint: control.Server("sample", 7490)},
		})
	case origin:
		_, err = api.Origins.ListOrigins(t.Context(), &originv1.ListOriginsRequest{})
	case write:
		site := control.Site(&configv1.Origin{Id: "site", Source: &configv1.Origin_Endpoint{Endpoint: control.Server("sample", 7490)}})
		_, err = api.Distributions.CreateDistribution(t.Context(), &configv1.CreateDistributionRequest{
			Distribution: &configv1.Distribution{CallerReference: id, Config: site},
		})
	default:
		_, err = api.Distributions.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{})
	}
	return err
}

// etcdctlAs runs etcdctl in the network of the members, with the credentials of a
// directory. docker-compose run would lose what ends at once.
func (c *compose) etcdctlAs(dir string, args ...string) (string, error) {
	return c.etcdctlWith(dir, c.file("operator"), args...)
}

func (c *compose) etcdctlWith(dir, authority string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	// Files of a person can be read by nobody else but root.
	command := []string{
		"run", "--rm", "--user", "0", "--network", c.project + "_control", "--volume", dir + ":/own:ro", "--volume", authority + ":/trusted:ro",
		"--entrypoint", "/usr/local/bin/etcdctl", cmp.Or(os.Getenv("ETCD_IMAGE"), "seafront/etcd:dev"),
		"--endpoints", "etcd-1:2379,etcd-2:2379,etcd-3:2379", "--command-timeout", "10s",
		"--cacert", "/trusted/ca.pem", "--cert", "/own/cert.pem", "--key", "/own/key.pem",
	}
	out, err := exec.CommandContext(ctx, "docker", append(command, args...)...).CombinedOutput()
	return string(out), err
}

// etcdUsers has parts try what they may not, and strangers anything at all.
func (c *cluster) etcdUsers(t *testing.T) {
	const resource = "/seafront/v1/r/distributions/stranger"
	for _, tt := range []struct {
		part string
		args []string
		want string // "" when it may
	}{
		{"edge-1", []string{"get", "/seafront/v1/r/", "--prefix", "--limit", "1"}, ""},
		{"edge-1", []string{"put", resource, "x"}, "permission denied"},
		{"edge-1", []string{"put", "/seafront/v1/s/edges/edge-2", "x"}, "permission denied"},
		{"edge-1", []string{"user", "list"}, "permission denied"},
		{"config", []string{"put", "/seafront/v1/r/origins/stranger", "x"}, "permission denied"},
		{"origin-registry", []string{"put", resource, "x"}, "permission denied"},
		{"operator", []string{"get", resource}, "permission denied"},
	} {
		out, err := c.etcdctlAs(c.file(tt.part), tt.args...)
		if (err == nil) != (tt.want == "") || !strings.Contains(out, tt.want) {
			t.Errorf("%s does %s: %v, want %q\n%s", tt.part, strings.Join(tt.args, " "), err, tt.want, out)
		}
	}
	own, other := c.file("root"), filepath.Join(c.foreign, "root")
	for name, dirs := range map[string][2]string{
		"a certificate of a foreign CA": {other, own}, "trust in a foreign CA": {own, other},
	} {
		if out, err := c.etcdctlWith(dirs[0], dirs[1], "--command-timeout", "2s", "get", resource); err == nil || strings.Contains(out, "permission denied") {
			t.Errorf("%s: %v, want no connection\n%s", name, err, out)
		}
	}
}
