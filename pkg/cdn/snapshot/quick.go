// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// The functions of this file read a distribution of the usual form in a fraction of the
// time of proto.Unmarshal and rules.Acceptable: each change makes every edge read one. True
// means that what compileDistribution asks for is there as proto.Unmarshal would have put
// it, that the bytes are a message, and that acceptable finds nothing in it. False means
// that those have to be asked. So a field or a value that is not named here, one of a
// later release or one that has no effect yet, is never overlooked; it is slow.

// readDistribution is decode for a distribution.
func readDistribution(wire []byte) (*configv1.Distribution, error) {
	d := &configv1.Distribution{}
	if quickDistribution(string(wire), d) {
		return d, nil
	}
	d = &configv1.Distribution{} // there may be something in the other one
	return d, decode(wire, d)
}

// quickDistribution reads a distribution into d, which is empty. Strings of d are parts of
// message.
func quickDistribution(message string, d *configv1.Distribution) bool {
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireBytes, 2<<3 | wireBytes, 7<<3 | wireBytes: // name, uid, caller_reference
			_ = f.string()
		case 4<<3 | wireBytes, 5<<3 | wireBytes: // create_time, update_time: of the form of a duration
			f.check(quickDuration(f.text, new(durationpb.Duration)))
		case 6<<3 | wireBytes: // labels
			f.check(quickLabel(f.text))
		case 8<<3 | wireVarint:
			d.Staging = f.bool()
		case 9<<3 | wireBytes:
			d.DomainName = f.string()
		case 10<<3 | wireBytes:
			f.check(d.Config == nil) // twice: they would have to be merged
			d.Config = &configv1.DistributionConfig{}
			f.check(quickConfig(f.text, d.Config))
		default:
			return false
		}
	}
	return f.ok()
}

// quickLabel is an entry of a map of strings.
func quickLabel(message string) bool {
	f := fields{rest: message}
	for f.next() {
		f.check(f.tag == 1<<3|wireBytes || f.tag == 2<<3|wireBytes)
		_ = f.string()
	}
	return f.ok()
}

// quickDuration reads a duration or, as the fields are the same, a timestamp.
func quickDuration(message string, d *durationpb.Duration) bool {
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireVarint:
			d.Seconds = int64(f.number)
		case 2<<3 | wireVarint:
			d.Nanos = int32(f.number)
		default:
			return false
		}
	}
	return f.ok()
}

func quickConfig(message string, c *configv1.DistributionConfig) bool {
	const tagBehavior = 8<<3 | wireBytes
	behaviors := newBehaviors(count(message, tagBehavior))
	c.CacheBehaviors = behaviors.ordered
	next := 0
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireVarint:
			c.Enabled = f.bool()
		case 2<<3 | wireBytes: // comment
			_ = f.string()
		case 3<<3 | wireBytes:
			c.Aliases = append(c.Aliases, f.string())
		case 4<<3 | wireBytes:
			c.DefaultRootObject = f.string()
		case 5<<3 | wireBytes:
			o := &quickOrigin{}
			f.check(o.read(f.text))
			c.Origins = append(c.Origins, &o.origin)
		case 7<<3 | wireBytes:
			f.check(c.DefaultCacheBehavior == nil)
			c.DefaultCacheBehavior = &behaviors.all[len(behaviors.ordered)]
			f.check(behaviors.read(f.text, len(behaviors.ordered)))
		case tagBehavior:
			f.check(behaviors.read(f.text, next))
			next++
		case 9<<3 | wireBytes:
			e := &configv1.CustomErrorResponse{}
			f.check(quickErrorResponse(f.text, e))
			c.CustomErrorResponses = append(c.CustomErrorResponses, e)
		case 11<<3 | wireVarint:
			c.PriceClass = enum(&f, configv1.PriceClass_PRICE_CLASS_NONE)
		case 12<<3 | wireBytes:
			f.check(c.ViewerCertificate == nil)
			c.ViewerCertificate = &configv1.ViewerCertificate{}
			f.check(quickCertificate(f.text, c.ViewerCertificate))
		case 15<<3 | wireVarint: // HTTP/3 is not built
			c.HttpVersion = enum(&f, configv1.HttpVersion_HTTP_VERSION_HTTP2)
		case 16<<3 | wireVarint:
			c.Ipv6Enabled = proto.Bool(f.bool())
		case 18<<3 | wireBytes:
			c.CacheTagHeader = f.string()
		default:
			return false
		}
	}
	return f.ok()
}

func quickErrorResponse(message string, e *configv1.CustomErrorResponse) bool {
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireVarint:
			e.ErrorCode = int32(f.number)
		case 4<<3 | wireBytes:
			f.check(e.ErrorCachingMinTtl == nil)
			e.ErrorCachingMinTtl = &durationpb.Duration{}
			f.check(quickDuration(f.text, e.ErrorCachingMinTtl))
		default:
			return false
		}
	}
	return f.ok()
}

func quickCertificate(message string, v *configv1.ViewerCertificate) bool {
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireBytes:
			v.Certificate = f.string()
		case 2<<3 | wireVarint:
			v.MinimumProtocolVersion = enum(&f, commonv1.TlsPolicy_TLS_POLICY_TLSV1_3_2025)
			f.check(v.MinimumProtocolVersion != commonv1.TlsPolicy_TLS_POLICY_SSLV3) // not built
		default:
			return false
		}
	}
	return f.ok()
}

// quickBehaviors is the room for all behaviors of a distribution, in few pieces.
type quickBehaviors struct {
	all      []configv1.CacheBehavior // the default one is last
	policies []configv1.CacheBehavior_CachePolicy
	ordered  []*configv1.CacheBehavior // into all; nil for none
}

func newBehaviors(ordered int) *quickBehaviors {
	q := &quickBehaviors{
		all:      make([]configv1.CacheBehavior, ordered+1),
		policies: make([]configv1.CacheBehavior_CachePolicy, ordered+1),
	}
	if ordered > 0 {
		q.ordered = make([]*configv1.CacheBehavior, ordered)
	}
	for i := range q.ordered {
		q.ordered[i] = &q.all[i]
	}
	return q
}

// read reads the behavior at a place.
func (q *quickBehaviors) read(message string, at int) bool {
	b, policy := &q.all[at], &q.policies[at]
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireBytes:
			b.PathPattern = f.string()
		case 2<<3 | wireBytes:
			b.TargetOriginId = f.string()
		case 3<<3 | wireVarint:
			b.ViewerProtocolPolicy = enum(&f, configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_REDIRECT_TO_HTTPS)
		case 4<<3 | wireVarint:
			b.AllowedMethods = enum(&f, configv1.MethodSet_METHOD_SET_ANY)
		case 5<<3 | wireVarint:
			b.CachedMethods = enum(&f, configv1.MethodSet_METHOD_SET_ANY)
		case 7<<3 | wireBytes:
			policy.CachePolicy = f.string()
			b.Caching = policy
		case 9<<3 | wireBytes:
			b.OriginRequestPolicy = f.string()
		default:
			return false
		}
	}
	return f.ok()
}

// quickOrigin is the room for one origin, in one piece.
type quickOrigin struct {
	origin   configv1.Origin
	source   configv1.Origin_Endpoint
	endpoint originv1.OriginEndpoint
	kind     originv1.OriginEndpoint_Http
	http     originv1.HttpEndpoint
	numbers  [3]int32
	times    [4]durationpb.Duration
}

func (q *quickOrigin) read(message string) bool {
	o := &q.origin
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireBytes:
			o.Id = f.string()
		case 2<<3 | wireBytes:
			f.check(o.Source == nil)
			q.source.Endpoint, o.Source = &q.endpoint, &q.source
			f.check(q.readEndpoint(f.text))
		case 3<<3 | wireBytes:
			f.check(o.Source == nil)
			o.Source = &configv1.Origin_OriginRef{OriginRef: f.string()}
		case 4<<3 | wireBytes:
			o.OriginPath = f.string()
		case 8<<3 | wireVarint:
			o.ConnectionAttempts = q.number(0, &f)
		case 9<<3 | wireBytes:
			f.check(o.ConnectTimeout == nil)
			o.ConnectTimeout = q.duration(0, &f)
		case 10<<3 | wireBytes:
			f.check(o.ReadTimeout == nil)
			o.ReadTimeout = q.duration(1, &f)
		case 11<<3 | wireBytes:
			f.check(o.KeepaliveTimeout == nil)
			o.KeepaliveTimeout = q.duration(2, &f)
		case 12<<3 | wireBytes:
			f.check(o.ResponseCompletionTimeout == nil)
			o.ResponseCompletionTimeout = q.duration(3, &f)
		default: // custom headers too: they are secrets
			return false
		}
	}
	return f.ok()
}

func (q *quickOrigin) number(at int, f *fields) *int32 {
	q.numbers[at] = int32(f.number)
	return &q.numbers[at]
}

func (q *quickOrigin) duration(at int, f *fields) *durationpb.Duration {
	f.check(quickDuration(f.text, &q.times[at]))
	return &q.times[at]
}

func (q *quickOrigin) readEndpoint(message string) bool {
	f := fields{rest: message}
	for f.next() {
		f.check(q.endpoint.Kind == nil)
		switch f.tag {
		case 1<<3 | wireBytes:
			s3 := &originv1.S3Endpoint{}
			q.endpoint.Kind = &originv1.OriginEndpoint_S3{S3: s3}
			f.check(quickS3(f.text, s3))
		case 2<<3 | wireBytes:
			q.kind.Http, q.endpoint.Kind = &q.http, &q.kind
			f.check(q.readHTTP(f.text))
		default:
			return false
		}
	}
	return f.ok()
}

func quickS3(message string, s *originv1.S3Endpoint) bool {
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireBytes:
			s.Host = f.string()
		case 2<<3 | wireBytes:
			s.Region = f.string()
		case 3<<3 | wireBytes:
			s.Bucket = f.string()
		case 4<<3 | wireBytes:
			s.EndpointUrl = f.string()
		case 5<<3 | wireVarint:
			s.PathStyle = f.bool()
		case 6<<3 | wireBytes:
			s.CaBundlePem = f.string()
		default:
			return false
		}
	}
	return f.ok()
}

func (q *quickOrigin) readHTTP(message string) bool {
	h := &q.http
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case 1<<3 | wireBytes:
			h.Host = f.string()
		case 2<<3 | wireVarint:
			h.HttpPort = q.number(1, &f)
		case 3<<3 | wireVarint:
			h.HttpsPort = q.number(2, &f)
		case 4<<3 | wireVarint:
			h.ProtocolPolicy = enum(&f, originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_MATCH_VIEWER)
		case 5<<3 | wireBytes:
			h.TlsVersions = enumList(h.TlsVersions, &f, originv1.OriginTlsVersion_ORIGIN_TLS_VERSION_TLSV1_2)
		case 6<<3 | wireVarint:
			h.IpFamily = enum(&f, originv1.IpFamily_IP_FAMILY_DUALSTACK)
		case 8<<3 | wireBytes:
			h.CaBundlePem = f.string()
		default:
			return false
		}
	}
	return f.ok()
}
