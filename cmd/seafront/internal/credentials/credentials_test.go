// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/cmd/seafront/internal/credentials"
	"github.com/seafront-cdn/seafront/pkg/auth"
)

func config(dir string) credentials.Config {
	return credentials.Config{Dir: dir, Edges: []string{"e1"}, Members: []string{"m1"}, Names: []string{"cdn.example.test", "192.0.2.1"}, Valid: time.Hour, Now: time.Now()}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// verify checks a certificate against an authority, and returns it.
func verify(t *testing.T, dir, prefix, authority string, o x509.VerifyOptions) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, prefix+"cert.pem"), filepath.Join(dir, prefix+"key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	o.Roots = x509.NewCertPool()
	o.Roots.AppendCertsFromPEM(read(t, filepath.Join(dir, authority)))
	if _, err := pair.Leaf.Verify(o); err != nil {
		t.Errorf("%s of %s by %s: %v", prefix+"cert.pem", dir, authority, err)
	}
	return pair.Leaf
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	if err := credentials.Make(config(dir)); err != nil {
		t.Fatal(err)
	}
	client, server := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for part, name := range map[string]string{
		"config": "config", "origin-registry": "origin-registry", "e1": "edge-e1", "root": "root", "operator": "admin", "m1": "m1",
	} {
		leaf := verify(t, filepath.Join(dir, part), "", "ca.pem", x509.VerifyOptions{KeyUsages: client})
		if leaf.Subject.CommonName != name {
			t.Errorf("%s is called %q, want %q", part, leaf.Subject.CommonName, name)
		}
	}
	verify(t, filepath.Join(dir, "m1"), "health-", "ca.pem", x509.VerifyOptions{KeyUsages: client})
	for part, hosts := range map[string]string{
		"config": "config config-1 config-9 localhost 127.0.0.1 cdn.example.test 192.0.2.1", "origin-registry": "origin-registry origin-registry-2", "m1": "m1 127.0.0.1",
	} {
		for _, host := range strings.Fields(hosts) {
			verify(t, filepath.Join(dir, part), "", "ca.pem", x509.VerifyOptions{KeyUsages: server, DNSName: host})
		}
	}
	for _, usage := range [][]x509.ExtKeyUsage{client, server} {
		verify(t, filepath.Join(dir, "m1"), "peer-", "peer-ca.pem", x509.VerifyOptions{KeyUsages: usage, DNSName: "m1"})
	}
	// A service is no member of etcd.
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(read(t, filepath.Join(dir, "m1", "peer-ca.pem")))
	leaf := verify(t, filepath.Join(dir, "config"), "", "ca.pem", x509.VerifyOptions{})
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool}); err == nil {
		t.Error("members take the certificate of config for that of a member")
	}
}

// TestServersTakeThem opens the files as servers do.
func TestServersTakeThem(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	if err := credentials.Make(config(dir)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"config", "origin-registry", "e1"} {
		in := func(name string) string { return filepath.Join(dir, part, name) }
		if _, err := auth.OpenTokens(log, in("tokens")); err != nil {
			t.Error(err)
		}
		if _, err := auth.OpenClients(log, in("ca.pem"), in("roles")); err != nil {
			t.Error(err)
		}
		if _, err := auth.OpenJWT(log, auth.JWTConfig{Keys: in("jwks.json"), Issuer: credentials.Issuer, Audience: credentials.Audience}); err != nil {
			t.Error(err)
		}
		if token := strings.TrimSpace(string(read(t, filepath.Join(dir, "operator", "admin.token")))); strings.Contains(string(read(t, in("tokens"))), token) {
			t.Errorf("%s has a token itself, not its hash", part)
		}
	}
}

// TestRenewal makes everything twice: only certificates may change.
func TestRenewal(t *testing.T) {
	dir := t.TempDir()
	c := config(dir)
	files := func() map[string]string {
		if err := credentials.Make(c); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				all[path] = string(read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := files()
	c.Now = c.Now.Add(30 * time.Minute)
	second := files()
	if len(first) != len(second) {
		t.Errorf("%d files, then %d", len(first), len(second))
	}
	for path, text := range first {
		if renewed := text != second[path]; renewed != strings.HasSuffix(path, "cert.pem") {
			t.Errorf("%s: changed: %v", path, renewed)
		}
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others get into the directory: %v, %v", info.Mode(), err)
	}
	c.Now, c.Valid = c.Now.Add(364*24*time.Hour), 48*time.Hour
	if err := credentials.Make(c); err != nil {
		t.Fatal(err)
	}
	leaf := verify(t, filepath.Join(dir, "config"), "", "ca.pem", x509.VerifyOptions{CurrentTime: c.Now})
	if leaf.NotAfter.After(c.Now.Add(24 * time.Hour)) {
		t.Errorf("the certificate is good until %v, after its authority", leaf.NotAfter)
	}
	c.Now = c.Now.Add(48 * time.Hour)
	if err := credentials.Make(c); err == nil || !strings.Contains(err.Error(), "begin anew") {
		t.Errorf("an authority that has ended: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for want, change := range map[string]func(*credentials.Config){
		`edge "../x"`:         func(c *credentials.Config) { c.Edges = []string{"../x"} },
		`edge "root"`:         func(c *credentials.Config) { c.Edges = []string{"root"} },
		`member of etcd "e1"`: func(c *credentials.Config) { c.Members = []string{"e1"} },
		`name "a b"`:          func(c *credentials.Config) { c.Names = []string{"a b"} },
		"want an hour":        func(c *credentials.Config) { c.Valid = time.Minute },
		"the name of another": func(c *credentials.Config) { c.Edges = []string{"x", "x"} },
	} {
		c := config(filepath.Join(t.TempDir(), "d"))
		change(&c)
		if err := credentials.Make(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if _, err := os.Stat(c.Dir); err == nil {
			t.Errorf("%s: something was made", want)
		}
	}
}
