// SPDX-License-Identifier: Apache-2.0

package survival

import (
	"bufio"
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
	"io"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/fleet"
	"github.com/seafront-cdn/seafront/test/internal/program"
)

// authority signs certificates; nobody but the test believes it.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the test"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// sign makes a certificate, of the authority itself while it has none.
func (a *authority) sign(t *testing.T, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// issue makes a certificate for a name as the API takes it.
func (a *authority) issue(t *testing.T, serial int64, name string) *configv1.Certificate {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &configv1.Certificate{
		CertificatePem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		PrivateKeyPem:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

// secured is a distribution with a certificate, on an edge.
type secured struct {
	cdn     *fleet.Control
	edge    *fleet.Edge
	roots   *x509.CertPool
	name    string // of the distribution
	alias   string
	serials struct{ old, new int64 }
}

// deployed waits until both edges, that of the control plane too, serve the distribution.
func (s *secured) deployed(t *testing.T, name string) {
	t.Helper()
	s.cdn.API.WatchUntil(t, name, time.Minute, func(r *control.Rollout) bool {
		return r.Deployment.GetState() == commonv1.Deployment_STATE_DEPLOYED && r.Deployment.GetEdgesCurrent() == 2
	})
}

func (s *secured) config(versions ...string) *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: s.alias, NextProtos: versions}
}

// dial makes a connection by TLS, which ends when it stands still.
func (s *secured) dial(cfg *tls.Config) (*tls.Conn, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", s.edge.HTTPS, cfg)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(2 * time.Minute))
}

// ask asks for a page over a connection by HTTP/1.1.
func ask(c *tls.Conn, r *bufio.Reader, host string) (int, error) {
	if _, err := io.WriteString(c, "GET /page HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func serial(c *tls.Conn) int64 { return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64() }

// TestCertificateOfADistribution brings a certificate by the API into etcd and from there
// to viewers, who verify it against its own authority; then it is replaced while viewers
// keep connecting.
func TestCertificateOfADistribution(t *testing.T) {
	t.Parallel()
	ca, origin := newAuthority(t), startSite(t)
	s := &secured{cdn: fleet.Start(t, 0), roots: x509.NewCertPool(), alias: "www.secure.test"}
	s.serials.old, s.serials.new = 1001, 1002
	s.roots.AddCert(ca.cert)
	s.edge = s.cdn.Edge(t, fleet.Spec{ID: "secure", Env: []string{"SEAFRONT_ACCESS_LOG=off", "SEAFRONT_IDLE_TIMEOUT=5m"}})
	imported, err := s.cdn.API.Certificates.ImportCertificate(t.Context(), &configv1.ImportCertificateRequest{
		Certificate: ca.issue(t, s.serials.old, s.alias),
	})
	if err != nil {
		t.Fatal(err)
	}
	certificate := imported.GetCertificate().GetName()
	site := control.Site(fleet.Origin(t, origin.address))
	site.Aliases = []string{s.alias}
	site.ViewerCertificate = &configv1.ViewerCertificate{
		Certificate: certificate, MinimumProtocolVersion: commonv1.TlsPolicy_TLS_POLICY_TLSV1_1_2016,
	}
	s.name = s.cdn.API.Create(t, "secure", site).GetName()
	other := control.Site(fleet.Origin(t, origin.address))
	other.Aliases = []string{"www.other.test"}
	otherName := s.cdn.API.Create(t, "other", other).GetName()
	s.deployed(t, s.name)
	s.deployed(t, otherName)

	s.checkProtocols(t)
	s.checkHosts(t)
	s.checkOldestVersion(t)
	s.checkRotation(t, certificate, ca.issue(t, s.serials.new, s.alias))
}

// checkProtocols fetches by both versions of HTTP, by name.
func (s *secured) checkProtocols(t *testing.T) {
	t.Helper()
	for _, major := range []int{1, 2} {
		var protocols http.Protocols
		protocols.SetHTTP1(major == 1)
		protocols.SetHTTP2(major == 2)
		transport := &http.Transport{
			Protocols: &protocols, DisableCompression: true, TLSClientConfig: &tls.Config{RootCAs: s.roots},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, s.edge.HTTPS)
			},
		}
		res, err := (&http.Client{Transport: transport}).Get("https://" + s.alias + "/page")
		if err != nil {
			t.Fatalf("HTTP/%d: %v", major, err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		if err != nil || res.StatusCode != 200 || res.ProtoMajor != major || string(body) != string(content("/page")) {
			t.Errorf("HTTP/%d: %s %s, %d bytes, %v", major, res.Proto, res.Status, len(body), err)
		}
		if n := res.TLS.PeerCertificates[0].SerialNumber.Int64(); n != s.serials.old {
			t.Errorf("HTTP/%d: certificate %d, want %d", major, n, s.serials.old)
		}
	}
}

// checkHosts asks for a host that the certificate is not good for, of another distribution.
func (s *secured) checkHosts(t *testing.T) {
	t.Helper()
	for _, tt := range []struct {
		host string
		want int
	}{{s.alias, 200}, {"www.other.test", 421}} {
		c, err := s.dial(s.config("http/1.1"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ask(c, bufio.NewReader(c), tt.host); err != nil || got != tt.want {
			t.Errorf("D2.7: %s on a connection for %s: %d, %v, want %d", tt.host, s.alias, got, err, tt.want)
		}
		_ = c.Close()
	}
}

// checkOldestVersion shows TLS 1.1 before and after the policy refuses it.
func (s *secured) checkOldestVersion(t *testing.T) {
	t.Helper()
	old := s.config()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	c, err := s.dial(old)
	if err != nil {
		t.Fatalf("TLS 1.1 where the policy allows it: %v", err)
	}
	_ = c.Close()
	s.cdn.API.Update(t.Context(), t, s.name, func(c *configv1.DistributionConfig) {
		c.ViewerCertificate.MinimumProtocolVersion = commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2021
	}, "viewer_certificate")
	s.deployed(t, s.name)
	if c, err := s.dial(old); err == nil {
		t.Errorf("TLS 1.1 where the policy refuses it: version %x", c.ConnectionState().Version)
		_ = c.Close()
	}
}

// checkRotation replaces the certificate while viewers keep connecting. No handshake
// fails, each shows the old one or the new one and never the old one after the new one,
// and a connection from before goes on.
func (s *secured) checkRotation(t *testing.T, certificate string, next *configv1.Certificate) {
	t.Helper()
	before, err := s.dial(s.config("http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	kept := bufio.NewReader(before)
	if got, err := ask(before, kept, s.alias); err != nil || got != 200 {
		t.Fatalf("before the rotation: %d, %v", got, err)
	}
	going, end := context.WithCancel(t.Context())
	defer end()
	var shakes [2]atomic.Int64 // by the old one and by the new one
	viewers, failed := errgroup.WithContext(going)
	for range 3 {
		viewers.Go(func() error { return s.keepConnecting(failed, &shakes) })
	}
	some := func(which int) {
		t.Helper()
		from := shakes[which].Load()
		program.Await(t, fmt.Sprintf("handshakes with certificate %d", s.serials.old+int64(which)), time.Minute, func(context.Context) error {
			if failed.Err() != nil {
				t.Fatal(viewers.Wait())
			}
			if shakes[which].Load() < from+20 {
				return errors.New("too few")
			}
			return nil
		})
	}
	some(0)
	if _, err := s.cdn.API.Certificates.RotateCertificate(t.Context(), &configv1.RotateCertificateRequest{
		Name: certificate, CertificatePem: next.GetCertificatePem(), PrivateKeyPem: next.GetPrivateKeyPem(),
	}); err != nil {
		t.Fatal(err)
	}
	some(1)
	end()
	if err := viewers.Wait(); err != nil {
		t.Error(err)
	}
	if got, err := ask(before, kept, s.alias); err != nil || got != 200 || serial(before) != s.serials.old {
		t.Errorf("a connection from before the rotation: %d, %v", got, err)
	}
	t.Logf("%d handshakes with the old certificate, %d with the new one", shakes[0].Load(), shakes[1].Load())
}

// keepConnecting makes one connection after the other, each with a handshake in full, and
// asks once on each.
func (s *secured) keepConnecting(ctx context.Context, shakes *[2]atomic.Int64) error {
	newest := s.serials.old
	for ctx.Err() == nil {
		c, err := s.dial(s.config("http/1.1"))
		if err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		status, err := ask(c, bufio.NewReader(c), s.alias)
		_ = c.Close()
		if err != nil || status != 200 {
			return fmt.Errorf("certificate %d: %d, %w", serial(c), status, err)
		}
		now := serial(c)
		if now < newest || now > s.serials.new {
			return fmt.Errorf("certificate %d after %d", now, newest)
		}
		newest = now
		shakes[now-s.serials.old].Add(1)
		time.Sleep(5 * time.Millisecond) // leaves something of the machine to others
	}
	return nil
}
