// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Life of the default certificate.
const (
	certificateLife  = 365 * 24 * time.Hour
	certificateRenew = 30 * 24 * time.Hour // how long before its end it is replaced
	certificateCheck = 12 * time.Hour
	clockSkew        = time.Hour
)

// Certificate is the default certificate: self-signed, for the base domain, the names
// below it, localhost and loopback. It is made once and kept.
type Certificate struct {
	dir, domain string
	current     atomic.Pointer[tls.Certificate]
}

// OpenCertificate reads the certificate in dir, which is made, or makes one when there
// is none that is good for domain for some time to come. A new one that cannot be
// kept is logged and used all the same: a full disk ends no service.
func OpenCertificate(dir, domain string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{dir: dir, domain: domain}
	err := c.refresh(time.Now())
	if c.current.Load() == nil {
		return nil, fmt.Errorf("default certificate: %w", err)
	}
	if err != nil {
		log.Error("default certificate is not kept; the next start makes another", slog.String("directory", dir), slog.Any("error", err))
	}
	return c, nil
}

// keep replaces the certificate before it ends, until ctx ends.
func (c *Certificate) keep(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(certificateCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := c.refresh(now); err != nil {
				log.ErrorContext(ctx, "default certificate cannot be renewed, or its successor is not kept", slog.String("directory", c.dir), slog.Any("error", err))
			}
		}
	}
}

// refresh takes the kept certificate into use, or a new one when that is no good. An
// error while one is in use means that it is not kept.
func (c *Certificate) refresh(now time.Time) error {
	certFile, keyFile := filepath.Join(c.dir, "default.crt"), filepath.Join(c.dir, "default.key")
	if kept, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && c.good(kept.Leaf, now) {
		c.current.Store(&kept)
		return nil
	}
	if used := c.current.Load(); used != nil && c.good(used.Leaf, now) {
		return nil // it could not be kept
	}
	certPEM, keyPEM, err := c.create(now)
	if err != nil {
		return err
	}
	fresh, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	c.current.Store(&fresh)
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	// A crash between the two leaves a pair that does not fit and is made anew.
	return errors.Join(replace(keyFile, keyPEM), replace(certFile, certPEM))
}

func (c *Certificate) good(leaf *x509.Certificate, now time.Time) bool {
	return leaf != nil && now.After(leaf.NotBefore) && now.Add(certificateRenew).Before(leaf.NotAfter) &&
		leaf.VerifyHostname(c.domain) == nil && leaf.VerifyHostname("any."+c.domain) == nil
}

func (c *Certificate) create(now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // D1.8
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: c.domain},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{c.domain, "*." + c.domain, "localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), nil
}

// replace writes a file that only the owner can read, all of it or nothing.
func replace(path string, content []byte) error {
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
