// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules/internal/bucket"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// The defaults of numbers (C2.50, C2.51, C2.57, C2.58, C2.61, C2.62, C2.134).
const (
	defaultAttempts         = 3
	defaultConnectTimeout   = 10 * time.Second
	defaultReadTimeout      = 30 * time.Second
	defaultKeepaliveTimeout = 5 * time.Second
	defaultHTTPPort         = 80
	defaultHTTPSPort        = 443
	defaultErrorTTL         = 10 * time.Second
	defaultRegion           = "us-east-1"
)

// DefaultDistribution fills, in place, every default of the configuration. Doing it
// again changes nothing. A referenced origin keeps absent timeouts absent: the
// registered values apply.
func DefaultDistribution(d *configv1.Distribution) {
	c := d.GetConfig()
	if c == nil {
		return
	}
	if c.HttpVersion == configv1.HttpVersion_HTTP_VERSION_UNSPECIFIED {
		c.HttpVersion = configv1.HttpVersion_HTTP_VERSION_HTTP2
	}
	if c.PriceClass == configv1.PriceClass_PRICE_CLASS_UNSPECIFIED {
		c.PriceClass = configv1.PriceClass_PRICE_CLASS_ALL
	}
	if c.Ipv6Enabled == nil {
		c.Ipv6Enabled = proto.Bool(false)
	}
	for _, o := range c.GetOrigins() {
		if o.GetEndpoint() != nil {
			defaultEndpoint(o.GetEndpoint())
			defaultNumber(&o.ConnectionAttempts, defaultAttempts)
			defaultDuration(&o.ConnectTimeout, defaultConnectTimeout)
			defaultDuration(&o.ReadTimeout, defaultReadTimeout)
			defaultDuration(&o.KeepaliveTimeout, defaultKeepaliveTimeout)
		}
	}
	if v := c.GetViewerCertificate(); v != nil && v.GetMinimumProtocolVersion() == commonv1.TlsPolicy_TLS_POLICY_UNSPECIFIED {
		v.MinimumProtocolVersion = commonv1.TlsPolicy_TLS_POLICY_TLSV1_2_2021
	}
	defaultBehavior(c.GetDefaultCacheBehavior())
	for _, b := range c.GetCacheBehaviors() {
		defaultBehavior(b)
	}
	for _, e := range c.GetCustomErrorResponses() {
		defaultDuration(&e.ErrorCachingMinTtl, defaultErrorTTL)
	}
}

// DefaultOrigin fills, in place, every default of a registered origin. Doing it
// again changes nothing.
func DefaultOrigin(o *originv1.Origin) {
	defaultEndpoint(o.GetEndpoint())
	defaultNumber(&o.ConnectionAttempts, defaultAttempts)
	defaultDuration(&o.ConnectTimeout, defaultConnectTimeout)
	defaultDuration(&o.ReadTimeout, defaultReadTimeout)
	defaultDuration(&o.KeepaliveTimeout, defaultKeepaliveTimeout)
}

func defaultBehavior(b *configv1.CacheBehavior) {
	if b == nil {
		return
	}
	if b.AllowedMethods == configv1.MethodSet_METHOD_SET_UNSPECIFIED {
		b.AllowedMethods = configv1.MethodSet_METHOD_SET_GET_HEAD
	}
	if b.CachedMethods == configv1.MethodSet_METHOD_SET_UNSPECIFIED {
		b.CachedMethods = configv1.MethodSet_METHOD_SET_GET_HEAD
	}
}

func defaultEndpoint(e *originv1.OriginEndpoint) {
	if h := e.GetHttp(); h != nil {
		defaultNumber(&h.HttpPort, defaultHTTPPort)
		defaultNumber(&h.HttpsPort, defaultHTTPSPort)
		if len(h.TlsVersions) == 0 {
			h.TlsVersions = []originv1.OriginTlsVersion{originv1.OriginTlsVersion_ORIGIN_TLS_VERSION_TLSV1_2}
		}
		if h.IpFamily == originv1.IpFamily_IP_FAMILY_UNSPECIFIED {
			h.IpFamily = originv1.IpFamily_IP_FAMILY_IPV4
		}
	}
	if s := e.GetS3(); s != nil {
		defaultS3(s)
	}
}

// defaultS3 takes bucket and region from a host that holds them (C5.2), so that
// nobody who reads the record has to know AWS's forms.
func defaultS3(s *originv1.S3Endpoint) {
	if s.Host != "" && s.EndpointUrl == "" {
		b, err := bucket.ParseHost(s.Host)
		if err != nil {
			return
		}
		defaultText(&s.Bucket, b.Bucket)
		defaultText(&s.Region, b.Region)
		return
	}
	defaultText(&s.Region, defaultRegion)
}

func defaultText(p *string, v string) {
	if *p == "" {
		*p = v
	}
}

func defaultNumber(p **int32, v int32) {
	if *p == nil {
		*p = proto.Int32(v)
	}
}

func defaultDuration(p **durationpb.Duration, v time.Duration) {
	if *p == nil {
		*p = durationpb.New(v)
	}
}
