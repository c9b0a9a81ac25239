// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/reload"
)

// Clients judges client certificates: against authorities, and by a list of roles.
// It judges each call, so that a certificate's end and a changed list count at once,
// also on connections that are there already.
type Clients struct {
	authorities *reload.Value[*x509.CertPool]
	roles       *reload.Value[*Roles] // nil: nobody has a role by certificate
}

// OpenClients reads the authorities of client certificates, in PEM, and, unless it is
// empty, the path of a file of roles, and follows both. A line of that file is a role and the name
// of a caller; a * at the end of the name stands for anything. The first line that
// fits counts. The name is the certificate's first URI, or else its common name.
func OpenClients(log *slog.Logger, authorities, roles string) (*Clients, error) {
	c := &Clients{}
	var err error
	if c.authorities, err = OpenAuthorities(log, authorities); err != nil {
		return nil, err
	}
	if roles == "" {
		return c, nil
	}
	c.roles, err = reload.Open(log, func(files [][]byte) (*Roles, error) {
		r, err := parseRoles(string(files[0]))
		if err != nil {
			return nil, fmt.Errorf("file of roles %s: %w", roles, err)
		}
		return r, nil
	}, roles)
	return c, err
}

// OpenAuthorities reads a file of authorities in PEM and follows it.
func OpenAuthorities(log *slog.Logger, path string) (*reload.Value[*x509.CertPool], error) {
	return reload.Open(log, func(files [][]byte) (*x509.CertPool, error) {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(files[0]) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", path)
		}
		return pool, nil
	}, path)
}

// Roles says which role a caller with a certificate has.
type Roles struct{ lines []roleLine }

type roleLine struct {
	role   Role
	name   string
	prefix bool // anything may follow name
}

func parseRoles(text string) (*Roles, error) {
	r := &Roles{}
	err := eachLine(text, func(words []string) error {
		if len(words) < 2 {
			return fmt.Errorf("has one word; want a role and a name")
		}
		// A common name may have spaces.
		role, name, err := principal(words[0], strings.Join(words[1:], " "))
		if err != nil {
			return err
		}
		name, prefix := strings.CutSuffix(name, "*")
		if strings.Contains(name, "*") {
			return fmt.Errorf("* stands at the end of a name or nowhere")
		}
		if name == "" && role > Reader {
			return fmt.Errorf("role %s for everybody is refused; name them", role)
		}
		r.lines = append(r.lines, roleLine{role, name, prefix})
		return nil
	})
	return r, err
}

func (r *Roles) of(name string) Role {
	for _, l := range r.lines {
		if l.name == name || l.prefix && strings.HasPrefix(name, l.name) {
			return l.role
		}
	}
	return 0
}

// Verify says what is wrong with the certificate of a connection at now. Chains are
// built from what the client sent; their length and number are bounded by crypto/tls
// and crypto/x509.
func (c *Clients) Verify(state tls.ConnectionState, now time.Time) error {
	if len(state.PeerCertificates) == 0 {
		return errNoCertificate
	}
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: c.authorities.Get(), Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

var errNoCertificate = errors.New("there is no client certificate")

// identify is the caller that a connection's certificate names.
func (c *Clients) identify(state tls.ConnectionState, now time.Time) (Identity, error) {
	leaf := state.PeerCertificates[0]
	if err := c.Verify(state, now); err != nil {
		return Identity{}, refuse("certificate", certificateFault(leaf, err, now))
	}
	name := leaf.Subject.CommonName
	if len(leaf.URIs) > 0 {
		name = leaf.URIs[0].String()
	}
	if err := checkName(name); err != nil {
		return Identity{}, refuse("certificate", "the client certificate names nobody: "+err.Error())
	}
	id := Identity{Name: name, Kind: Certificate}
	if c.roles != nil {
		id.Role = c.roles.Get().of(name)
	}
	return id, nil
}

// certificateFault says in words of ours what the caller has to mend: the texts of
// crypto/x509 quote what a stranger wrote.
func certificateFault(leaf *x509.Certificate, err error, now time.Time) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return "no authority that is trusted here signed the client certificate"
	case now.After(leaf.NotAfter):
		return "the client certificate has expired"
	case now.Before(leaf.NotBefore):
		return "the client certificate is not valid yet"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "the client certificate is not made for clients"
	default:
		return "the client certificate cannot be verified"
	}
}
