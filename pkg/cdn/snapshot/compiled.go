// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/x509"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
)

// Distribution is the compiled form of one distribution. It is immutable.
type Distribution struct {
	// ID is the id without the collection, part of every cache key.
	ID string
	// Revision is the etcd revision of the record it was compiled from.
	Revision int64
	// Enabled is false for a distribution that refuses every viewer (D0.5).
	Enabled bool
	// RootObject replaces the path "/"; it begins with a slash. Empty: none (D12).
	RootObject string
	// HTTP2 says whether viewers may use HTTP/2 (D1.1).
	HTTP2 bool
	// CacheTagHeader is the response header that holds an object's cache tags; empty:
	// there are none (C2.35).
	CacheTagHeader string
	// ErrorTTL is the error caching minimum TTL by status (D18.3); statuses that
	// are not in it have DefaultErrorTTL.
	ErrorTTL map[int]time.Duration

	behaviors []Behavior // in order; the default one is last
	patterns  *pathpattern.List
	hosts     []string // generated name and aliases; none of a staging distribution

	certificate string         // id; empty for the default one
	security    SecurityPolicy // that goes with it
}

// DefaultErrorTTL is the error caching minimum TTL of statuses without an entry of
// their own (D18.3).
const DefaultErrorTTL = 10 * time.Second

// ProtocolPolicy is what happens to viewers by HTTP (D6).
type ProtocolPolicy uint8

// The protocol policies.
const (
	_ ProtocolPolicy = iota
	AllowAll
	HTTPSOnly
	RedirectToHTTPS
)

// Behavior is the compiled form of one cache behavior. It is immutable.
type Behavior struct {
	// Pattern is the path pattern as configured, or "*" for the default behavior.
	Pattern  string
	Protocol ProtocolPolicy
	// Methods are those that viewers may use, and those of which answers are stored.
	Methods MethodSet
	// Origin is where misses go. Behaviors of one distribution share it.
	Origin *Target

	policy  string // id of the cache policy
	request string // id of the origin request policy; empty for none
}

// Target is an origin as a distribution uses it.
type Target struct {
	// ID is the id within the distribution.
	ID string
	// Path is put before each request path; empty or "/…" without a slash at the end.
	Path string

	inline *Origin  // set when the origin is described in the distribution
	ref    string   // id in the registry otherwise
	over   override // what the distribution sets for a registered origin
	// headers are the distribution's own for a registered origin.
	headers []CustomHeader
	// setsEncoding: Accept-Encoding is among headers; hidesEncoding: without a value.
	setsEncoding, hidesEncoding bool
}

// CachePolicy is the compiled form of a cache policy. It is immutable.
type CachePolicy struct {
	ID string
	// Semantics says which rules of caching apply (design 3.16).
	Semantics Semantics
	// Min, Def and Max are the TTLs of D13.1. By the semantics of HTTP Min is 0, Def the
	// lifetime of answers without one of their own, 0 for none, and Max caps all.
	Min, Def, Max time.Duration
	// Heuristic says that Last-Modified makes a lifetime where nothing else does (RFC
	// 9111 §4.2.2). Only by the semantics of HTTP.
	Heuristic bool
	// CacheStatus says that answers bear Cache-Status (RFC 9211).
	CacheStatus bool
	// Key tells which parts of a request are in the cache key.
	Key cachekey.Policy
	// CookiesForwarded says that any cookie goes to the origin (D14.4, D14.9).
	CookiesForwarded bool
	// Headers are the names in the key, as configured.
	Headers []string
}

// Semantics is which rules of caching apply (design 3.16).
type Semantics uint8

// The semantics.
const (
	_ Semantics = iota
	// CloudFrontSemantics: the settings of the distribution decide (D13, D14, D18).
	CloudFrontSemantics
	// HTTPSemantics: RFC 9111 as written.
	HTTPSemantics
)

// Scheme is how an edge talks to an origin (D16.2).
type Scheme uint8

// The schemes.
const (
	_ Scheme = iota
	HTTP
	HTTPS
	MatchViewer
)

// Family is which addresses of an origin are dialled (D16.1).
type Family uint8

// The families.
const (
	_ Family = iota
	IPv4
	IPv6
	DualStack
)

// Origin is the compiled form of a server or bucket: everything that a connection
// needs. It is immutable; a changed origin is a new value.
type Origin struct {
	// Name identifies the origin in logs, metrics and limits: origins/{id} or
	// distributions/{distribution}/origins/{id}.
	Name string
	// Host is the DNS name or address to connect to and the Host header to send.
	Host string
	// HTTPPort and HTTPSPort are the ports for either scheme.
	HTTPPort, HTTPSPort int
	Scheme              Scheme
	Family              Family
	// TLSVersions are crypto/tls version numbers that may be used, ascending; gaps
	// are possible (D16.4).
	TLSVersions []uint16
	// RootCAs are the authorities to trust; nil means the public ones (D16.6).
	RootCAs *x509.CertPool
	// S3 says that the server is a bucket: some headers are treated differently.
	S3 bool
	// PathPrefix is "/{bucket}" for path-style buckets, empty otherwise.
	PathPrefix string

	// Attempts is how often a connection is tried, and for GET and HEAD a request.
	Attempts int
	// ConnectTimeout bounds one connection, ReadTimeout the wait for the first byte
	// and between any two, KeepaliveTimeout an idle connection.
	ConnectTimeout, ReadTimeout, KeepaliveTimeout time.Duration
	// CompletionTimeout bounds the whole answer over all attempts; 0 is no bound.
	CompletionTimeout time.Duration
	// Headers are sent with each request, in place of others of their names. One
	// Accept-Encoding without a value is not sent (D11.20).
	Headers []CustomHeader

	hidesEncoding bool // it has such a one
}

// override holds what a distribution sets for a registered origin; zero values
// leave the registered ones.
type override struct {
	attempts                             int
	connect, read, keepalive, completion time.Duration
}
