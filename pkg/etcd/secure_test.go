// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	File string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.make("authority", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.File = a.write("authority.crt", "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *authority) make(name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue makes a certificate for 127.0.0.1 with a common name.
func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	c, k := a.make(name, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".crt", "CERTIFICATE", c.Raw), a.write(name+".key", "EC PRIVATE KEY", der)
}

// user is credentials by certificate.
func (a *authority) user(name string) etcd.Credentials {
	cert, key := a.issue(name)
	return etcd.Credentials{EtcdCA: a.File, EtcdCert: cert, EtcdKey: key}
}

func dial(t *testing.T, m *etcdtest.Member, c etcd.Credentials) *clientv3.Client {
	t.Helper()
	client, err := c.Dial([]string{m.Endpoint()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// enableAuth makes root, who has a password, and switches users on.
func enableAuth(t *testing.T, root *clientv3.Client, password string) {
	t.Helper()
	if _, err := root.UserAdd(t.Context(), "root", password); err != nil {
		t.Fatal(err)
	}
	if _, err := root.UserGrantRole(t.Context(), "root", "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := root.AuthEnable(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRights has users by certificate on a real etcd do what they may and what they
// may not (C8.100, C8.101).
func TestRights(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue("server")
	m := etcdtest.Start(t, func(c *embedded.Config) { c.TLS = &embedded.TLS{Cert: cert, Key: key, ClientCA: a.File} })
	root := dial(t, m, a.user("root"))
	for name, r := range map[string][2]string{
		"config": {keys.ConfigProgram}, "origin-registry": {keys.RegistryProgram}, "edge-e1": {keys.EdgeProgram, "e1"},
	} {
		rights, err := keys.Rights(r[0], r[1])
		if err != nil {
			t.Fatal(err)
		}
		grants := []etcd.Grant{{From: "old"}} // of an earlier release
		for range 2 {
			if err := etcd.SetRole(t.Context(), root, name, grants); err != nil {
				t.Fatal(err)
			}
			grants = nil
			for _, x := range rights {
				grants = append(grants, etcd.Grant(x))
			}
		}
	}
	for range 2 {
		if err := etcd.DemandUsers(t.Context(), root); err != nil {
			t.Fatal(err)
		}
	}
	var (
		distribution = keys.Resource(keys.Distributions, "E1")
		origin       = keys.Resource(keys.Origins, "o")
		control      = keys.Resource(keys.OriginAccessControls, "E1")
		request      = keys.Resource(keys.OriginRequestPolicies, "p") // lies between the two
		all          = []string{distribution, origin, control, request, keys.Epoch, keys.Host("a.test"), keys.Edge("e1"), keys.Edge("e2"), keys.EdgeIntent("e1"), keys.EdgeStatus("e1"), keys.EdgeStatus("e2"), "old"}
	)
	for _, tt := range []struct{ user, reads, writes string }{
		{"config", strings.Join(all[:11], " "), strings.Join([]string{distribution, request, keys.Epoch, keys.Host("a.test"), keys.Edge("e1"), keys.Edge("e2"), keys.EdgeIntent("e1")}, " ")},
		{"origin-registry", strings.Join([]string{distribution, origin, control, request, keys.Epoch}, " "), strings.Join([]string{origin, control}, " ")},
		{"edge-e1", strings.Join([]string{distribution, origin, control, request, keys.Epoch, keys.Edge("e1"), keys.Edge("e2"), keys.EdgeIntent("e1"), keys.EdgeStatus("e1")}, " "), strings.Join([]string{keys.Edge("e1"), keys.EdgeStatus("e1")}, " ")},
	} {
		t.Run(tt.user, func(t *testing.T) {
			c := dial(t, m, a.user(tt.user))
			if err := etcd.Greet(t.Context(), c); err != nil {
				t.Errorf("greeted with %v", err)
			}
			may := func(list, key string) bool { return strings.Contains(" "+list+" ", " "+key+" ") }
			for _, key := range all {
				_, err := c.Get(t.Context(), key)
				if denied := errors.Is(err, rpctypes.ErrPermissionDenied); denied == may(tt.reads, key) || err != nil && !denied {
					t.Errorf("C8.101: reads %s: %v", key, err)
				}
				_, err = c.Put(t.Context(), key, "")
				if denied := errors.Is(err, rpctypes.ErrPermissionDenied); denied == may(tt.writes, key) || err != nil && !denied {
					t.Errorf("C8.101: writes %s: %v", key, err)
				}
			}
			from, to := keys.EdgeFrom, keys.EdgeTo
			if tt.user == "config" {
				to = keys.ConfigTo
			}
			_, err := c.Get(t.Context(), from, clientv3.WithRange(to), clientv3.WithLimit(1))
			if denied := err != nil; denied != (tt.user == "origin-registry") {
				t.Errorf("lists what it watches: %v", err)
			}
		})
	}
	if _, err := keys.Rights("someone", ""); err == nil {
		t.Error("rights for a program that is unknown")
	}
}

// TestPassword logs in by a password, and goes on when tokens cease to be good.
func TestPassword(t *testing.T) {
	m := etcdtest.Start(t)
	file := filepath.Join(t.TempDir(), "password")
	set := func(password string) {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("secret")
	who := etcd.Credentials{EtcdUser: "root", EtcdPasswordFile: file}
	m.Stop()
	c := dial(t, m, who) // at once, without etcd
	m.Restart(t)
	if err := etcd.Greet(t.Context(), c); err != nil {
		t.Errorf("before users are switched on: %v", err)
	}
	c = dial(t, m, who)
	enableAuth(t, m.Client(t), "secret")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	put := must[*clientv3.PutResponse](t)
	put(c.Put(ctx, "k", "1")) // the first use after users are switched on
	// Each change of users makes every token old; a restarted member has forgotten them.
	if _, err := c.RoleAdd(ctx, "r"); err != nil {
		t.Fatal(err)
	}
	put(c.Put(ctx, "k", "2"))
	m.Restart(t)
	again := dial(t, m, who)
	put(again.Put(ctx, "k", "3"))
	watch := again.Watch(ctx, "k")
	put(again.Put(ctx, "k", "4"))
	if got := <-watch; got.Err() != nil || len(got.Events) != 1 {
		t.Errorf("a watch after new tokens: %v", got.Err())
	}
	m.Restart(t)
	for {
		if _, err := again.Put(ctx, "k", "5"); err == nil {
			break
		} else if !etcd.Unavailable(err) {
			t.Fatalf("a token that a restarted member does not know: %v", err)
		}
	}
	set("wrong")
	if err := etcd.Greet(ctx, dial(t, m, who)); err == nil || !strings.Contains(err.Error(), "--etcd-user") {
		t.Errorf("wrong password: %v", err)
	}
	if err := etcd.Greet(ctx, m.Client(t)); err == nil || !strings.Contains(err.Error(), "demands a user") {
		t.Errorf("no user: %v", err)
	}
}

func TestWrongCredentials(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	cert, key := a.issue("server")
	m := etcdtest.Start(t, func(c *embedded.Config) { c.TLS = &embedded.TLS{Cert: cert, Key: key, ClientCA: a.File} })
	plain := etcdtest.Start(t)
	good, foreign := a.user("x"), other.user("x")
	for _, tt := range []struct {
		name string
		to   *etcdtest.Member
		c    etcd.Credentials
		want string // "" for none
	}{
		{"good", m, good, ""},
		{"wrong authority", m, etcd.Credentials{EtcdCA: other.File, EtcdCert: good.EtcdCert, EtcdKey: good.EtcdKey}, "not signed by an authority of --etcd-ca"},
		{"no certificate", m, etcd.Credentials{EtcdCA: a.File}, "--etcd-cert"},
		{"a certificate of another authority", m, etcd.Credentials{EtcdCA: a.File, EtcdCert: foreign.EtcdCert, EtcdKey: foreign.EtcdKey}, "--etcd-cert"},
		{"etcd speaks no TLS", plain, good, "hangs up on TLS"},
		{"etcd is away is no fault of credentials", nil, good, ""},
	} {
		endpoint := "127.0.0.1:1"
		if tt.to != nil {
			endpoint = tt.to.Endpoint()
		}
		c, err := tt.c.Dial([]string{endpoint})
		if err != nil {
			t.Fatal(err)
		}
		err = etcd.Greet(t.Context(), c)
		_ = c.Close()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	missing := filepath.Join(t.TempDir(), "none")
	for want, c := range map[string]etcd.Credentials{
		"--etcd-ca":            {EtcdCA: missing},
		"holds no certificate": {EtcdCA: good.EtcdKey},
		"--etcd-key belong":    {EtcdCert: good.EtcdCert},
		"--etcd-cert":          {EtcdCert: missing, EtcdKey: missing},
		"--etcd-password-file": {EtcdUser: "x", EtcdPasswordFile: missing},
		"belong together":      {EtcdUser: "x"},
	} {
		if _, err := c.Dial([]string{"127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	if _, err := good.Dial([]string{"http://127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("TLS to an http endpoint: %v", err)
	}
}
