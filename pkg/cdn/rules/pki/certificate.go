// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Limits of certificates (C2.130).
const (
	maxChain      = 5        // certificates, the first included
	maxChainBytes = 64 << 10 // of PEM text in all
	maxPrivateKey = 16 << 10 // bytes of PEM text
	minRSA        = 2048     // bits
	maxRSA        = 4096
	maxIssuerRSA  = 8192 // bits of a key that only signs: what a check may cost
)

// CheckCertificate returns all that is wrong with a certificate by itself at the
// moment now (C2.130; C2.43 but for the coverage of aliases).
func CheckCertificate(c *configv1.Certificate, now time.Time) []rules.Violation {
	var f rules.Findings
	f.Join(rules.CheckLabels("labels", c.GetLabels()))
	f.Comment("comment", c.GetComment())
	if n := len(c.GetCertificatePem()) + len(c.GetChainPem()); n > maxChainBytes {
		f.Add("chain_pem", ReasonInvalidCertificate, "has %d bytes together with certificate_pem; want at most %d", n, maxChainBytes)
		return f.Found()
	}
	add := func(field string, err error) {
		if err != nil {
			f.Add(field, ReasonInvalidCertificate, "%v", err)
		}
	}
	leaf, err := parseLeaf(c.GetCertificatePem())
	add("certificate_pem", err)
	if leaf != nil {
		add("certificate_pem", checkDates(leaf, now))
		add("certificate_pem", checkLeaf(leaf))
	}
	chain, err := parseChain(c.GetChainPem())
	add("chain_pem", err)
	below := leaf
	for i, issuer := range chain {
		if err := checkIssuer(below, issuer, now); err != nil {
			add("chain_pem", fmt.Errorf("certificate %d %w", i+1, err))
		}
		below = issuer
	}
	key, err := parsePrivateKey(c.GetPrivateKeyPem())
	add("private_key_pem", err)
	if leaf != nil && key != nil && !matches(leaf, key) {
		f.Add("private_key_pem", ReasonInvalidCertificate, "is not the key of the certificate")
	}
	return f.Found()
}

// FillCertificate sets what follows from the certificate: names, dates, algorithm. Of
// one that is none they are absent.
func FillCertificate(c *configv1.Certificate) {
	c.SubjectAlternativeNames, c.NotBefore, c.NotAfter, c.KeyAlgorithm = nil, nil, nil, 0
	leaf, err := parseLeaf(c.GetCertificatePem())
	if err != nil {
		return
	}
	c.SubjectAlternativeNames = names(leaf)
	c.KeyAlgorithm, _ = algorithm(leaf)
	from, to := leaf.NotBefore, leaf.NotAfter
	chain, err := parseChain(c.GetChainPem())
	for _, issuer := range chain {
		if err == nil && issuer.NotAfter.Before(to) {
			to = issuer.NotAfter
		}
	}
	c.NotBefore, c.NotAfter = timestamppb.New(from), timestamppb.New(to)
}

// CertificateWarnings is advice about a valid certificate.
func CertificateWarnings(c *configv1.Certificate) []string {
	leaf, err := parseLeaf(c.GetCertificatePem())
	if err != nil || !selfSigned(leaf) {
		return nil
	}
	return []string{"certificate_pem: is signed by its own key, so viewers do not trust it unless they were told to"}
}

// State is whether viewers can be served with the certificate at now (C1.81).
func State(c *configv1.Certificate, now time.Time) configv1.Certificate_State {
	if now.After(c.GetNotAfter().AsTime()) {
		return configv1.Certificate_STATE_EXPIRED
	}
	return configv1.Certificate_STATE_ACTIVE
}

// Covers says whether a certificate with these names is good for an alias: one of them
// is the alias, or is a wildcard of the same level (C2.43, C2.345). A wildcard stands
// for exactly one label, also for the star of a wildcard alias.
func Covers(names []string, alias string) bool {
	_, parent, _ := strings.Cut(alias, ".")
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.EqualFold(name, alias) || parent != "" && strings.EqualFold(name, "*."+parent)
	})
}

// CheckAliases returns what is wrong with a certificate for a distribution that would
// show it for its aliases at now (C2.43): it is not valid, or does not cover one. Field
// paths begin at Distribution.
func CheckAliases(d *configv1.Distribution, c *configv1.Certificate, now time.Time) []rules.Violation {
	const field = "config.viewer_certificate.certificate"
	var f rules.Findings
	name := d.GetConfig().GetViewerCertificate().GetCertificate()
	switch {
	case now.Before(c.GetNotBefore().AsTime()):
		f.Add(field, ReasonInvalidCertificate, "names %s, which is not valid before %s", name, c.GetNotBefore().AsTime().Format(time.RFC3339))
	case now.After(c.GetNotAfter().AsTime()):
		f.Add(field, ReasonInvalidCertificate, "names %s, which is not valid after %s; rotate it first", name, c.GetNotAfter().AsTime().Format(time.RFC3339))
	}
	for i, alias := range d.GetConfig().GetAliases() {
		if !Covers(c.GetSubjectAlternativeNames(), alias) {
			f.Add(fmt.Sprintf("config.aliases[%d]", i), ReasonInvalidCertificate, "is %s, which %s is not for", alias, name)
		}
	}
	return f.Found()
}

func names(leaf *x509.Certificate) []string {
	var out []string
	for _, n := range leaf.DNSNames {
		if n = strings.ToLower(n); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func parseLeaf(text string) (*x509.Certificate, error) {
	blocks, err := decode(text, 1)
	if err != nil {
		return nil, fmt.Errorf("%w; want one PEM block CERTIFICATE, and its chain in chain_pem", err)
	}
	return parseCertificate(blocks[0])
}

func parseChain(text string) ([]*x509.Certificate, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	blocks, err := decode(text, maxChain-1)
	if err != nil {
		return nil, fmt.Errorf("%w; want at most %d PEM blocks CERTIFICATE", err, maxChain-1)
	}
	var out []*x509.Certificate
	for i, b := range blocks {
		c, err := parseCertificate(b)
		if err != nil {
			return nil, fmt.Errorf("certificate %d %w", i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func parseCertificate(b *pem.Block) (*x509.Certificate, error) {
	if b.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("holds a PEM block %.40q; want CERTIFICATE", b.Type)
	}
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, errors.New("holds no certificate that can be read")
	}
	return c, nil
}

func checkDates(c *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return fmt.Errorf("is not valid before %s", c.NotBefore.UTC().Format(time.RFC3339))
	case now.After(c.NotAfter):
		return fmt.Errorf("is not valid after %s", c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkLeaf looks at what a viewer looks at.
func checkLeaf(leaf *x509.Certificate) error {
	if _, err := algorithm(leaf); err != nil {
		return err
	}
	if len(leaf.DNSNames) == 0 {
		return errors.New("has no DNS name as subject alternative name")
	}
	usages := leaf.ExtKeyUsage
	if len(usages)+len(leaf.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(usages, x509.ExtKeyUsageServerAuth) && !slices.Contains(usages, x509.ExtKeyUsageAny) {
		return errors.New("is not for servers: its extended key usage lacks server authentication")
	}
	return nil
}

// checkIssuer says what is wrong with a certificate of the chain behind the one that
// it should have signed; below is nil when that one cannot be read.
func checkIssuer(below, issuer *x509.Certificate, now time.Time) error {
	if err := checkDates(issuer, now); err != nil {
		return err
	}
	if selfSigned(issuer) {
		return errors.New("is a root; leave it out, viewers have their own")
	}
	if k, ok := issuer.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxIssuerRSA {
		return fmt.Errorf("has an RSA key of %d bits; want at most %d", k.N.BitLen(), maxIssuerRSA)
	}
	if below == nil {
		return nil
	}
	if err := below.CheckSignatureFrom(issuer); err != nil {
		return errors.New("did not sign the certificate before it; want the chain in order, each signing the one before")
	}
	return nil
}

// selfSigned says whether subject and issuer are one: a root, or nobody's.
func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// algorithm is the kind of key; one that is not offered is an error.
func algorithm(c *x509.Certificate) (configv1.Certificate_KeyAlgorithm, error) {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return 0, fmt.Errorf("has an RSA key of %d bits; want %d to %d", n, minRSA, maxRSA)
		}
		return configv1.Certificate_KEY_ALGORITHM_RSA, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return configv1.Certificate_KEY_ALGORITHM_ECDSA_P256, nil
		case elliptic.P384():
			return configv1.Certificate_KEY_ALGORITHM_ECDSA_P384, nil
		}
	}
	return 0, fmt.Errorf("has a key of another kind; want RSA of %d to %d bits or ECDSA on P-256 or P-384", minRSA, maxRSA)
}

// parsePrivateKey reads a key. Its errors hold nothing of the text but the types of
// blocks. OpenSSL puts a block with the parameters before an EC key; it says nothing
// that the key does not.
func parsePrivateKey(text string) (crypto.Signer, error) {
	const want = "want one PEM block PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, not encrypted"
	if len(text) > maxPrivateKey {
		return nil, fmt.Errorf("has %d bytes, more than %d; %s", len(text), maxPrivateKey, want)
	}
	blocks, err := decode(text, 2)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, want)
	}
	blocks = slices.DeleteFunc(blocks, func(b *pem.Block) bool { return b.Type == "EC PARAMETERS" })
	if len(blocks) != 1 {
		return nil, fmt.Errorf("holds %d PEM blocks; %s", len(blocks), want)
	}
	var key any
	switch der := blocks[0].Bytes; blocks[0].Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(der)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	case "ENCRYPTED PRIVATE KEY":
		return nil, fmt.Errorf("is encrypted; %s", want)
	default:
		return nil, fmt.Errorf("holds a PEM block of another type; %s", want)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("holds no key that can be read; %s", want)
	}
	return signer, nil
}

func matches(leaf *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(leaf.PublicKey)
}
