// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Credentials are how a program shows who it is to etcd, and what it trusts; its tags
// are flags. The zero value is a connection without TLS by nobody.
type Credentials struct {
	EtcdCA           string `help:"File with the certificates (PEM) of the authorities that etcd's certificate has to be signed by. Setting it, or --etcd-cert, makes the connection TLS." name:"etcd-ca" env:"SEAFRONT_ETCD_CA" placeholder:"FILE"`
	EtcdCert         string `help:"File with the client certificate (PEM) that is shown to etcd. Its common name may be the etcd user. Read anew for each connection." name:"etcd-cert" env:"SEAFRONT_ETCD_CERT" placeholder:"FILE"`
	EtcdKey          string `help:"File with the key (PEM) of --etcd-cert." name:"etcd-key" env:"SEAFRONT_ETCD_KEY" placeholder:"FILE"`
	EtcdUser         string `help:"Name of the etcd user, with --etcd-password-file." name:"etcd-user" env:"SEAFRONT_ETCD_USER" placeholder:"NAME"`
	EtcdPasswordFile string `help:"File with the password of --etcd-user. Read anew for each login; the end of its line does not count." name:"etcd-password-file" env:"SEAFRONT_ETCD_PASSWORD_FILE" placeholder:"FILE"`
}

// tls makes the configuration of the connection, nil for one without TLS.
func (c Credentials) tls(endpoints []string) (*tls.Config, error) {
	if c.EtcdCA == "" && c.EtcdCert == "" && c.EtcdKey == "" {
		return nil, nil //nolint:nilnil // both are what is meant
	}
	if (c.EtcdCert == "") != (c.EtcdKey == "") {
		return nil, errors.New("--etcd-cert and --etcd-key belong together; one of them is not set")
	}
	for _, e := range endpoints {
		if strings.HasPrefix(e, "http://") {
			return nil, fmt.Errorf("endpoint %s is without TLS, but --etcd-ca or --etcd-cert is set; want https:// or host:port", e)
		}
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.EtcdCA != "" {
		pem, err := os.ReadFile(c.EtcdCA)
		if err != nil {
			return nil, fmt.Errorf("--etcd-ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--etcd-ca: %s holds no certificate in PEM form", c.EtcdCA)
		}
	}
	if c.EtcdCert == "" {
		return out, nil
	}
	load := func() (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(c.EtcdCert, c.EtcdKey)
		if err != nil {
			return nil, fmt.Errorf("--etcd-cert, --etcd-key: %w", err)
		}
		return &cert, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return out, nil
}

// login is who logs in with a password, nil for nobody.
func (c Credentials) login() (*login, error) {
	if c.EtcdUser == "" && c.EtcdPasswordFile == "" {
		return nil, nil //nolint:nilnil // both are what is meant
	}
	if c.EtcdUser == "" || c.EtcdPasswordFile == "" {
		return nil, errors.New("--etcd-user and --etcd-password-file belong together; one of them is not set")
	}
	l := &login{user: c.EtcdUser, file: c.EtcdPasswordFile}
	_, err := l.password()
	return l, err
}
