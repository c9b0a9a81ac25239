// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/internal/bucket"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

const (
	maxBundle = 64 << 10 // bytes of ca_bundle_pem
	maxRegion = 63
)

// endpointRules are what differs between an endpoint in a distribution and one in
// the registry.
type endpointRules struct {
	port  func(int32) bool   // which ports an HTTP server may have
	ports string             // the same in words
	loop  func(string) error // whether a host is the CDN itself (C5.12)
}

func (f *findings) endpoint(field string, e *originv1.OriginEndpoint, r endpointRules) {
	switch kind := e.GetKind().(type) {
	case *originv1.OriginEndpoint_S3:
		f.s3(field+".s3", kind.S3, r)
	case *originv1.OriginEndpoint_Http:
		f.http(field+".http", kind.Http, r)
	default:
		f.add(field, ReasonInvalid, "has neither s3 nor http; want one of them")
	}
}

func (f *findings) http(field string, h *originv1.HttpEndpoint, r endpointRules) {
	err := hostname.CheckHost(h.GetHost())
	if err == nil {
		err = r.loop(h.GetHost())
	}
	f.wrap(field+".host", ReasonInvalid, err)
	f.port(field+".http_port", h.HttpPort, r)
	f.port(field+".https_port", h.HttpsPort, r)
	f.required(field+".protocol_policy", h.GetProtocolPolicy())
	f.tlsVersions(field+".tls_versions", h.GetTlsVersions())
	f.enum(field+".ip_family", h.GetIpFamily())
	f.wrap(field+".ca_bundle_pem", ReasonInvalid, checkBundle(h.GetCaBundlePem()))
}

func (f *findings) port(field string, p *int32, r endpointRules) {
	if p != nil && !r.port(*p) {
		f.add(field, ReasonInvalid, "is %d; want %s", *p, r.ports)
	}
}

// tlsVersions checks a set to offer (C2.60, C5.15). SSLv3 is taken beside another
// version, so that old configurations can be imported, and never spoken.
func (f *findings) tlsVersions(field string, set []originv1.OriginTlsVersion) {
	const known = 4
	seen := map[originv1.OriginTlsVersion]int{}
	for i, v := range set[:f.count(field, ReasonInvalid, len(set), known)] {
		at := fmt.Sprintf("%s[%d]", field, i)
		if first, twice := seen[v]; twice {
			f.add(at, ReasonInvalid, "is %v, as %s[%d] is already", v, field, first)
			continue
		}
		seen[v] = i
		f.required(at, v)
	}
	if _, old := seen[originv1.OriginTlsVersion_ORIGIN_TLS_VERSION_SSLV3]; old && len(seen) == 1 {
		f.add(field, ReasonInvalid, "holds SSLv3 alone, which is not spoken; want another version besides")
	}
}

// checkBundle checks that every block is a certificate: one that is silently left
// out would be missed only when its origin fails. It repeats nothing of the text,
// which may be a private key put in by mistake.
func checkBundle(bundle string) error {
	if bundle == "" {
		return nil
	}
	if len(bundle) > maxBundle {
		return fmt.Errorf("is %d bytes long; want at most %d", len(bundle), maxBundle)
	}
	n := 0
	for block, rest := pem.Decode([]byte(bundle)); block != nil; block, rest = pem.Decode(rest) {
		n++
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			return fmt.Errorf("has a PEM block number %d that is no plain certificate; want certificates alone", n)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("has a certificate number %d that cannot be parsed", n)
		}
	}
	// Decode passes over blocks that it cannot read.
	if begun := strings.Count(bundle, "-----BEGIN"); n == 0 || n != begun {
		return fmt.Errorf("has %d PEM blocks, of which %d can be read; want certificates in PEM", begun, n)
	}
	return nil
}

// s3 checks an object store: either the bucket's own host in one of AWS's forms, or
// an endpoint and a bucket (C5.1 to C5.8).
func (f *findings) s3(field string, s *originv1.S3Endpoint, r endpointRules) {
	var at bucket.Host // what host says
	var err error
	if s.GetHost() != "" {
		if at, err = bucket.ParseHost(s.GetHost()); err == nil {
			f.wrap(field+".host", ReasonInvalid, r.loop(s.GetHost()))
		}
		f.wrap(field+".host", ReasonInvalidOrigin, err)
	} else if s.GetEndpointUrl() == "" {
		f.add(field, ReasonInvalidOrigin, "has neither host nor endpoint_url; want one of them")
	}
	parsed := at.Bucket != "" && s.GetEndpointUrl() == ""
	switch region := s.GetRegion(); {
	case len(region) > maxRegion || !only(region, lower+digits+"-"):
		f.add(field+".region", ReasonInvalid, "is %.100q; want 1 to %d characters of [a-z0-9-]", region, maxRegion)
	case parsed && region != "" && region != at.Region:
		f.add(field+".region", ReasonInvalid, "is %q, but host names %q; want the same, or nothing", region, at.Region)
	}
	switch name := s.GetBucket(); {
	case parsed && name != "" && name != at.Bucket:
		f.add(field+".bucket", ReasonInvalidOrigin, "is %.100q, but host names %q; want the same, or nothing", name, at.Bucket)
	case s.GetEndpointUrl() != "":
		f.wrap(field+".bucket", ReasonInvalidOrigin, bucket.Check(name))
	}
	f.storeURL(field, s, r)
	f.wrap(field+".ca_bundle_pem", ReasonInvalid, checkBundle(s.GetCaBundlePem()))
}

// storeURL checks endpoint_url and path_style.
func (f *findings) storeURL(field string, s *originv1.S3Endpoint, r endpointRules) {
	if s.GetEndpointUrl() == "" {
		if s.GetPathStyle() {
			f.add(field+".path_style", ReasonInvalid, "is set without endpoint_url; a host in AWS's form holds the bucket already")
		}
		return
	}
	at := field + ".endpoint_url"
	if s.GetHost() != "" {
		f.add(at, ReasonInvalidOrigin, "is set beside host; want one of them")
	}
	host, literal, err := bucket.ParseURL(s.GetEndpointUrl())
	switch {
	case err != nil:
		f.wrap(at, ReasonInvalidOrigin, err)
	case literal && !s.GetPathStyle():
		f.add(field+".path_style", ReasonInvalidOrigin, "is false, but endpoint_url has an IP address, before which no bucket can stand; want true")
	case literal:
	case s.GetPathStyle():
		f.wrap(at, ReasonInvalid, r.loop(host))
	case bucket.Check(s.GetBucket()) == nil:
		host = s.GetBucket() + "." + host
		if err := hostname.CheckHost(host); err != nil {
			f.add(at, ReasonInvalidOrigin, "with the bucket before its host %v", err)
			return
		}
		f.wrap(at, ReasonInvalid, r.loop(host))
	}
}
