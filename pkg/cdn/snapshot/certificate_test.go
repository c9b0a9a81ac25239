// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// newCertificate is a self-signed certificate with its key.
func newCertificate(t testing.TB, names ...string) *configv1.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &configv1.Certificate{
		CertificatePem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		PrivateKeyPem:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

// shown is a distribution with a certificate for its aliases.
func shown(certificate string, policy commonv1.TlsPolicy, aliases ...string) *configv1.Distribution {
	d := distribution("1", "o.test", optimized, aliases...)
	d.Config.ViewerCertificate = &configv1.ViewerCertificate{Certificate: certificate, MinimumProtocolVersion: policy}
	return d
}

func TestCertificates(t *testing.T) {
	first := newCertificate(t, "WWW.x.test", "*.x.test")
	private := first.GetPrivateKeyPem()
	first.PrivateKeyPem = ""
	open := func(string, *storev1.Secrets) (map[string]string, error) {
		return map[string]string{"private_key_pem": private}, nil
	}
	s, _ := Empty().WithSecrets(open).Apply(2, []Change{
		sealed(t, keys.Certificates, "c", 1, first, map[string]string{"private_key_pem": "sealed"}),
		record(t, keys.Distributions, "1", 2, shown("certificates/c", commonv1.TlsPolicy_TLS_POLICY_TLSV1_3_2025, "www.x.test", "*.x.test")),
		record(t, keys.Distributions, "2", 2, distribution("2", "o.test", optimized, "plain.test")),
	})
	if r := s.Rejections(); len(r) > 0 {
		t.Fatal(r)
	}
	for name, want := range map[string]bool{
		"www.x.test": true, "a.x.test": true, // D1.5: by the wildcard
		"a.b.x.test":  false, // the alias covers it, the certificate does not (C2.345)
		"d1.cdn.test": false, // the generated name has the default certificate
		"plain.test":  false, "unknown.test": false,
	} {
		c, policy, ok := s.Certificate(name)
		if ok != want || ok && (c.ID != "c" || policy != TLSv13At2025 || c.TLS.PrivateKey == nil || c.TLS.Leaf == nil) {
			t.Errorf("D1.5: %s: %v, %v, %v", name, c, policy, ok)
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.Certificate("a.x.test") }); n > 0 {
		t.Errorf("looking up allocates %v times", n)
	}

	before, _, _ := s.Certificate("www.x.test")
	next, report := s.Apply(3, []Change{record(t, keys.Certificates, "c", 3, newCertificate(t, "www.x.test"))})
	after, _, ok := next.Certificate("www.x.test")
	if !ok || after == before || report.Compiled != 0 {
		t.Errorf("C1.81, design 3.2: rotated %v, %d distributions compiled", after != before, report.Compiled)
	}
	broken, _ := next.Apply(4, []Change{record(t, keys.Certificates, "c", 4, &configv1.Certificate{CertificatePem: first.GetCertificatePem()})})
	if c, _, ok := broken.Certificate("www.x.test"); !ok || c != after || len(broken.Rejections()) != 1 {
		t.Errorf("C8.76: %v, %v", ok, broken.Rejections())
	}
	gone, _ := next.Apply(5, []Change{{Key: keys.Resource(keys.Certificates, "c"), Deleted: true, ModRevision: 5}})
	if _, _, ok := gone.Certificate("www.x.test"); ok || gone.Counts()[keys.Certificates] != 0 {
		t.Error("a deleted certificate is shown")
	}
}

func TestSecurityPolicies(t *testing.T) {
	for p, want := range map[commonv1.TlsPolicy]SecurityPolicy{
		0: TLSv12At2021, commonv1.TlsPolicy_TLS_POLICY_TLSV1: TLSv1, commonv1.TlsPolicy_TLS_POLICY_TLSV1_2016: TLSv1At2016,
		commonv1.TlsPolicy_TLS_POLICY_TLSV1_1_2016: TLSv11At2016, commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2018: TLSv12At2018,
		commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2019: TLSv12At2019, commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2021: TLSv12At2021,
		commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2025: TLSv12At2025, commonv1.TlsPolicy_TLS_POLICY_TLSV1_3_2025: TLSv13At2025,
	} {
		d, err := CompileDistribution("1", 1, shown("certificates/c", p))
		if err != nil || d.security != want {
			t.Errorf("D1.11: %v: %v, %v", p, d, err)
		}
	}
	for _, p := range []commonv1.TlsPolicy{commonv1.TlsPolicy_TLS_POLICY_SSLV3, 99} {
		if _, err := CompileDistribution("1", 1, shown("certificates/c", p)); err == nil {
			t.Errorf("D1.11: %v compiles", p)
		}
	}
	if _, err := CompileDistribution("1", 1, shown("c", 0)); err == nil {
		t.Error("C2.126: a name of another form compiles")
	}
}

func TestInterned(t *testing.T) {
	made := 0
	c := &Certificate{}
	configure := func(*Certificate, SecurityPolicy, bool) *tls.Config { made++; return &tls.Config{} }
	a, b := c.Interned(TLSv1, true, configure), c.Interned(TLSv1, true, configure)
	if a != b || c.Interned(TLSv1, false, configure) == a || c.Interned(TLSv13At2025, true, configure) == a || made != 3 {
		t.Errorf("design 3.2: %d configurations", made)
	}
}
