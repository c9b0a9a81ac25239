// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/telemetry"
)

func TestAccessIsSecureUnlessTold(t *testing.T) {
	files := func(change func(*Access)) Access {
		a := Access{TLSCert: "c", TLSKey: "k", TokenFile: "t"}
		change(&a)
		return a
	}
	for _, tt := range []struct {
		name, listen string
		a            Access
		want         string // in the error; empty for none
	}{
		{"loopback needs nothing", "127.0.0.1:7400", Access{}, ""},
		{"others reach it", "0.0.0.0:7400", Access{}, "--tls-cert"},
		{"others reach it by any address", ":7400", Access{TokenFile: "t"}, "--tls-cert"},
		{"others reach it by name", "control.example.org:7400", Access{TokenFile: "t"}, "--tls-cert"},
		{"TLS without authentication", "[::]:7400", Access{TLSCert: "c", TLSKey: "k"}, "--token-file"},
		{"TLS and tokens", "[::]:7400", files(func(*Access) {}), ""},
		{"told so", "0.0.0.0:7400", Access{Insecure: true}, ""},
		{"half a pair", "127.0.0.1:7400", Access{TLSKey: "k"}, "go together"},
		{"authorities without TLS", "127.0.0.1:7400", Access{TLSClientCA: "a"}, "needs --tls-cert"},
		{"required without authorities", "127.0.0.1:7400", files(func(a *Access) { a.TLSClientAuth = "require" }), "needs --tls-client-ca"},
		{"roles of no certificates", "127.0.0.1:7400", Access{CertificateRoles: "r"}, "needs --tls-client-ca"},
		{"an issuer of no keys", "127.0.0.1:7400", Access{JWTIssuer: "i"}, "need --jwks-file"},
		{"keys of no issuer", "127.0.0.1:7400", Access{JWKSFile: "j", JWTAudience: "a"}, "--jwt-issuer"},
	} {
		err := tt.a.check(tt.listen)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestOpenAccess(t *testing.T) {
	var said bytes.Buffer
	tel, err := telemetry.Start(t.Context(), telemetry.Config{LogTo: &said})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Access{}.Open(tel, "127.0.0.1:7400", &said)
	if err != nil || s.TLS != nil || s.Guard == nil || s.Audit == nil || !strings.Contains(said.String(), "not authenticated") {
		t.Errorf("%+v, %v; the log says %s", s, err, &said)
	}
	for _, a := range []Access{
		{TokenFile: "none"}, {JWKSFile: "none", JWTIssuer: "i", JWTAudience: "a"}, {TLSCert: "none", TLSKey: "none"},
		{TLSCert: "none", TLSKey: "none", TLSClientCA: "none"}, {AdminToken: "none"}, {AuditLog: filepath.Join("none", "audit")},
	} {
		if _, err := a.Open(tel, "127.0.0.1:7400", &said); err == nil {
			t.Errorf("%+v: no error", a)
		}
	}
	// A file that others can read is taken, with a warning.
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("admin ada 0123456789abcdef\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Access{TokenFile: tokens}).Open(tel, "127.0.0.1:7400", &said); err != nil || !strings.Contains(said.String(), "chmod 600") {
		t.Errorf("%v; the log says %s", err, &said)
	}
}

func TestClientFlags(t *testing.T) {
	tel, err := telemetry.Start(t.Context(), telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Client{TokenFile: token, ServerName: "registry"}.Config(tel.Log)
	if err != nil || c.TLS == nil || c.Token() != "0123456789abcdef" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []Client{{CA: "none"}, {Cert: "none"}, {Cert: "none", Key: "none"}, {TokenFile: "none"}} {
		if _, err := bad.Config(tel.Log); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}
