// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// newCertificate is a self-signed certificate and its key.
func newCertificate(t *testing.T, names ...string) (certificate, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", raw)
}

func newKeyring(t *testing.T) *secret.Keyring {
	t.Helper()
	line, err := secret.NewKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	k, err := secret.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCertificates(t *testing.T) {
	kv := etcdtest.Client(t)
	keyring := newKeyring(t)
	s := configv1.NewCertificateServiceClient(start(t, config.Config{Etcd: kv, Secrets: keyring, Limits: config.Limits{Certificates: 1}}).conn)
	text, key := newCertificate(t, "*.example.com")
	importIt := func(text, key string) (*configv1.ImportCertificateResponse, error) {
		return s.ImportCertificate(t.Context(), &configv1.ImportCertificateRequest{Certificate: &configv1.Certificate{
			CertificatePem: text, PrivateKeyPem: key, Comment: "one",
		}})
	}
	_, err := importIt(text, "")
	wantError(t, "C2.130: no key", err, codes.InvalidArgument, "INVALID_VIEWER_CERTIFICATE")
	imported := must[*configv1.ImportCertificateResponse](t)(importIt(text, key))
	c := imported.GetCertificate()
	if c.GetPrivateKeyPem() != "" || c.GetGeneration() != 1 || c.GetState() != configv1.Certificate_STATE_ACTIVE || len(c.GetSubjectAlternativeNames()) != 1 {
		t.Errorf("C6.55: %v", c)
	}
	if len(imported.GetWarnings()) != 1 || !strings.HasPrefix(imported.GetWarnings()[0], "certificate.certificate_pem") {
		t.Errorf("advice about a self-signed certificate: %q", imported.GetWarnings())
	}
	_, err = importIt(text, key)
	wantError(t, "C2.309: quota", err, codes.ResourceExhausted, "TOO_MANY_CERTIFICATES")
	id := strings.TrimPrefix(c.GetName(), "certificates/")
	opened := func() string {
		t.Helper()
		at := keys.Resource(keys.Certificates, id)
		_, sealed, _, err := records.GetWithSecrets(t.Context(), kv, at, &configv1.Certificate{})
		if err != nil {
			t.Fatal(err)
		}
		values, err := records.Open(keyring, at, sealed)
		if err != nil {
			t.Fatal(err)
		}
		return values["private_key_pem"]
	}
	if opened() != key {
		t.Error("C8.102: what is sealed is not the key")
	}
	inClear(t, kv, key)

	text2, key2 := newCertificate(t, "www.example.com", "a.example.com")
	rotate := func(etag, text, key string) (*configv1.Certificate, error) {
		res, err := s.RotateCertificate(t.Context(), &configv1.RotateCertificateRequest{Name: c.GetName(), Etag: etag, CertificatePem: text, PrivateKeyPem: key})
		return res.GetCertificate(), err
	}
	_, err = rotate(c.GetEtag(), text2, key)
	wantError(t, "C2.130: another key", err, codes.InvalidArgument, "INVALID_VIEWER_CERTIFICATE")
	if !strings.Contains(body(err), "field private_key_pem: ") {
		t.Errorf("C2.2: %s", body(err))
	}
	// Distributions that have it, as they will.
	put(t, kv, keys.Distributions, "E1", &configv1.Distribution{Name: "distributions/E1", Config: &configv1.DistributionConfig{Aliases: []string{"b.example.com"}}})
	held := keys.Ref(keys.Certificates, id, keys.Distributions, "E1")
	if _, err := kv.Put(t.Context(), held, ""); err != nil {
		t.Fatal(err)
	}
	_, err = rotate(c.GetEtag(), text2, key2)
	wantError(t, "C8.53: an alias that it does not cover", err, codes.FailedPrecondition, "CERTIFICATE_IN_USE")
	if !strings.Contains(body(err), "distributions/E1") {
		t.Errorf("C8.53: %s", body(err))
	}
	text3, key3 := newCertificate(t, "b.example.com")
	rotated := must[*configv1.Certificate](t)(rotate(c.GetEtag(), text3, key3))
	if rotated.GetGeneration() != 2 || rotated.GetComment() != "one" || rotated.GetReferencedByCount() != 1 || opened() != key3 {
		t.Errorf("C1.81: %v", rotated)
	}
	_, err = rotate(c.GetEtag(), text3, key3)
	wantError(t, "C2.182: stale etag", err, codes.Aborted, "PRECONDITION_FAILED")
	_, err = s.DeleteCertificate(t.Context(), &configv1.DeleteCertificateRequest{Name: c.GetName()})
	wantError(t, "C1.67: in use", err, codes.FailedPrecondition, "CERTIFICATE_IN_USE")
	if _, err := kv.Delete(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteCertificate(t.Context(), &configv1.DeleteCertificateRequest{Name: c.GetName(), Etag: rotated.GetEtag()}); err != nil {
		t.Fatal(body(err))
	}
	_, err = s.GetCertificate(t.Context(), &configv1.GetCertificateRequest{Name: c.GetName()})
	wantError(t, "C1.28: deleted", err, codes.NotFound, "ENTITY_NOT_FOUND")
}

// inClear fails when a line of the text is anywhere in the store.
func inClear(t *testing.T, kv clientv3.KV, text string) {
	t.Helper()
	res, err := kv.Get(t.Context(), keys.Root, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Split(text, "\n")[1])
	for _, pair := range res.Kvs {
		if bytes.Contains(pair.Value, line) {
			t.Errorf("C8.102: %s holds a private key in clear", pair.Key)
		}
	}
}

func TestCertificateWithoutClusterKey(t *testing.T) {
	s := configv1.NewCertificateServiceClient(start(t, config.Config{Etcd: etcdtest.Client(t)}).conn)
	text, key := newCertificate(t, "a.example.com")
	for _, dry := range []bool{true, false} {
		_, err := s.ImportCertificate(t.Context(), &configv1.ImportCertificateRequest{
			Certificate: &configv1.Certificate{CertificatePem: text, PrivateKeyPem: key}, ValidateOnly: dry,
		})
		wantError(t, "C8.102: no cluster key", err, codes.FailedPrecondition, "SECRETS_UNAVAILABLE")
	}
}

// showing is d with that certificate for its aliases.
func showing(d *configv1.Distribution, certificate string) *configv1.Distribution {
	d.Config.ViewerCertificate = &configv1.ViewerCertificate{Certificate: certificate}
	return d
}

func TestViewerCertificate(t *testing.T) {
	kv, ctx := etcdtest.Client(t), t.Context()
	r := start(t, config.Config{Etcd: kv, Secrets: newKeyring(t)})
	certificates := configv1.NewCertificateServiceClient(r.conn)
	imported := func(names ...string) *configv1.Certificate {
		t.Helper()
		certificate, private := newCertificate(t, names...)
		res, err := certificates.ImportCertificate(ctx, &configv1.ImportCertificateRequest{Certificate: &configv1.Certificate{
			CertificatePem: certificate, PrivateKeyPem: private,
		}})
		if err != nil {
			t.Fatal(body(err))
		}
		return res.GetCertificate()
	}
	c := imported("www.x.test", "*.y.test")
	_, err := r.create(ctx, showing(simple("ref", "www.x.test", "a.b.y.test", "z.test"), c.GetName()))
	wantError(t, "C2.43, C2.345: aliases that are not covered", err, codes.InvalidArgument, "INVALID_VIEWER_CERTIFICATE")
	if text := body(err); !strings.Contains(text, "config.aliases[1]") || !strings.Contains(text, "config.aliases[2]") || strings.Contains(text, "config.aliases[0]") {
		t.Errorf("C2.2: all at once: %s", text)
	}
	_, err = r.create(ctx, showing(simple("ref"), "certificates/00000000-0000-4000-8000-000000000000"))
	wantError(t, "C2.204: no such certificate", err, codes.FailedPrecondition, "ENTITY_NOT_FOUND")
	old := showing(simple("ref", "www.x.test"), c.GetName())
	old.Config.ViewerCertificate.MinimumProtocolVersion = commonv1.TlsPolicy_TLS_POLICY_SSLV3
	_, err = r.create(ctx, old)
	wantError(t, "D1.11: SSLv3", err, codes.Unimplemented, "UNSUPPORTED_OPERATION")

	made := must[*configv1.CreateDistributionResponse](t)(r.CreateDistribution(ctx, &configv1.CreateDistributionRequest{
		Distribution: showing(simple("ref", "www.x.test", "*.y.test"), c.GetName()),
	}))
	d := made.GetDistribution()
	if got := d.GetConfig().GetViewerCertificate().GetMinimumProtocolVersion(); got != commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2021 || len(made.GetWarnings()) > 0 {
		t.Errorf("C2.128: %v, warnings %q", got, made.GetWarnings())
	}
	_, err = r.update(ctx, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{"new.test"}}}, "config.aliases")
	wantError(t, "C3.48: a new alias", err, codes.InvalidArgument, "INVALID_VIEWER_CERTIFICATE")
	_, err = certificates.DeleteCertificate(ctx, &configv1.DeleteCertificateRequest{Name: c.GetName()})
	wantError(t, "C1.67: in use", err, codes.FailedPrecondition, "CERTIFICATE_IN_USE")
	narrow, private := newCertificate(t, "www.x.test")
	_, err = certificates.RotateCertificate(ctx, &configv1.RotateCertificateRequest{Name: c.GetName(), CertificatePem: narrow, PrivateKeyPem: private})
	wantError(t, "C8.53: rotated to one that covers less", err, codes.FailedPrecondition, "CERTIFICATE_IN_USE")
	wide, private := newCertificate(t, "www.x.test", "*.y.test", "z.test")
	rotated := must[*configv1.RotateCertificateResponse](t)(certificates.RotateCertificate(ctx, &configv1.RotateCertificateRequest{
		Name: c.GetName(), CertificatePem: wide, PrivateKeyPem: private,
	}))
	if got := rotated.GetCertificate(); got.GetReferencedByCount() != 1 || got.GetGeneration() != 2 {
		t.Errorf("C1.81: %v", got)
	}
	sound(t, kv)
	r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: simple("", "www.x.test").GetConfig()})
	if _, err := certificates.DeleteCertificate(ctx, &configv1.DeleteCertificateRequest{Name: c.GetName()}); err != nil {
		t.Errorf("C1.67: no longer in use: %s", body(err))
	}
	sound(t, kv)
}
