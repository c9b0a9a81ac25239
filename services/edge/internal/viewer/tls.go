// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"crypto/tls"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// serverTLS chooses by the name that the viewer asks for. There are two configs, made
// once and shared by all connections; session tickets are the same for both, so a
// change of configuration ends no session (design 3.2). Go never renegotiates (D1.4).
func serverTLS(cert *Certificate, snapshots interface{ Current() *snapshot.Snapshot }) *tls.Config {
	// The default certificate is for everyone, with or without a name (D1.6).
	http1 := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get, NextProtos: []string{"http/1.1"}}
	http2 := http1.Clone()
	http2.NextProtos = []string{"h2", "http/1.1"}
	out := http2.Clone()
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "" {
			return http1, nil // D1.2
		}
		name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
		if d, ok := snapshots.Current().Match(name); ok && !d.HTTP2 {
			return http1, nil // D1.1
		}
		return http2, nil
	}
	return out
}
