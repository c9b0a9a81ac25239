// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

func compileTargets(distribution string, origins []*configv1.Origin) ([]Target, error) {
	out := make([]Target, 0, len(origins))
	for _, o := range origins {
		t := Target{ID: o.GetId(), Path: o.GetOriginPath()}
		over := override{
			attempts:   int(o.GetConnectionAttempts()),
			connect:    o.GetConnectTimeout().AsDuration(),
			read:       o.GetReadTimeout().AsDuration(),
			keepalive:  o.GetKeepaliveTimeout().AsDuration(),
			completion: o.GetResponseCompletionTimeout().AsDuration(),
		}
		switch source := o.GetSource().(type) {
		case *configv1.Origin_OriginRef:
			ref, ok := strings.CutPrefix(source.OriginRef, string(keys.Origins)+"/")
			if !ok {
				return nil, invalid("origins %q: %q is not origins/{origin}", o.GetId(), source.OriginRef)
			}
			t.ref, t.over = ref, over
			if own := o.GetCustomHeaders(); len(own) > 0 {
				t.headers = customHeaders(own)
				_, t.setsEncoding = customHeader(t.headers, "Accept-Encoding")
				t.hidesEncoding = hidesEncoding(t.headers)
			}
		case *configv1.Origin_Endpoint:
			name := keys.Distributions.Name(distribution) + "/origins/" + o.GetId()
			inline, err := compileEndpoint(name, source.Endpoint)
			if err != nil {
				return nil, err
			}
			inline.apply(over)
			if own := o.GetCustomHeaders(); len(own) > 0 {
				inline.setHeaders(customHeaders(own))
			}
			t.inline = inline
		default:
			return nil, invalid("origins %q: neither endpoint nor origin_ref", o.GetId())
		}
		out = append(out, t)
	}
	return out, nil
}

// CompileOrigin makes the form that edges fetch with from a registered origin.
// Errors are of type *Error.
func CompileOrigin(id string, o *originv1.Origin) (*Origin, error) {
	if err := acceptable(o); err != nil {
		return nil, err
	}
	return compileOrigin(id, o)
}

func compileOrigin(id string, o *originv1.Origin) (*Origin, error) {
	rules.DefaultOrigin(o)
	out, err := compileEndpoint(keys.Origins.Name(id), o.GetEndpoint())
	if err != nil {
		return nil, err
	}
	out.apply(override{
		attempts:   int(o.GetConnectionAttempts()),
		connect:    o.GetConnectTimeout().AsDuration(),
		read:       o.GetReadTimeout().AsDuration(),
		keepalive:  o.GetKeepaliveTimeout().AsDuration(),
		completion: o.GetResponseCompletionTimeout().AsDuration(),
	})
	if own := o.GetCustomHeaders(); len(own) > 0 {
		out.setHeaders(customHeaders(own))
	}
	return out, nil
}

func (o *Origin) setHeaders(h []CustomHeader) { o.Headers, o.hidesEncoding = h, hidesEncoding(h) }

// apply sets what is given and leaves the rest.
func (o *Origin) apply(over override) {
	set(&o.Attempts, over.attempts)
	set(&o.ConnectTimeout, over.connect)
	set(&o.ReadTimeout, over.read)
	set(&o.KeepaliveTimeout, over.keepalive)
	set(&o.CompletionTimeout, over.completion)
}

func set[T comparable](to *T, v T) {
	var zero T
	if v != zero {
		*to = v
	}
}

func compileEndpoint(name string, e *originv1.OriginEndpoint) (*Origin, error) {
	switch kind := e.GetKind().(type) {
	case *originv1.OriginEndpoint_Http:
		return compileHTTP(name, kind.Http)
	case *originv1.OriginEndpoint_S3:
		return compileS3(name, kind.S3)
	}
	return nil, invalid("%s: endpoint is neither s3 nor http", name)
}

func compileHTTP(name string, h *originv1.HttpEndpoint) (*Origin, error) {
	out := &Origin{
		Name:      name,
		Host:      h.GetHost(),
		HTTPPort:  int(h.GetHttpPort()),
		HTTPSPort: int(h.GetHttpsPort()),
	}
	switch h.GetProtocolPolicy() {
	case originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY:
		out.Scheme = HTTP
	case originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTPS_ONLY:
		out.Scheme = HTTPS
	case originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_MATCH_VIEWER:
		out.Scheme = MatchViewer
	default:
		return nil, invalid("%s: protocol_policy is not set", name)
	}
	switch h.GetIpFamily() {
	case originv1.IpFamily_IP_FAMILY_IPV6:
		out.Family = IPv6
	case originv1.IpFamily_IP_FAMILY_DUALSTACK:
		out.Family = DualStack
	default:
		out.Family = IPv4
	}
	out.TLSVersions = tlsVersions(h.GetTlsVersions())
	var err error
	out.RootCAs, err = roots(name, h.GetCaBundlePem())
	return out, err
}

// tlsVersions is the set to offer, ascending. TLS 1.3 comes with 1.2; SSLv3 is not
// spoken (D16.4, C5.15).
func tlsVersions(set []originv1.OriginTlsVersion) []uint16 {
	var out []uint16
	for _, v := range set {
		switch v {
		case originv1.OriginTlsVersion_ORIGIN_TLS_VERSION_TLSV1:
			out = append(out, tls.VersionTLS10)
		case originv1.OriginTlsVersion_ORIGIN_TLS_VERSION_TLSV1_1:
			out = append(out, tls.VersionTLS11)
		case originv1.OriginTlsVersion_ORIGIN_TLS_VERSION_TLSV1_2:
			out = append(out, tls.VersionTLS12, tls.VersionTLS13)
		}
	}
	slices.Sort(out)
	return out
}

func roots(name, bundle string) (*x509.CertPool, error) {
	if bundle == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(bundle)) {
		return nil, invalid("%s: ca_bundle_pem holds no certificate", name)
	}
	return pool, nil
}

// compileS3 builds the address of a bucket: either its own host name, by HTTPS
// (C5.6), or an endpoint with the bucket in front of the host or of the path (C5.8).
func compileS3(name string, s *originv1.S3Endpoint) (*Origin, error) {
	out := &Origin{
		Name: name, S3: true, Host: s.GetHost(), HTTPPort: 80, HTTPSPort: 443, Scheme: HTTPS, Family: DualStack,
		TLSVersions: []uint16{tls.VersionTLS12, tls.VersionTLS13},
	}
	var err error
	if out.RootCAs, err = roots(name, s.GetCaBundlePem()); err != nil || s.GetEndpointUrl() == "" {
		return out, err
	}
	u, err := url.Parse(s.GetEndpointUrl())
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, invalid("%s: endpoint_url %q is not http(s)://host[:port]", name, s.GetEndpointUrl())
	}
	out.Host = u.Hostname()
	if u.Scheme == "http" {
		out.Scheme = HTTP
	}
	if p := u.Port(); p != "" {
		port, err := strconv.Atoi(p)
		if err != nil || port < 1 || port > 65535 {
			return nil, invalid("%s: endpoint_url has the port %q", name, p)
		}
		out.HTTPPort, out.HTTPSPort = port, port
	}
	if s.GetPathStyle() {
		out.PathPrefix = "/" + s.GetBucket()
	} else {
		out.Host = s.GetBucket() + "." + out.Host
	}
	return out, nil
}
