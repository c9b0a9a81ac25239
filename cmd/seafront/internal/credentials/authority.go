// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

const (
	authorityAge = 365 * 24 * time.Hour
	skew         = 5 * time.Minute // by which clocks may differ
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// authority opens the one of that name or makes it.
func (f folder) authority(name, subject string, now time.Time) (*authority, error) {
	key, err := f.key(name+".key", newECDSA)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key}
	a.pem, err = os.ReadFile(f.file(name + ".pem"))
	if errors.Is(err, fs.ErrNotExist) {
		err = f.found(name+".pem", a, subject, now)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(a.pem)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate in PEM", f.file(name+".pem"))
	}
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("%s: %w", f.file(name+".pem"), err)
	}
	if !now.Before(a.cert.NotAfter) {
		return nil, fmt.Errorf("the authority of %s has ended at %s: remove its directory and that of its key, and begin anew",
			f.file(name+".pem"), a.cert.NotAfter.Format(time.RFC3339))
	}
	return a, nil
}

// found makes the certificate of a new authority.
func (f folder) found(file string, a *authority, subject string, now time.Time) error {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: subject}, NotBefore: now.Add(-skew), NotAfter: now.Add(authorityAge),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return err
	}
	a.pem = encode("CERTIFICATE", der)
	return f.write(file, a.pem)
}

// issue writes a certificate for a server that hosts names and a client that name
// does. It ends with the authority at the latest.
func (a *authority) issue(f folder, certFile, keyFile, name string, hosts []string, now time.Time, valid time.Duration) error {
	key, err := f.key(keyFile, newECDSA)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-skew), NotAfter: now.Add(valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	template.DNSNames, template.IPAddresses = split(hosts)
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("certificate for %s: %w", name, err)
	}
	return f.write(certFile, encode("CERTIFICATE", der))
}

func newECDSA() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
