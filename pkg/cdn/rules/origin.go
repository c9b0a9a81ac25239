// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/secretfield"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Limits of origins.
const (
	maxOriginPath = 255 // bytes (C2.47)
	maxAttempts   = 3   // C2.50, C4.15
	maxConnect    = 10 * time.Second
	maxRead       = 120 * time.Second
	maxKeepalive  = 120 * time.Second
	maxCompletion = 24 * time.Hour
)

// CheckOrigin returns everything that is wrong with a registered origin by itself,
// in the order of the fields, enum numbers without a name included. Field paths
// begin at Origin, for example endpoint.http.host. Whether its host is the CDN's
// own is a question for CheckJoined. o has been through Unsupported and
// DefaultOrigin; of l the custom headers count, and the secrets that o leaves out.
func CheckOrigin(o *originv1.Origin, l Limits) []Violation {
	var f findings
	l = l.filled()
	f.join(CheckLabels("labels", o.GetLabels()))
	f.length("display_name", o.GetDisplayName())
	f.endpoint("endpoint", o.GetEndpoint(), endpointRules{
		port:  func(p int32) bool { return 1 <= p && p <= 65535 }, // C5.13
		ports: "1 to 65535",
		loop:  func(string) error { return nil },
	})
	f.timing("", timing{
		o.ConnectionAttempts, o.GetConnectTimeout(), o.GetReadTimeout(), o.GetKeepaliveTimeout(), o.GetResponseCompletionTimeout(),
	})
	customHeaders(&f, "custom_headers", "custom_headers", o.GetCustomHeaders(), l)
	return f.found
}

// source checks an origin of a distribution but for its id.
func (f *findings) source(field string, o *configv1.Origin, l Limits, loop func(string) error) {
	switch s := o.GetSource().(type) {
	case *configv1.Origin_Endpoint:
		f.endpoint(field+".endpoint", s.Endpoint, endpointRules{
			port:  func(p int32) bool { return p == 80 || p == 443 || 1024 <= p && p <= 65535 }, // C2.57, C5.13
			ports: "80, 443 or 1024 to 65535",
			loop:  loop,
		})
	case *configv1.Origin_OriginRef:
		_, bad := ParseName(field+".origin_ref", keys.Origins, s.OriginRef)
		f.join(bad)
	default:
		f.add(field, ReasonInvalid, "has neither endpoint nor origin_ref; want one of them")
	}
	f.wrap(field+".origin_path", ReasonInvalidRelativePath, checkOriginPath(o.GetOriginPath()))
	place := secretfield.Element("config.origins", o.GetId()) + ".custom_headers"
	customHeaders(f, field+".custom_headers", place, o.GetCustomHeaders(), l)
	f.timing(field+".", timing{
		o.ConnectionAttempts, o.GetConnectTimeout(), o.GetReadTimeout(), o.GetKeepaliveTimeout(), o.GetResponseCompletionTimeout(),
	})
}

// timing is what both kinds of origins say about attempts and timeouts; absent
// values are nil.
type timing struct {
	attempts                             *int32
	connect, read, keepalive, completion *durationpb.Duration
}

// timing checks C5.18. prefix stands before the names of the fields.
func (f *findings) timing(prefix string, t timing) {
	f.number(prefix+"connection_attempts", t.attempts, 1, maxAttempts)
	f.seconds(prefix+"connect_timeout", ReasonInvalid, t.connect, time.Second, maxConnect)
	f.seconds(prefix+"read_timeout", ReasonInvalidReadTimeout, t.read, time.Second, maxRead)
	f.seconds(prefix+"keepalive_timeout", ReasonInvalidKeepalive, t.keepalive, time.Second, maxKeepalive)
	f.seconds(prefix+"response_completion_timeout", ReasonInvalid, t.completion, time.Second, maxCompletion)
	if t.read != nil && t.completion != nil && t.completion.GetSeconds() < t.read.GetSeconds() {
		f.add(prefix+"response_completion_timeout", ReasonInvalid, "is shorter than read_timeout (%ds); want at least as long", t.read.GetSeconds())
	}
}

// checkOriginPath checks C2.47 and C2.349: nothing, or a path as it stands in a
// request line.
func checkOriginPath(p string) error {
	switch {
	case p == "":
		return nil
	case len(p) > maxOriginPath:
		return fmt.Errorf("is %d bytes long; want at most %d", len(p), maxOriginPath)
	case !strings.HasPrefix(p, "/"):
		return errors.New("does not begin with a slash")
	case strings.HasSuffix(p, "/"):
		return errors.New("ends with a slash; want it without, and nothing instead of a slash alone")
	case !isEncodedPath(p):
		return errors.New("is not URL-encoded; want letters, digits, %XX and -._~!$&'()*+,;=:@/")
	}
	return nil
}

// isEncodedPath says whether p holds nothing but pchar and slashes (RFC 3986 §3.3).
func isEncodedPath(p string) bool {
	for i, part := range strings.Split(p, "%") {
		if i > 0 && (len(part) < 2 || !only(part[:2], digits+"abcdefABCDEF")) || !only(part, lower+upper+digits+"-._~!$&'()*+,;=:@/") {
			return false
		}
	}
	return true
}
