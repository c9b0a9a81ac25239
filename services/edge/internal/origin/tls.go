// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// versions is a set of TLS versions: bit n stands for version 0x0300+n.
type versions uint8

func versionSet(list []uint16) versions {
	var s versions
	for _, v := range list {
		s |= bitOf(v)
	}
	return s
}

// bitOf is 0 for a number that is no version from SSL 3.0 up to TLS 1.3.
func bitOf(v uint16) versions {
	if v < 0x0300 || v > tls.VersionTLS13 {
		return 0
	}
	return 1 << (v - 0x0300)
}

// bounds returns the lowest and the highest version that crypto/tls can speak.
func (s versions) bounds() (lowest, highest uint16, ok bool) {
	for v := uint16(tls.VersionTLS10); v <= tls.VersionTLS13; v++ {
		if s&bitOf(v) == 0 {
			continue
		}
		if lowest == 0 {
			lowest = v
		}
		highest = v
	}
	return lowest, highest, lowest != 0
}

// handshake puts TLS over a connection. It closes nothing when it fails.
func (c *Client) handshake(ctx context.Context, e endpoint, nc net.Conn) (*tls.Conn, error) {
	cfg, err := c.tlsConfig(e)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(nc, cfg)
	err = secured.HandshakeContext(ctx)
	switch {
	case err == nil:
		return secured, nil
	case ctx.Err() != nil:
		return nil, fault(ConnectTimeout, "TLS handshake: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return nil, fault(Connect, "TLS handshake: %w", err)
	}
	return nil, fault(TLS, "TLS handshake: %w", err)
}

// tlsConfig returns what D16.4 to D16.7 ask for. There is no renegotiation (D1.4)
// and no client certificate: an origin that wants one fails the request (D16.7).
func (c *Client) tlsConfig(e endpoint) (*tls.Config, error) {
	lowest, highest, ok := e.versions.bounds()
	if !ok {
		return nil, fault(TLS, "no TLS version that the edge speaks is allowed")
	}
	return &tls.Config{
		ServerName:       e.name, // D16.5; an address is not sent
		NextProtos:       []string{"http/1.1"},
		MinVersion:       lowest,
		MaxVersion:       highest,
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}, // D16.4
		// crypto/tls would check one name; VerifyConnection checks everything, also in
		// resumed sessions, and allows either of two (D16.6).
		InsecureSkipVerify: true, //nolint:gosec // see above
		VerifyConnection:   e.verify,
		ClientSessionCache: scopedSessions{c.sessions, e.scope()},
	}, nil
}

// verify decides whether the origin is who it should be.
func (e endpoint) verify(s tls.ConnectionState) error {
	// crypto/tls knows a range only, but the set may have gaps (D16.4).
	if e.versions&bitOf(s.Version) == 0 {
		return fmt.Errorf("%s is not allowed", tls.VersionName(s.Version))
	}
	if p := s.NegotiatedProtocol; p != "" && p != "http/1.1" {
		return fmt.Errorf("protocol %q was not offered", p)
	}
	return verifyPeer(s.PeerCertificates, e.roots, e.host, e.name)
}

// verifyPeer checks the certificates that the origin sent (D16.6): each issued by
// the one after it, up to an authority that is trusted, in date, for one of the
// names. Roots nil means the public authorities. A self-signed certificate is
// trusted only as an authority of its own.
func verifyPeer(sent []*x509.Certificate, roots *x509.CertPool, names ...string) error {
	if len(sent) == 0 {
		return errors.New("no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for i, c := range sent[1:] {
		if !bytes.Equal(sent[i].RawIssuer, c.RawSubject) {
			return errors.New("certificates are not in order")
		}
		options.Intermediates.AddCert(c)
	}
	chains, err := sent[0].Verify(options)
	if err != nil {
		return err
	}
	leaf := commonNamed(sent[0], chains)
	err = errors.New("no name to be certified")
	for _, name := range names {
		if err = leaf.VerifyHostname(strings.TrimSuffix(name, ".")); err == nil {
			return nil
		}
	}
	return err
}

// commonNamed lets the common name of a certificate without any other name stand
// for one, as D16.6 asks. Not below a constrained authority: constraints do not
// reach common names, so such a name could be anyone's.
func commonNamed(leaf *x509.Certificate, chains [][]*x509.Certificate) *x509.Certificate {
	named := len(leaf.DNSNames) + len(leaf.IPAddresses) + len(leaf.EmailAddresses) + len(leaf.URIs)
	if named > 0 || leaf.Subject.CommonName == "" {
		return leaf
	}
	for _, chain := range chains {
		for _, c := range chain {
			if len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains) > 0 {
				return leaf
			}
		}
	}
	return &x509.Certificate{Raw: leaf.Raw, DNSNames: []string{leaf.Subject.CommonName}}
}

// scopedSessions is the share of one endpoint in a common cache of TLS sessions:
// no endpoint resumes what another one began.
type scopedSessions struct {
	cache tls.ClientSessionCache
	scope string
}

// Get returns a session of this endpoint.
func (s scopedSessions) Get(key string) (*tls.ClientSessionState, bool) {
	return s.cache.Get(s.scope + key)
}

// Put keeps a session for this endpoint; nil removes it.
func (s scopedSessions) Put(key string, state *tls.ClientSessionState) {
	s.cache.Put(s.scope+key, state)
}

// scope names the endpoint among TLS sessions.
func (e endpoint) scope() string {
	return fmt.Sprintf("%s %d %d %d %p ", e.host, e.port, e.family, e.versions, e.roots)
}
