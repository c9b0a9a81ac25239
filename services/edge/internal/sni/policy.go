// SPDX-License-Identifier: Apache-2.0

package sni

import (
	"crypto/tls"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// offered is the row of a security policy in the tables of D1.11 and D1.12, without the
// ciphers that crypto/tls does not have. It chooses their order itself, and those of TLS
// 1.3 are not for choice.
func offered(p snapshot.SecurityPolicy) (least uint16, suites []uint16) {
	if p == snapshot.TLSv13At2025 {
		return tls.VersionTLS13, nil
	}
	suites = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
	if p == snapshot.TLSv12At2025 {
		return tls.VersionTLS12, suites
	}
	suites = append(suites, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)
	if p == snapshot.TLSv12At2021 {
		return tls.VersionTLS12, suites
	}
	suites = append(suites, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256)
	if p == snapshot.TLSv12At2019 {
		return tls.VersionTLS12, suites
	}
	suites = append(suites, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA256)
	if p == snapshot.TLSv12At2018 {
		return tls.VersionTLS12, suites
	}
	suites = append(suites,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA)
	switch p {
	case snapshot.TLSv11At2016:
		return tls.VersionTLS11, suites
	case snapshot.TLSv1At2016:
		return tls.VersionTLS10, suites
	}
	return tls.VersionTLS10, append(suites, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA)
}

// curves are those of D1.13 that crypto/tls has.
func curves() []tls.CurveID {
	return []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384}
}
