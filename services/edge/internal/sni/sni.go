// SPDX-License-Identifier: Apache-2.0

// Package sni chooses by the name that a viewer asks for in the TLS handshake: the
// certificate, the security policy and the HTTP versions (D1.1, D1.5, D1.6, D1.11), and
// says for which hosts a connection may then be used (D2.7). It reads the configuration
// in service at each handshake, so a change of it counts at once. Session tickets are
// the process's own and rotated by crypto/tls, so no change ends a session (design 3.2).
// It knows no connections and no requests.
package sni

import (
	"crypto/tls"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// Chooser chooses. It is safe for concurrent use.
type Chooser struct {
	snapshots interface{ Current() *snapshot.Snapshot }
	fallback  func() *tls.Certificate
	plain     *tls.Config // default certificate, HTTP/1.1
	http2     *tls.Config
}

// New returns a Chooser. Fallback is the default certificate at any time: it is shown to
// viewers without a name, and for names without a certificate of their own.
func New(snapshots interface{ Current() *snapshot.Snapshot }, fallback func() *tls.Certificate) *Chooser {
	c := &Chooser{snapshots: snapshots, fallback: fallback}
	c.plain = &tls.Config{
		MinVersion: tls.VersionTLS12, CurvePreferences: curves(), NextProtos: protocols(false),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return fallback(), nil },
	}
	c.http2 = c.plain.Clone()
	c.http2.NextProtos = protocols(true)
	return c
}

// TLS returns what a listener is served with. Go never renegotiates (D1.4).
func (c *Chooser) TLS() *tls.Config {
	out := c.http2.Clone()
	out.GetConfigForClient = c.choose
	return out
}

// choose is called once for each handshake. The ticket keys of the configurations that
// it returns are those of TLS.
func (c *Chooser) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if hello.ServerName == "" {
		return c.plain, nil // D1.2, D1.6
	}
	now, name := c.snapshots.Current(), folded(hello.ServerName)
	// HTTP/2 needs TLS 1.2 (D1.2).
	http2 := len(hello.SupportedVersions) == 0 || slices.Max(hello.SupportedVersions) >= tls.VersionTLS12
	if d, ok := now.Match(name); ok && !d.HTTP2 {
		http2 = false // D1.1
	}
	if own, policy, ok := now.Certificate(name); ok {
		return own.Interned(policy, http2, configure), nil
	}
	if http2 {
		return c.http2, nil
	}
	return c.plain, nil
}

// configure makes the configuration of a certificate, once for each security policy.
func configure(own *snapshot.Certificate, policy snapshot.SecurityPolicy, http2 bool) *tls.Config {
	least, suites := offered(policy)
	return &tls.Config{
		Certificates: []tls.Certificate{*own.TLS}, MinVersion: least, CipherSuites: suites,
		CurvePreferences: curves(), NextProtos: protocols(http2),
	}
}

// Fronts returns what says whether a request for a host has to be refused on a
// connection that was made for a name (D2.7): the host is another, and the certificate
// that was shown for the name is not good for it. Nil is for connections without a name,
// which any host may come by. What it returns does not allocate for hosts in lower case.
func (c *Chooser) Fronts(serverName string) func(host string) bool {
	if serverName == "" {
		return nil
	}
	name := folded(serverName)
	covers := c.covers(name)
	return func(host string) bool {
		folded, ok := hostname.Fold(host)
		return ok && folded != name && !covers(folded) // a host that is none gets its own answer
	}
}

// covers says whether the certificate that is shown for a name is good for another.
func (c *Chooser) covers(name string) func(host string) bool {
	if own, _, ok := c.snapshots.Current().Certificate(name); ok {
		return own.Covers
	}
	leaf := c.fallback().Leaf
	return func(host string) bool { return leaf != nil && leaf.VerifyHostname(host) == nil }
}

// folded is a server name as configured names are compared with it.
func folded(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func protocols(http2 bool) []string {
	if http2 {
		return []string{"h2", "http/1.1"}
	}
	return []string{"http/1.1"}
}
