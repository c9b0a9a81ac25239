// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func rsaKey(bits int) func() *rsa.PrivateKey {
	return sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, bits)) })
}

// Keys that several tests use: RSA takes long to make.
var (
	rsa2048 = rsaKey(2048)
	rsa1024 = rsaKey(1024)
	rsa3072 = rsaKey(3072)
)

func ec(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func public(k crypto.Signer) string {
	return block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(k.Public())))
}

func private(k crypto.Signer) string {
	return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k)))
}

func fields(vs []rules.Violation) string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Field)
	}
	return strings.Join(out, " ")
}

func TestPublicKey(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	p256 := ec(elliptic.P256())
	for _, tt := range []struct {
		name, pem string
		want      configv1.PublicKey_Algorithm
	}{
		{"C2.145: RSA 2048", public(rsa2048()), configv1.PublicKey_ALGORITHM_RSA_2048},
		{"C2.145: P-256", public(p256), configv1.PublicKey_ALGORITHM_ECDSA_P256},
		{"C2.145: blanks around", "\n " + public(p256) + "\n\n", configv1.PublicKey_ALGORITHM_ECDSA_P256},
		{"C2.145: RSA 1024", public(rsa1024()), 0},
		{"C2.145: RSA 3072", public(rsa3072()), 0},
		{"C2.145: P-384", public(ec(elliptic.P384())), 0},
		{"C2.145: Ed25519", public(ed), 0},
		{"C2.145: nothing", "", 0},
		{"C2.145: no PEM", "ssh-rsa AAAA", 0},
		{"C2.145: another type", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsa2048().PublicKey)), 0},
		{"C2.145: a private key", private(p256), 0},
		{"C2.145: two keys", public(p256) + public(p256), 0},
		{"C2.145: text before", "x\n" + public(p256), 0},
		{"C2.145: text behind", public(p256) + "x", 0},
		{"C2.145: no DER", block("PUBLIC KEY", []byte("x")), 0},
		{"C2.145: a torn block before", "-----BEGIN PUBLIC KEY-----\n" + public(p256), 0},
		{"C2.145: headers", strings.Replace(public(p256), "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n\n", 1), 0},
		{"C2.145: too long", public(p256) + strings.Repeat("\n", maxPublicKey), 0},
	} {
		k := &configv1.PublicKey{CallerReference: "r", DisplayName: "n", Pem: tt.pem}
		FillPublicKey(k)
		want := ""
		if tt.want == 0 {
			want = "pem"
		}
		if got := fields(CheckPublicKey(k)); got != want || k.GetAlgorithm() != tt.want {
			t.Errorf("%s: %q, %v; want %q, %v", tt.name, got, k.GetAlgorithm(), want, tt.want)
		}
		if (len(k.GetFingerprintSha256()) == 64) != (tt.want != 0) {
			t.Errorf("%s: fingerprint %q", tt.name, k.GetFingerprintSha256())
		}
	}
	bad := &configv1.PublicKey{Labels: map[string]string{"": ""}, CallerReference: "ä", DisplayName: "-a", Comment: strings.Repeat("x", 129)}
	if got := fields(CheckPublicKey(bad)); got != `labels[""] caller_reference display_name pem comment` {
		t.Errorf("C2.2, C2.7, C2.9, C3.19: violations at %q", got)
	}
}

func TestKeyGroup(t *testing.T) {
	const a, b = "publicKeys/KAAAAAAAAAAAAA", "publicKeys/KBBBBBBBBBBBBB"
	six := make([]string, 6)
	for i := range six {
		six[i] = fmt.Sprint("publicKeys/K", i)
	}
	for _, tt := range []struct {
		name string
		keys []string
		want string
	}{
		{"C2.147: one", []string{a}, ""},
		{"C2.147: two", []string{a, b}, ""},
		{"C2.147: five", six[:5], ""},
		{"C2.147: none", nil, "public_keys INVALID_ARGUMENT"},
		{"C2.147: one twice", []string{a, b, a}, "public_keys[2] INVALID_ARGUMENT"},
		{"C2.147: no name", []string{"KAAAAAAAAAAAAA"}, "public_keys[0] INVALID_ARGUMENT"},
		{"C4.40: six", six, "public_keys TOO_MANY_PUBLIC_KEYS_IN_KEY_GROUP"},
	} {
		got := ""
		for _, v := range CheckKeyGroup(&configv1.KeyGroup{DisplayName: "g", PublicKeys: tt.keys}, DefaultKeysPerGroup) {
			got += v.Field + " " + v.Reason
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func issue(by *authority, key crypto.Signer, change ...func(*x509.Certificate)) *authority {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: fmt.Sprint(len(change), time.Now().UnixNano())},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	for _, f := range change {
		f(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der := must(x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer))
	return &authority{must(x509.ParseCertificate(der)), key}
}

func (a *authority) pem() string { return block("CERTIFICATE", a.cert.Raw) }

func isCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

func forNames(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func TestCertificate(t *testing.T) {
	root := issue(nil, ec(elliptic.P256()), isCA)
	first := issue(root, ec(elliptic.P256()), isCA)
	last := first
	var links []string
	for range 4 {
		links = append([]string{last.pem()}, links...)
		last = issue(last, ec(elliptic.P256()), isCA)
	}
	key := ec(elliptic.P256())
	www := forNames("www.example.com", "WWW.example.com", "*.example.org")
	leaf := issue(first, key, www)
	deep := issue(last, key, www)
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name             string
		cert, chain, key string
		want             string
	}{
		{"C2.130: alone", leaf.pem(), "", private(key), ""},
		{"C2.130: with its chain", leaf.pem(), first.pem(), private(key), ""},
		{"C2.130: five in all", deep.pem(), last.pem() + strings.Join(links[:3], ""), private(key), ""},
		{"C2.130: six in all", deep.pem(), last.pem() + strings.Join(links, ""), private(key), "chain_pem"},
		{"C2.130: RSA 2048", issue(first, rsa2048(), www).pem(), "", private(rsa2048()), ""},
		{"C2.130: RSA 3072, PKCS #1", issue(first, rsa3072(), www).pem(), "", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa3072())), ""},
		{"C2.130: SEC 1 with parameters", leaf.pem(), "", block("EC PARAMETERS", []byte{6, 0}) + block("EC PRIVATE KEY", der), ""},
		{"C2.130: self-signed", issue(nil, key, www).pem(), "", private(key), ""},
		{"C2.130: RSA 1024", issue(first, rsa1024(), www).pem(), "", private(rsa1024()), "certificate_pem"},
		{"C2.130: Ed25519", issue(first, ed, www).pem(), "", private(ed), "certificate_pem"},
		{"C2.130: P-521", issue(first, ec(elliptic.P521()), www).pem(), "", private(key), "certificate_pem private_key_pem"},
		{"C2.130: with its root", leaf.pem(), first.pem() + root.pem(), private(key), "chain_pem"},
		{"C2.130: out of order", deep.pem(), links[0] + last.pem(), private(key), "chain_pem chain_pem"},
		{"C2.130: another chain", leaf.pem(), last.pem(), private(key), "chain_pem"},
		{"C2.130: one that may not sign", issue(leaf, key, www).pem(), leaf.pem(), private(key), "chain_pem"},
		{"C2.130: another key", leaf.pem(), "", private(ec(elliptic.P256())), "private_key_pem"},
		{"C2.130: no key", leaf.pem(), "", "", "private_key_pem"},
		{"C2.130: encrypted key", leaf.pem(), "", block("ENCRYPTED PRIVATE KEY", []byte("x")), "private_key_pem"},
		{"C2.130: key and certificate in one", leaf.pem() + private(key), "", private(key), "certificate_pem"},
		{"C2.130: expired", issue(first, key, www, expired).pem(), "", private(key), "certificate_pem"},
		{"C2.130: not yet valid", issue(first, key, www, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }).pem(), "", private(key), "certificate_pem"},
		{"C2.130: expired chain", leaf.pem(), issue(root, first.key, isCA, expired).pem(), private(key), "chain_pem"},
		{"C2.130: no names", issue(first, key).pem(), "", private(key), "certificate_pem"},
		{"C2.130: for clients", issue(first, key, www, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }).pem(), "", private(key), "certificate_pem"},
		{"C2.130: nothing", "", "", "", "certificate_pem private_key_pem"},
		{"C2.130: no DER", block("CERTIFICATE", []byte("x")), block("CERTIFICATE", nil), block("PRIVATE KEY", nil), "certificate_pem chain_pem private_key_pem"},
		{"C2.130: too long", leaf.pem(), strings.Repeat(first.pem(), 200), private(key), "chain_pem"},
	} {
		vs := CheckCertificate(&configv1.Certificate{CertificatePem: tt.cert, ChainPem: tt.chain, PrivateKeyPem: tt.key}, time.Now())
		if got := fields(vs); got != tt.want {
			t.Errorf("%s: violations %v, want them at %q", tt.name, vs, tt.want)
		}
		for _, v := range vs {
			if v.Reason != ReasonInvalidCertificate {
				t.Errorf("%s: reason %s", tt.name, v.Reason)
			}
			if len(tt.key) > 100 && strings.Contains(v.Description, tt.key[60:80]) {
				t.Errorf("C8.102: %s: an error repeats the key", tt.name)
			}
		}
	}
	short := issue(root, first.key, isCA, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Minute) })
	c := &configv1.Certificate{CertificatePem: leaf.pem(), ChainPem: short.pem()}
	FillCertificate(c)
	if got := c.GetSubjectAlternativeNames(); !slices.Equal(got, []string{"www.example.com", "*.example.org"}) {
		t.Errorf("C6.55: names %q", got)
	}
	if !c.GetNotAfter().AsTime().Equal(short.cert.NotAfter) || c.GetKeyAlgorithm() != configv1.Certificate_KEY_ALGORITHM_ECDSA_P256 {
		t.Errorf("C6.55: %v", c)
	}
	if got := State(c, time.Now()); got != configv1.Certificate_STATE_ACTIVE {
		t.Errorf("C1.81: %v now", got)
	}
	if got := State(c, short.cert.NotAfter.Add(time.Second)); got != configv1.Certificate_STATE_EXPIRED {
		t.Errorf("C1.81: %v when it is over", got)
	}
	if w := CertificateWarnings(&configv1.Certificate{CertificatePem: issue(nil, key, www).pem()}); len(w) != 1 {
		t.Errorf("advice about a self-signed one: %q", w)
	}
	if w := CertificateWarnings(c); len(w) != 0 {
		t.Errorf("advice about a signed one: %q", w)
	}
}

func TestCovers(t *testing.T) {
	sans := []string{"*.example.com", "one.example.org"}
	for alias, want := range map[string]bool{
		"a.example.com": true, "*.example.com": true, "A.EXAMPLE.com": true, "one.example.org": true,
		"example.com": false, "a.b.example.com": false, "*.b.example.com": false, "two.example.org": false, "org": false, "": false,
	} {
		if got := Covers(sans, alias); got != want {
			t.Errorf("C2.345: %s covered %v, want %v", alias, got, want)
		}
	}
	if Covers(nil, "a.example.com") {
		t.Error("C2.345: no certificate covers an alias")
	}
}

func FuzzPEM(f *testing.F) {
	key := ec(elliptic.P256())
	leaf := issue(nil, key, forNames("a.b"))
	f.Add(public(key))
	f.Add(private(key))
	f.Add(leaf.pem() + leaf.pem())
	f.Add("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----")
	f.Fuzz(func(t *testing.T, text string) { // whatever is sent must not panic
		k := &configv1.PublicKey{Pem: text}
		FillPublicKey(k)
		if bad := fields(CheckPublicKey(k)); strings.Contains(bad, "pem") == (k.GetAlgorithm() != 0) {
			t.Errorf("%q: violations at %q and algorithm %v", text, bad, k.GetAlgorithm())
		}
		c := &configv1.Certificate{CertificatePem: text, ChainPem: text, PrivateKeyPem: text}
		FillCertificate(c)
		CheckCertificate(c, time.Unix(0, 0))
		CertificateWarnings(c)
	})
}
