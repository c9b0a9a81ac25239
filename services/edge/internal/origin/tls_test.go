// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

var tls12and13 = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// secure starts an HTTPS origin whose certificate is for name, and returns the pool
// that trusts it.
func secure(t *testing.T, name string, cfg *tls.Config, script func(*peer)) (*snapshot.Origin, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	o := originAt(listen(t, func(c net.Conn) net.Conn { return tls.Server(c, cfg) }, script))
	o.Host, o.Scheme, o.TLSVersions = "localhost", snapshot.HTTPS, tls12and13
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return o, pool
}

func TestTLS(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	for _, tt := range []struct {
		name, cert, host string
		trust            bool
		versions         []uint16
		server           *tls.Config
		want             bool
	}{
		{"D16.6: trusted, for the origin's name", "localhost", "", true, tls12and13, &tls.Config{}, true},
		{"D16.6: for the forwarded Host", "www.x.test", "www.x.test", true, tls12and13, &tls.Config{}, true},
		{"D16.6: for another name", "other.test", "", true, tls12and13, &tls.Config{}, false},
		{"D16.6: not trusted", "localhost", "", false, tls12and13, &tls.Config{}, false},
		{"D16.4: no version in common", "localhost", "", true, []uint16{tls.VersionTLS10}, &tls.Config{MinVersion: tls.VersionTLS12}, false},
		{"D16.4: TLS 1.2 alone", "localhost", "", true, tls12and13, &tls.Config{MaxVersion: tls.VersionTLS12}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, pool := secure(t, tt.cert, tt.server, func(p *peer) { p.answer(ok) })
			o.TLSVersions, o.Attempts = tt.versions, 1
			o.RootCAs = x509.NewCertPool()
			if tt.trust {
				o.RootCAs = pool
			}
			r := get(o)
			r.Host = tt.host
			c := newTestClient(t, Config{})
			if tt.want {
				if _, body := mustFetch(t, c, r); body != "hi" {
					t.Errorf("body %q", body)
				}
				return
			}
			_, err := c.Fetch(t.Context(), r)
			if e := wantKind(t, err, TLS); e.Status() != 502 {
				t.Errorf("status %d, want 502", e.Status())
			}
		})
	}
}
