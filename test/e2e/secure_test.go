// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
)

// papers is a folder with the certificates of one authority.
type papers struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newPapers(t *testing.T, names ...string) *papers {
	t.Helper()
	p := &papers{dir: t.TempDir()}
	p.issue(t, "ca")
	for _, n := range names {
		p.issue(t, n)
	}
	return p
}

// issue makes a certificate; the first one signs the others.
func (p *papers) issue(t *testing.T, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := p.cert, p.key
	if parent == nil {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		parent, signer = c, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.file(t, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
	p.file(t, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	if p.cert == nil {
		p.key = key
		if p.cert, err = x509.ParseCertificate(raw); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *papers) file(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(p.at(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p.at(name)
}

func (p *papers) at(name string) string { return filepath.Join(p.dir, name) }

// dial connects with the certificate of that name and a token; both may be empty.
func (p *papers) dial(t *testing.T, target, name, token string) *grpc.ClientConn {
	t.Helper()
	files := rpc.ClientFiles{Authorities: p.at("ca.pem")}
	if name != "" {
		files.Cert, files.Key = p.at(name+".pem"), p.at(name+".key")
	}
	encryption, err := rpc.ClientTLS(slog.New(slog.DiscardHandler), files)
	if err != nil {
		t.Fatal(err)
	}
	cfg := rpc.ClientConfig{TLS: encryption}
	if token != "" {
		cfg.Token = func() string { return token }
	}
	conn, err := rpc.Dial(target, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestNobodyGetsInWhoShouldNot runs both services with mutual TLS between them: config
// is a reader to origin-registry by its certificate, and its own callers have tokens.
func TestNobodyGetsInWhoShouldNot(t *testing.T) {
	t.Parallel()
	ours, theirs := newPapers(t, "config", "registry", "otto", "stranger"), newPapers(t, "otto")
	roles := ours.file(t, "roles", "reader config\noperator otto\n")
	tokens := ours.file(t, "tokens", "operator olga a-token-of-olga-0001\nreader rita a-token-of-rita-0001\n")
	journal := ours.at("audit")
	member := etcdtest.Start(t)
	registryAddress, configAddress := program.Address(t), program.Address(t)
	registryPages, configPages := program.Address(t), program.Address(t)
	start := func(name, listen, pages string, env ...string) *program.Process {
		return program.Start(t, program.Spec{Name: name, Path: program.Product(t, name), Env: append(env,
			"SEAFRONT_ETCD_ENDPOINTS="+member.Endpoint(), "SEAFRONT_LISTEN="+listen, "SEAFRONT_METRICS_LISTEN="+pages,
			"SEAFRONT_TLS_CLIENT_CA="+ours.at("ca.pem"), "SEAFRONT_CERTIFICATE_ROLES="+roles)})
	}
	registry := start("origin-registry", registryAddress, registryPages, "SEAFRONT_TLS_CLIENT_AUTH=require",
		"SEAFRONT_TLS_CERT="+ours.at("registry.pem"), "SEAFRONT_TLS_KEY="+ours.at("registry.key"))
	config := start("config", configAddress, configPages, "SEAFRONT_TOKEN_FILE="+tokens, "SEAFRONT_AUDIT_LOG="+journal,
		"SEAFRONT_TLS_CERT="+ours.at("config.pem"), "SEAFRONT_TLS_KEY="+ours.at("config.key"),
		"SEAFRONT_ORIGIN_REGISTRY="+registryAddress, "SEAFRONT_REGISTRY_CA="+ours.at("ca.pem"),
		"SEAFRONT_REGISTRY_CERT="+ours.at("config.pem"), "SEAFRONT_REGISTRY_KEY="+ours.at("config.key"))
	registry.Ready(t, "http://"+registryPages+"/readyz", startTimeout)
	config.Ready(t, "http://"+configPages+"/readyz", startTimeout)

	origins := func(p *papers, name string) error {
		_, err := originv1.NewOriginServiceClient(p.dial(t, registryAddress, name, "")).CreateOrigin(t.Context(),
			&originv1.CreateOriginRequest{OriginId: "site", Origin: &originv1.Origin{Endpoint: control.Server("localhost", 8080)}})
		return err
	}
	create := func(p *papers, name, token string) error {
		site := control.Site(&configv1.Origin{Id: "site", Source: &configv1.Origin_OriginRef{OriginRef: "origins/site"}})
		_, err := configv1.NewDistributionServiceClient(p.dial(t, configAddress, name, token)).CreateDistribution(t.Context(),
			&configv1.CreateDistributionRequest{Distribution: &configv1.Distribution{CallerReference: "by " + name + token, Config: site}})
		return err
	}
	mixed := &papers{dir: t.TempDir()} // a foreign certificate of somebody who believes ours
	for from, to := range map[string]string{ours.at("ca.pem"): "ca.pem", theirs.at("otto.pem"): "otto.pem", theirs.at("otto.key"): "otto.key"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		mixed.file(t, to, string(b))
	}
	for _, tt := range []struct {
		name   string
		err    error
		code   codes.Code
		reason string
	}{
		{"no certificate where one is required", origins(ours, ""), codes.Unavailable, ""},
		{"a foreign authority where a certificate is required", origins(mixed, "otto"), codes.Unavailable, ""},
		{"a certificate without a role", origins(ours, "stranger"), codes.PermissionDenied, apierr.ReasonAccessDenied},
		{"config is only a reader there", origins(ours, "config"), codes.PermissionDenied, apierr.ReasonAccessDenied},
		{"an operator by certificate", origins(ours, "otto"), codes.OK, ""},
		{"nobody", create(ours, "", ""), codes.Unauthenticated, apierr.ReasonUnauthenticated},
		{"a wrong token", create(ours, "", "a-token-of-olga-0002"), codes.Unauthenticated, apierr.ReasonUnauthenticated},
		{"a reader's token", create(ours, "", "a-token-of-rita-0001"), codes.PermissionDenied, apierr.ReasonAccessDenied},
		{"a foreign authority", create(mixed, "otto", ""), codes.Unauthenticated, apierr.ReasonUnauthenticated},
		{"an operator's token", create(ours, "", "a-token-of-olga-0001"), codes.OK, ""},
		{"an operator's certificate", create(ours, "otto", ""), codes.OK, ""},
	} {
		st := status.Convert(tt.err)
		if st.Code() != tt.code || apierr.Reason(st) != tt.reason {
			t.Errorf("%s: %v %s, want %v %s", tt.name, tt.err, apierr.Reason(st), tt.code, tt.reason)
		}
	}
	config.Stop(t)
	lines, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(lines), "CreateDistribution"); n != 6 {
		t.Errorf("the audit log has %d of 6 calls:\n%s", n, lines)
	}
	if all := string(lines) + config.Log() + registry.Log(); strings.Contains(all, "a-token-of") {
		t.Errorf("a token is in the logs:\n%s", all)
	}
}
