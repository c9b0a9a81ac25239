// SPDX-License-Identifier: Apache-2.0

package sni

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

func pair(t testing.TB, serial int64, names ...string) (certificate, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: names, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// world is a configuration that can be changed, and the default certificate.
type world struct {
	t        testing.TB
	revision int64
	current  atomic.Pointer[snapshot.Snapshot]
	fallback tls.Certificate
}

func (w *world) Current() *snapshot.Snapshot { return w.current.Load() }

func newWorld(t testing.TB) (*world, *Chooser) {
	t.Helper()
	w := &world{t: t}
	w.current.Store(snapshot.Empty())
	certificate, private := pair(t, 1, "cdn.test", "*.cdn.test")
	var err error
	if w.fallback, err = tls.X509KeyPair([]byte(certificate), []byte(private)); err != nil {
		t.Fatal(err)
	}
	return w, New(w, func() *tls.Certificate { return &w.fallback })
}

func (w *world) put(c keys.Collection, id string, m proto.Message) {
	w.t.Helper()
	resource, err := proto.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	value, err := keys.Encode(&storev1.Record{Resource: resource})
	if err != nil {
		w.t.Fatal(err)
	}
	w.revision++
	next, _ := w.Current().Apply(w.revision, []snapshot.Change{{Key: keys.Resource(c, id), Value: value, ModRevision: w.revision}})
	if r := next.Rejections(); len(r) > 0 {
		w.t.Fatal(r)
	}
	w.current.Store(next)
}

// certificate puts a certificate whose serial number tells it from others.
func (w *world) certificate(id string, serial int64, names ...string) {
	w.t.Helper()
	certificate, private := pair(w.t, serial, names...)
	w.put(keys.Certificates, id, &configv1.Certificate{CertificatePem: certificate, PrivateKeyPem: private})
}

// site puts a distribution with a certificate for its aliases, if one is named.
func (w *world) site(id, certificate string, policy commonv1.TlsPolicy, version configv1.HttpVersion, aliases ...string) {
	w.t.Helper()
	d := &configv1.Distribution{DomainName: id + ".cdn.test", Config: &configv1.DistributionConfig{
		Enabled: true, HttpVersion: version, Aliases: aliases,
		Origins: []*configv1.Origin{{Id: "o", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{
			Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{Host: "o.test", ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY}},
		}}}},
		DefaultCacheBehavior: &configv1.CacheBehavior{
			TargetOriginId: "o", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
			Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/x"},
		},
	}}
	if certificate != "" {
		d.Config.ViewerCertificate = &configv1.ViewerCertificate{Certificate: "certificates/" + certificate, MinimumProtocolVersion: policy}
	}
	w.put(keys.Distributions, id, d)
}

// shake makes a handshake and reads one byte, with which tickets come.
func shake(t testing.TB, server *tls.Config, offer *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		far, err := l.Accept()
		if err != nil {
			return
		}
		defer far.Close()
		if c := tls.Server(far, server); c.Handshake() == nil {
			_, _ = c.Write([]byte{0})
		}
	}()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = near.Close()
		<-done
	}()
	offer.InsecureSkipVerify = true
	c := tls.Client(near, offer)
	if err := c.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err = c.Read(make([]byte, 1))
	return c.ConnectionState(), err
}

func TestChoice(t *testing.T) {
	const http1, http2 = configv1.HttpVersion_HTTP_VERSION_HTTP1_1, configv1.HttpVersion_HTTP_VERSION_HTTP2
	w, c := newWorld(t)
	w.certificate("wide", 2, "*.x.test")
	w.certificate("narrow", 3, "www.x.test")
	w.site("wide", "wide", 0, http2, "*.x.test")
	w.site("narrow", "narrow", 0, http1, "www.x.test")
	w.site("none", "", 0, http2, "plain.test")
	for _, tt := range []struct {
		rule, name string
		serial     int64
		protocol   string
	}{
		{"D1.5: exact beats wildcard", "www.x.test", 3, "http/1.1"},
		{"D1.5: wildcard", "a.x.test", 2, "h2"},
		{"D1.5: in any case", "A.X.Test", 2, "h2"},
		{"D1.6: no name", "", 1, "http/1.1"},
		{"design §5: an alias without a certificate", "plain.test", 1, "h2"},
		{"D1.6: a generated name", "wide.cdn.test", 1, "h2"},
		{"D1.6: a name of nobody", "other.test", 1, "h2"},
	} {
		state, err := shake(t, c.TLS(), &tls.Config{ServerName: tt.name, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Errorf("%s: %v", tt.rule, err)
			continue
		}
		if got := state.PeerCertificates[0].SerialNumber.Int64(); got != tt.serial || state.NegotiatedProtocol != tt.protocol {
			t.Errorf("%s: certificate %d, %s; want %d, %s", tt.rule, got, state.NegotiatedProtocol, tt.serial, tt.protocol)
		}
	}
}

// TestPolicies is the table of D1.11, and D1.12 by what each policy is the first or the
// last to offer.
func TestPolicies(t *testing.T) {
	const gcm, chacha, cbc256, plain, cbc, triple = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA
	w, c := newWorld(t)
	w.certificate("c", 2, "www.x.test")
	for _, tt := range []struct {
		policy commonv1.TlsPolicy
		least  uint16
		suites []uint16 // of those above
	}{
		{commonv1.TlsPolicy_TLS_POLICY_TLSV1, tls.VersionTLS10, []uint16{gcm, chacha, cbc256, plain, cbc, triple}},
		{commonv1.TlsPolicy_TLS_POLICY_TLSV1_2016, tls.VersionTLS10, []uint16{gcm, chacha, cbc256, plain, cbc}},
		{commonv1.TlsPolicy_TLS_POLICY_TLSV1_1_2016, tls.VersionTLS11, []uint16{gcm, chacha, cbc256, plain, cbc}},
		{commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2018, tls.VersionTLS12, []uint16{gcm, chacha, cbc256, plain}},
		{commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2019, tls.VersionTLS12, []uint16{gcm, chacha, cbc256}},
		{commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2021, tls.VersionTLS12, []uint16{gcm, chacha}},
		{commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2025, tls.VersionTLS12, []uint16{gcm}},
		{commonv1.TlsPolicy_TLS_POLICY_TLSV1_3_2025, tls.VersionTLS13, nil},
	} {
		w.site("s", "c", tt.policy, 0, "www.x.test")
		for version := uint16(tls.VersionTLS10); version <= tls.VersionTLS13; version++ {
			state, err := shake(t, c.TLS(), &tls.Config{ServerName: "www.x.test", MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
			if (err == nil) != (version >= tt.least) {
				t.Errorf("D1.11: %v: %s: %v", tt.policy, tls.VersionName(version), err)
			}
			if err == nil && (state.NegotiatedProtocol == "h2") != (version >= tls.VersionTLS12) {
				t.Errorf("D1.2: %s: %s", tls.VersionName(version), state.NegotiatedProtocol)
			}
		}
		own, policy, _ := w.Current().Certificate("www.x.test")
		_, suites := offered(policy)
		for _, suite := range []uint16{gcm, chacha, cbc256, plain, cbc, triple} {
			if got, want := slices.Contains(suites, suite), slices.Contains(tt.suites, suite); got != want {
				t.Errorf("D1.12: %v: %s is offered: %v", tt.policy, tls.CipherSuiteName(suite), got)
			}
		}
		if own == nil {
			t.Errorf("%v: no certificate", tt.policy)
		}
	}
}

// TestResumption: a changed distribution and a rotated certificate end no session.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		w, c := newWorld(t)
		w.certificate("c", 2, "www.x.test")
		w.site("s", "c", 0, 0, "www.x.test")
		server, sessions := c.TLS(), tls.NewLRUClientSessionCache(4)
		for step, change := range []func(){
			func() {},
			func() {},
			func() { w.site("other", "", 0, 0, "plain.test") },
			func() { w.site("s", "c", 0, 0, "www.x.test", "www2.x.test") },
			func() { w.certificate("c", 3, "www.x.test") },
		} {
			change()
			state, err := shake(t, server, &tls.Config{ServerName: "www.x.test", MaxVersion: version, ClientSessionCache: sessions})
			if err != nil || state.DidResume != (step > 0) {
				t.Errorf("design 3.2: %s, step %d: resumed %v, %v", tls.VersionName(version), step, state.DidResume, err)
			}
		}
	}
}

func TestFronts(t *testing.T) {
	w, c := newWorld(t)
	w.certificate("c", 2, "www.x.test", "*.y.test")
	w.site("s", "c", 0, 0, "www.x.test", "*.y.test")
	w.site("other", "", 0, 0, "plain.test")
	for _, tt := range []struct {
		rule, name, host string
		want             bool
	}{
		{"D2.7: the same", "www.x.test", "www.x.test", false},
		{"D2.7: in another case, with a port", "WWW.x.test.", "www.X.test:8443", false},
		{"D2.7: covered by the certificate", "www.x.test", "a.y.test", false},
		{"D2.7: one label alone", "www.x.test", "a.b.y.test", true},
		{"D2.7: somebody else's", "www.x.test", "plain.test", true},
		{"D2.7: a generated name", "www.x.test", "s.cdn.test", true},
		{"D2.7: covered by the default certificate", "other.cdn.test", "s.cdn.test", false},
		{"D2.7: not covered by it", "other.cdn.test", "www.x.test", true},
		{"D2.7: without a certificate of its own", "plain.test", "plain.test", false},
		{"D2.6: no host", "www.x.test", "a b", false},
	} {
		fronts := c.Fronts(tt.name)
		if got := fronts(tt.host); got != tt.want {
			t.Errorf("%s: %s by %s: %v", tt.rule, tt.host, tt.name, got)
		}
	}
	if c.Fronts("") != nil {
		t.Error("D2.7: a viewer without a name")
	}
	fronts := c.Fronts("www.x.test")
	if n := testing.AllocsPerRun(100, func() { fronts("www.x.test"); fronts("a.y.test") }); n > 0 {
		t.Errorf("asking allocates %v times", n)
	}
}

func TestInterning(t *testing.T) {
	w, c := newWorld(t)
	w.certificate("c", 2, "www.x.test")
	w.site("s", "c", 0, 0, "www.x.test")
	hello := &tls.ClientHelloInfo{ServerName: "www.x.test"}
	first, _ := c.choose(hello)
	w.site("other", "", 0, 0, "plain.test")
	if second, _ := c.choose(hello); second != first {
		t.Error("design 3.2: another change makes another configuration")
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = c.choose(hello) }); n > 0 {
		t.Errorf("choosing allocates %v times", n)
	}
}
