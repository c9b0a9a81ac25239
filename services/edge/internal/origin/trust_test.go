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
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue signs a certificate; a nil authority is the certificate's own.
func (a *authority) issue(t *testing.T, tmpl *x509.Certificate) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if tmpl.NotAfter.IsZero() {
		tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	tmpl.SerialNumber, tmpl.BasicConstraintsValid = big.NewInt(1), true
	parent, signer := tmpl, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func ca(name string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
}

func named(names ...string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, DNSNames: names}
}

func TestVerifyPeer(t *testing.T) {
	root := (*authority)(nil).issue(t, ca("root"))
	middle := root.issue(t, ca("middle"))
	fenced := ca("fenced")
	fenced.PermittedDNSDomains = []string{"x.test"}
	narrow := root.issue(t, fenced)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)

	old := named("a.test")
	old.NotBefore, old.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	early := named("a.test")
	early.NotBefore, early.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	client := named("a.test")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	address := &x509.Certificate{IPAddresses: []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")}}
	common := &x509.Certificate{Subject: pkix.Name{CommonName: "a.test"}}
	both := &x509.Certificate{Subject: pkix.Name{CommonName: "a.test"}, DNSNames: []string{"b.test"}}

	good := middle.issue(t, named("a.test")).cert
	for _, tt := range []struct {
		name  string
		sent  []*x509.Certificate
		names []string
		want  bool
	}{
		{"D16.6: complete chain", certs(good, middle), []string{"a.test"}, true},
		{"D16.6: with the root", certs(good, middle, root), []string{"a.test"}, true},
		{"D16.6: the second name", certs(good, middle), []string{"b.test", "a.test"}, true},
		{"D16.6: neither name", certs(good, middle), []string{"b.test", "c.test"}, false},
		{"D16.6: no name", certs(good, middle), nil, false},
		{"D16.6: an empty name", certs(good, middle), []string{"", ""}, false},
		{"D16.6: a trailing dot", certs(good, middle), []string{"a.test."}, true},
		{"D16.6: chain not complete", certs(good), []string{"a.test"}, false},
		{"D16.6: chain out of order", certs(good, root, middle), []string{"a.test"}, false},
		{"D16.6: expired", certs(root.issue(t, old).cert), []string{"a.test"}, false},
		{"D16.6: not yet valid", certs(root.issue(t, early).cert), []string{"a.test"}, false},
		{"D16.6: self-signed", certs((*authority)(nil).issue(t, named("a.test")).cert), []string{"a.test"}, false},
		{"for clients", certs(root.issue(t, client).cert), []string{"a.test"}, false},
		{"D16.6: wildcard", certs(root.issue(t, named("*.a.test")).cert), []string{"b.a.test"}, true},
		{"D16.6: wildcard, two labels", certs(root.issue(t, named("*.a.test")).cert), []string{"c.b.a.test"}, false},
		{"D16.6: IPv4", certs(root.issue(t, address).cert), []string{"192.0.2.1"}, true},
		{"D16.6: IPv6", certs(root.issue(t, address).cert), []string{"2001:db8::1"}, true},
		{"D16.6: IPv6 in brackets", certs(root.issue(t, address).cert), []string{"[2001:db8::1]"}, true},
		{"D16.6: another address", certs(root.issue(t, address).cert), []string{"192.0.2.2"}, false},
		{"D16.6: common name", certs(root.issue(t, common).cert), []string{"a.test"}, true},
		{"D16.6: common name beside others", certs(root.issue(t, both).cert), []string{"a.test"}, false},
		{"common name below a constrained authority", certs(narrow.issue(t, common).cert, narrow), []string{"a.test"}, false},
		{"none", nil, []string{"a.test"}, false},
	} {
		if err := verifyPeer(tt.sent, pool, tt.names...); (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// certs lists a certificate and those of authorities.
func certs(leaf *x509.Certificate, above ...*authority) []*x509.Certificate {
	out := []*x509.Certificate{leaf}
	for _, a := range above {
		out = append(out, a.cert)
	}
	return out
}

// TestTLSConnectionsAreNotMixed: neither a connection nor a session that was made for
// one name or trust serves another.
func TestTLSConnectionsAreNotMixed(t *testing.T) {
	o, pool := secure(t, "localhost", &tls.Config{}, func(p *peer) {
		for p.request() != "" {
			p.reply(hello)
		}
	})
	o.Attempts, o.RootCAs = 1, pool
	c := newTestClient(t, Config{})
	mustFetch(t, c, get(o))
	if res, _ := mustFetch(t, c, get(o)); !res.Reused {
		t.Error("D16.16: not reused")
	}
	hosted := get(o)
	hosted.Host = "www.x.test" // the certificate is for the origin's name: allowed
	if res, _ := mustFetch(t, c, hosted); res.Reused {
		t.Error("D16.5: a connection with another server name")
	}
	distrusted := *o
	distrusted.RootCAs = x509.NewCertPool()
	_, err := c.Fetch(t.Context(), get(&distrusted))
	wantKind(t, err, TLS)
	narrow := *o
	narrow.TLSVersions = []uint16{tls.VersionTLS12}
	if res, _ := mustFetch(t, c, get(&narrow)); res.Reused {
		t.Error("D16.4: a connection with another set of versions")
	}
}

// TestTLSGap: the set of versions is exact, also where it has a gap.
func TestTLSGap(t *testing.T) {
	o, pool := secure(t, "localhost", &tls.Config{MaxVersion: tls.VersionTLS12}, func(p *peer) { p.answer(hello) })
	o.RootCAs, o.TLSVersions = pool, []uint16{tls.VersionTLS10, tls.VersionTLS13}
	_, err := newTestClient(t, Config{}).Fetch(t.Context(), get(o))
	wantKind(t, err, TLS)
}

// TestTLSClientCertificate: an origin that insists on one fails the request.
func TestTLSClientCertificate(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			o, pool := secure(t, "localhost", &tls.Config{MaxVersion: version, ClientAuth: tls.RequireAnyClientCert},
				func(p *peer) { p.answer(hello) })
			o.RootCAs, o.Attempts = pool, 1
			_, err := newTestClient(t, Config{}).Fetch(t.Context(), get(o))
			if e := wantKind(t, err, TLS); e.Status() != 502 {
				t.Errorf("D16.7: %d", e.Status())
			}
		})
	}
}

// TestTLSSurplus: a record behind the body spoils a kept connection, also when it has
// been taken from the socket already.
func TestTLSSurplus(t *testing.T) {
	sent := make(chan struct{})
	o, pool := secure(t, "localhost", &tls.Config{}, func(p *peer) {
		for p.request() != "" {
			if p.n > 1 {
				p.reply(hello)
				continue
			}
			p.reply(hello)
			p.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			close(sent)
			p.hang()
			return
		}
	})
	o.RootCAs = pool
	c := newTestClient(t, Config{})
	for range 3 {
		if _, body := mustFetch(t, c, get(o)); body == "evil" {
			t.Fatal("a request got bytes that nobody asked for")
		}
		<-sent
	}
}
