// SPDX-License-Identifier: Apache-2.0

package program

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/pkg/access"
	"github.com/seafront-cdn/seafront/pkg/audit"
	"github.com/seafront-cdn/seafront/pkg/auth"
	"github.com/seafront-cdn/seafront/pkg/reload"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
)

// Access is who may call a server, and how that is encrypted: the flags. Files are
// followed when they change.
type Access struct {
	TLSCert          string `help:"Certificate for gRPC with its chain, in PEM. Like all files below it is followed when it changes." name:"tls-cert" env:"SEAFRONT_TLS_CERT" placeholder:"FILE"`
	TLSKey           string `help:"Key of --tls-cert, in PEM." name:"tls-key" env:"SEAFRONT_TLS_KEY" placeholder:"FILE"`
	TLSClientCA      string `help:"Authorities of client certificates, in PEM. Callers may then be known by a certificate." name:"tls-client-ca" env:"SEAFRONT_TLS_CLIENT_CA" placeholder:"FILE"`
	TLSClientAuth    string `help:"request: who has no good certificate may send a token, or is told what is wrong. require: no connection without one." name:"tls-client-auth" default:"request" enum:"request,require" env:"SEAFRONT_TLS_CLIENT_AUTH"`
	CertificateRoles string `help:"Roles of callers with a certificate: lines of a role and a name, which is the certificate's first URI or else its common name. A * at the end stands for anything." name:"certificate-roles" env:"SEAFRONT_CERTIFICATE_ROLES" placeholder:"FILE"`
	TokenFile        string `help:"Tokens: lines of a role, a name and a token, or sha256: and its hash." name:"token-file" env:"SEAFRONT_TOKEN_FILE" placeholder:"FILE"`
	JWKSFile         string `help:"JSON Web Key Set whose keys sign tokens by RS256, ES256 or EdDSA." name:"jwks-file" env:"SEAFRONT_JWKS_FILE" placeholder:"FILE"`
	JWTIssuer        string `help:"Issuer that JSON Web Tokens must have." name:"jwt-issuer" env:"SEAFRONT_JWT_ISSUER"`
	JWTAudience      string `help:"Audience that JSON Web Tokens must be for." name:"jwt-audience" env:"SEAFRONT_JWT_AUDIENCE"`
	JWTNameClaim     string `help:"Claim that holds the caller's name." name:"jwt-name-claim" default:"sub" env:"SEAFRONT_JWT_NAME_CLAIM"`
	JWTRoleClaim     string `help:"Claim that holds the caller's role or roles. Dots go into objects." name:"jwt-role-claim" default:"roles" env:"SEAFRONT_JWT_ROLE_CLAIM"`
	AuditLog         string `help:"File for a line of each call. - is the log of the program, which is the default of servers; that of seafront up is a file in its data directory." name:"audit-log" env:"SEAFRONT_AUDIT_LOG" placeholder:"FILE"`
	Insecure         bool   `help:"Let an address that others can reach go without TLS, and without authentication where none is configured. Everybody who reaches it is an admin then." env:"SEAFRONT_INSECURE"`

	// AdminToken, when set, is a file with one token: who sends it is the admin "admin".
	AdminToken string `kong:"-"`
	// AuditDefault is the file of the audit log where no flag names one, moved aside
	// when it has AuditMost bytes. Empty: the log of the program.
	AuditDefault string `kong:"-"`
	AuditMost    int64  `kong:"-"`
}

// check says what does not go together, and refuses an address that others can reach
// without TLS or authentication.
func (a Access) check(listen string) error {
	for _, f := range []struct {
		missing bool
		text    string
	}{
		{(a.TLSCert == "") != (a.TLSKey == ""), "--tls-cert and --tls-key go together"},
		{a.TLSClientCA != "" && a.TLSCert == "", "--tls-client-ca needs --tls-cert"},
		{a.TLSClientAuth == "require" && a.TLSClientCA == "", "--tls-client-auth=require needs --tls-client-ca"},
		{a.CertificateRoles != "" && a.TLSClientCA == "", "--certificate-roles needs --tls-client-ca"},
		{a.JWKSFile == "" && (a.JWTIssuer != "" || a.JWTAudience != ""), "--jwt-issuer and --jwt-audience need --jwks-file"},
		{a.JWKSFile != "" && (a.JWTIssuer == "" || a.JWTAudience == ""), "--jwks-file needs --jwt-issuer and --jwt-audience"},
	} {
		if f.missing {
			return errors.New(f.text)
		}
	}
	if a.Insecure || rpc.IsLoopback(listen) {
		return nil
	}
	if a.TLSCert == "" {
		return fmt.Errorf("gRPC on %s can be reached by others: set --tls-cert and --tls-key, or --insecure", listen)
	}
	if !a.authenticates() {
		return fmt.Errorf("gRPC on %s can be reached by others: set --token-file, --jwks-file or --tls-client-ca, or --insecure", listen)
	}
	return nil
}

// authenticates says whether callers can be known at all.
func (a Access) authenticates() bool {
	return a.AdminToken != "" || a.TokenFile != "" || a.JWKSFile != "" || a.TLSClientCA != ""
}

// Secure is what a server needs to know its callers.
type Secure struct {
	TLS   *tls.Config // nil: no encryption
	Guard *auth.Guard
	Audit *audit.Log
}

// Open reads the files. listen is the address of the server; log gets the lines of the
// audit log that has no file.
func (a Access) Open(t *telemetry.Telemetry, listen string, log io.Writer) (s Secure, err error) {
	if err := a.check(listen); err != nil {
		return s, err
	}
	c := auth.Config{Rule: access.Rule, Meter: t.Meter, Open: !a.authenticates()}
	if c.Open {
		t.Log.Warn("callers are not authenticated: everybody who reaches the gRPC port is an admin", slog.String("listen", listen))
	}
	if err := a.openCredentials(t.Log, &c); err != nil {
		return s, err
	}
	if a.TLSCert != "" {
		if s.TLS, err = rpc.ServerTLS(t.Log, a.TLSCert, a.TLSKey, c.Clients, a.TLSClientAuth == "require"); err != nil {
			return s, err
		}
	}
	if s.Guard, err = auth.New(c); err != nil {
		return s, err
	}
	s.Audit, err = audit.Open(a.audit(t, log))
	return s, err
}

func (a Access) audit(t *telemetry.Telemetry, log io.Writer) audit.Config {
	c := audit.Config{Path: a.AuditLog, To: log, Log: t.Log, Meter: t.Meter}
	switch a.AuditLog {
	case "":
		c.Path, c.MostBytes = a.AuditDefault, a.AuditMost
	case "-":
		c.Path = ""
	}
	return c
}

// Serve answers on the listeners with the parts until ctx ends. The audit log ends
// after the last call.
func (s Secure) Serve(ctx context.Context, t *telemetry.Telemetry, listeners []net.Listener, parts ...rpc.Part) error {
	auditing, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	running, ctx := errgroup.WithContext(ctx)
	running.Go(func() error { return s.Audit.Run(auditing) })
	running.Go(func() error {
		defer end()
		return rpc.Serve(ctx, rpc.ServerConfig{
			Log: t.Log, Tracer: t.Tracer, Meter: t.Meter, TLS: s.TLS, Guard: s.Guard, Audit: s.Audit,
		}, listeners, parts...)
	})
	return running.Wait()
}

// openCredentials opens what callers are known by.
func (a Access) openCredentials(log *slog.Logger, c *auth.Config) (err error) {
	if a.AdminToken != "" {
		tokens, err := auth.OpenAdmin(log, a.AdminToken, "admin")
		if err != nil {
			return err
		}
		c.Tokens = append(c.Tokens, tokens)
	}
	if a.TokenFile != "" {
		tokens, err := auth.OpenTokens(log, a.TokenFile)
		if err != nil {
			return err
		}
		c.Tokens = append(c.Tokens, tokens)
	}
	if a.JWKSFile != "" {
		if c.JWT, err = auth.OpenJWT(log, auth.JWTConfig{
			Keys: a.JWKSFile, Issuer: a.JWTIssuer, Audience: a.JWTAudience, NameClaim: a.JWTNameClaim, RoleClaim: a.JWTRoleClaim,
		}); err != nil {
			return err
		}
	}
	if a.TLSClientCA != "" {
		if c.Clients, err = auth.OpenClients(log, a.TLSClientCA, a.CertificateRoles); err != nil {
			return err
		}
	}
	return nil
}

// Client is how a program calls another server: the flags. It is embedded with a
// prefix for their names.
type Client struct {
	TLS        bool   `help:"Use TLS; each of the flags below but the token implies it." name:"tls" env:"TLS"`
	CA         string `help:"Authorities of the server's certificate, in PEM. Empty: those of the system." name:"ca" env:"CA" placeholder:"FILE"`
	Cert       string `help:"Certificate of our own, in PEM." name:"cert" env:"CERT" placeholder:"FILE"`
	Key        string `help:"Key of that certificate, in PEM." name:"key" env:"KEY" placeholder:"FILE"`
	ServerName string `help:"Name in the server's certificate where it is not that of the address." name:"server-name" env:"SERVER_NAME"`
	TokenFile  string `help:"File with the token that calls are sent with." name:"token-file" env:"TOKEN_FILE" placeholder:"FILE"`
}

// Config reads the files, which are followed when they change.
func (c Client) Config(log *slog.Logger) (rpc.ClientConfig, error) {
	var cfg rpc.ClientConfig
	var err error
	if c.TLS || cmp.Or(c.CA, c.Cert, c.Key, c.ServerName) != "" {
		cfg.TLS, err = rpc.ClientTLS(log, rpc.ClientFiles{Authorities: c.CA, Cert: c.Cert, Key: c.Key, ServerName: c.ServerName})
		if err != nil {
			return cfg, err
		}
	}
	if c.TokenFile == "" {
		return cfg, nil
	}
	token, err := OpenToken(log, c.TokenFile)
	if err != nil {
		return cfg, err
	}
	cfg.Token = token.Get
	return cfg, nil
}

// OpenToken reads the file of one token and follows it.
func OpenToken(log *slog.Logger, path string) (*reload.Value[string], error) {
	return reload.Open(log, func(files [][]byte) (string, error) {
		token, err := auth.OneToken(files[0])
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return token, nil
	}, path)
}

// shared lets several write whole lines to one writer.
type shared struct {
	mu sync.Mutex // held while to is written
	to io.Writer
}

// Write is part of io.Writer.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(p)
}
