// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/tls"
	"slices"
	"strings"
	"sync/atomic"

	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// SecurityPolicy is which protocol versions and ciphers viewers are offered (D1.11).
type SecurityPolicy uint8

// The security policies, by the number of the API's enum.
const (
	_ SecurityPolicy = iota
	_                // SSLv3, which is not built
	TLSv1
	TLSv1At2016
	TLSv11At2016
	TLSv12At2018
	TLSv12At2019
	TLSv12At2021
	TLSv12At2025
	TLSv13At2025
	securityPolicies // how many there may be
)

// compilePolicy makes the form of one that a record names; one without a name of its own
// is the default.
func compilePolicy(p commonv1.TlsPolicy) (SecurityPolicy, error) {
	if p == commonv1.TlsPolicy_TLS_POLICY_UNSPECIFIED {
		return TLSv12At2021, nil
	}
	if p < commonv1.TlsPolicy_TLS_POLICY_TLSV1 || p >= commonv1.TlsPolicy(securityPolicies) {
		return 0, invalid("viewer_certificate.minimum_protocol_version: %v is not built", p)
	}
	return SecurityPolicy(p), nil
}

// Certificate is the compiled form of a certificate with its key. It is immutable but
// for what Interned remembers.
type Certificate struct {
	ID string
	// TLS is the chain and the key, with the leaf parsed.
	TLS *tls.Certificate

	names    []string // in lower case; "*." begins a wildcard
	interned [securityPolicies][2]atomic.Pointer[tls.Config]
}

// Covers says whether the certificate is good for a host in lower case: one of its names
// is that, or is a wildcard for exactly its first label. It does not allocate.
func (c *Certificate) Covers(host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(c.names, func(name string) bool {
		return name == host || parent != "" && len(name) == len(parent)+2 && name[:2] == "*." && name[2:] == parent
	})
}

// Interned returns the one configuration for a security policy, with or without HTTP/2,
// which configure makes the first time. A configuration lives as long as the certificate, so
// no other change makes another (design 3.2).
func (c *Certificate) Interned(p SecurityPolicy, http2 bool, configure func(*Certificate, SecurityPolicy, bool) *tls.Config) *tls.Config {
	at := 0
	if http2 {
		at = 1
	}
	place := &c.interned[p][at]
	if config := place.Load(); config != nil {
		return config
	}
	place.CompareAndSwap(nil, configure(c, p, http2))
	return place.Load()
}

// Certificate returns the certificate and security policy for a name that a viewer asks
// for in a handshake, in lower case: that of the distribution that answers for the name
// (D1.5), if it is good for it. False means the default certificate.
func (s *Snapshot) Certificate(name string) (*Certificate, SecurityPolicy, bool) {
	d, ok := s.Match(name)
	if !ok || d.certificate == "" {
		return nil, 0, false
	}
	c, ok := s.certificates.get(d.certificate)
	if !ok || !c.Covers(name) {
		return nil, 0, false
	}
	return c, d.security, true
}

func compileCertificate(id string, m *configv1.Certificate) (*Certificate, error) {
	if err := acceptable(m); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(m.GetCertificatePem()+"\n"+m.GetChainPem()), []byte(m.GetPrivateKeyPem()))
	if err != nil {
		return nil, invalid("certificate and key cannot be used: %v", err)
	}
	out := &Certificate{ID: id, TLS: &pair}
	for _, name := range pair.Leaf.DNSNames {
		out.names = append(out.names, strings.ToLower(name))
	}
	return out, nil
}
