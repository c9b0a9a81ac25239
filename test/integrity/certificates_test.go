// SPDX-License-Identifier: Apache-2.0

package integrity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// certificate is good for every alias that callers want. It is made once.
var certificate = sync.OnceValues(func() (*configv1.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range aliases {
		names = append(names, alias(i))
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	return &configv1.Certificate{
		CertificatePem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		PrivateKeyPem:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}, err
})

func (c *caller) importCertificate(ctx context.Context, s replica, _ int) error {
	m, err := certificate()
	if err != nil {
		return err
	}
	res, err := s.certificates.ImportCertificate(ctx, &configv1.ImportCertificateRequest{Certificate: m})
	c.world.add(res.GetCertificate().GetName())
	return err
}

func (c *caller) rotateCertificate(ctx context.Context, s replica, _ int) error {
	m, err := certificate()
	if err != nil {
		return err
	}
	name := c.world.pick(c.r, "certificates")
	if name == "" {
		return errNothing
	}
	_, err = s.certificates.RotateCertificate(ctx, &configv1.RotateCertificateRequest{
		Name: name, CertificatePem: m.GetCertificatePem(), PrivateKeyPem: m.GetPrivateKeyPem(),
	})
	return err
}

func (c *caller) deleteCertificate(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "certificates")
	if name == "" {
		return errNothing
	}
	_, err := s.certificates.DeleteCertificate(ctx, &configv1.DeleteCertificateRequest{Name: name})
	return err
}
