// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Limits of a distribution.
const (
	maxConfig     = 256 << 10 // bytes (C2.10)
	maxRootObject = 255       // characters (C2.13)
	maxTagHeader  = 256       // characters (C2.35)
	maxTTL        = 100 * 365 * 24 * time.Hour
)

// Limits of a distribution unless Limits says otherwise.
const (
	MaxAliases   = 100 // C2.12, C4.6
	MaxOrigins   = 100 // C2.14, C4.7
	MaxBehaviors = 75  // C2.17, C4.10
)

// Limits are what checks depend on besides the message.
type Limits struct {
	// BaseDomain is the domain of the CDN's own generated names. Aliases and origin
	// hosts in it are refused (C2.44, C5.12). Empty forbids nothing.
	BaseDomain string
	// Aliases, Origins and Behaviors are how many of each a distribution may have; 0
	// means MaxAliases, MaxOrigins, MaxBehaviors.
	Aliases, Origins, Behaviors int
	// CustomHeaders is how many custom headers an origin may have; 0 means
	// MaxCustomHeaders.
	CustomHeaders int
	// Kept is about secrets that the message leaves out.
	Kept Kept
}

// Allowing are the limits of an update of d: what exceeds a limit that was lowered
// since stays legal, and may only not grow (C4.1).
func (l Limits) Allowing(d *configv1.Distribution) Limits {
	l = l.filled()
	c := d.GetConfig()
	l.Aliases = max(l.Aliases, len(c.GetAliases()))
	l.Origins = max(l.Origins, len(c.GetOrigins()))
	l.Behaviors = max(l.Behaviors, len(c.GetCacheBehaviors()))
	for _, o := range c.GetOrigins() {
		l.CustomHeaders = max(l.CustomHeaders, len(o.GetCustomHeaders()))
	}
	return l
}

func (l Limits) filled() Limits {
	l.Aliases = cmp.Or(l.Aliases, MaxAliases)
	l.Origins = cmp.Or(l.Origins, MaxOrigins)
	l.Behaviors = cmp.Or(l.Behaviors, MaxBehaviors)
	l.CustomHeaders = cmp.Or(l.CustomHeaders, MaxCustomHeaders)
	return l
}

// CheckDistribution returns everything that is wrong with d by itself: syntax,
// limits and rules between fields (C2.1 steps 7 to 9 and 11), in the order of the
// fields. Field paths begin at Distribution, for example config.origins[0].id. It
// includes caller_reference and labels, and enum numbers without a name in fields
// that are built. Of a list beyond its limit only the entries within are looked at.
// d has been through Unsupported and DefaultDistribution.
func CheckDistribution(d *configv1.Distribution, l Limits) []Violation {
	var f findings
	l = l.filled()
	f.join(CheckLabels("labels", d.GetLabels()))
	f.join(CheckCallerReference("caller_reference", d.GetCallerReference()))
	c := d.GetConfig()
	if c == nil {
		f.add("config", ReasonInvalid, "is missing")
		return f.found
	}
	if n := proto.Size(c); n > maxConfig {
		f.add("config", ReasonTooLarge, "is %d bytes large; want at most %d", n, maxConfig)
	}
	f.length("config.comment", c.GetComment())
	if d.GetStaging() && len(c.GetAliases()) > 0 {
		f.add("config.aliases", ReasonInvalid, "has %d entries; a staging distribution has none", len(c.GetAliases()))
	}
	f.aliases("config.aliases", c.GetAliases(), l)
	f.wrap("config.default_root_object", ReasonInvalidRootObject, checkRootObject(c.GetDefaultRootObject()))
	f.wrap("config.cache_tag_header", ReasonInvalid, checkTagHeader(c.GetCacheTagHeader()))
	f.origins("config.origins", c, l)
	f.behaviors(c, l)
	f.errorResponses("config.custom_error_responses", c.GetCustomErrorResponses())
	f.enum("config.price_class", c.GetPriceClass())
	if v := c.GetViewerCertificate(); v != nil {
		_, bad := ParseName("config.viewer_certificate.certificate", keys.Certificates, v.GetCertificate()) // C2.126
		f.join(bad)
		f.enum("config.viewer_certificate.minimum_protocol_version", v.GetMinimumProtocolVersion()) // C2.128
	}
	f.enum("config.http_version", c.GetHttpVersion())
	return f.found
}

func (f *findings) aliases(field string, aliases []string, l Limits) {
	seen := map[string]int{}
	for i, a := range aliases[:f.count(field, ReasonTooManyAliases, len(aliases), l.Aliases)] {
		at := fmt.Sprintf("%s[%d]", field, i)
		if err := hostname.CheckAlias(a, l.BaseDomain); err != nil {
			f.wrap(at, ReasonInvalid, err)
			continue
		}
		if first, twice := seen[a]; twice {
			f.add(at, ReasonInvalid, "is %q, as %s[%d] is already", a, field, first)
			continue
		}
		seen[a] = i
	}
}

// checkTagHeader checks C2.35.
func checkTagHeader(name string) error {
	if name == "" {
		return nil
	}
	return CheckToken(name, maxTagHeader)
}

// checkRootObject checks C2.13 and C2.348.
func checkRootObject(s string) error {
	switch n := utf8.RuneCountInString(s); {
	case n > maxRootObject:
		return fmt.Errorf("is %d characters long; want at most %d", n, maxRootObject)
	case strings.HasPrefix(s, "/"):
		return errors.New("begins with a slash; want it without")
	case !only(s, lower+upper+digits+`_-.*$/~"'&`):
		return errors.New(`has a character that is not among A-Z a-z 0-9 _ - . * $ / ~ " ' &`)
	}
	return nil
}

func (f *findings) origins(field string, c *configv1.DistributionConfig, l Limits) {
	origins := c.GetOrigins()
	if len(origins) == 0 {
		f.add(field, ReasonInvalid, "is empty; want at least one origin")
	}
	seen := map[string]int{}
	for i, o := range origins[:f.count(field, ReasonTooManyOrigins, len(origins), l.Origins)] {
		at := fmt.Sprintf("%s[%d]", field, i)
		first, twice := seen[o.GetId()]
		switch {
		case o.GetId() == "":
			f.add(at+".id", ReasonInvalid, "is empty; want 1 to %d characters", maxText)
		case twice:
			f.add(at+".id", ReasonInvalid, "is %.100q, as %s[%d].id is already", o.GetId(), field, first)
		default:
			f.length(at+".id", o.GetId())
			seen[o.GetId()] = i
		}
		f.source(at, o, l, func(host string) error { return checkLoop(host, c.GetAliases(), l.BaseDomain) })
	}
}

// checkLoop refuses an origin that is the CDN itself (C5.12). An origin whose name
// a wildcard alias covers is legal: DNS may lead elsewhere.
func checkLoop(host string, aliases []string, base string) error {
	host, base = strings.ToLower(host), strings.ToLower(base)
	if base != "" && (host == base || strings.HasSuffix(host, "."+base)) {
		return fmt.Errorf("lies in %s, where this CDN generates its own names; want a host of the origin", base)
	}
	if slices.Contains(aliases, host) {
		return errors.New("is an alias of this distribution, which would ask itself; want a host of the origin")
	}
	return nil
}

func (f *findings) behaviors(c *configv1.DistributionConfig, l Limits) {
	ids := map[string]bool{}
	for _, o := range c.GetOrigins() {
		ids[o.GetId()] = true
	}
	const first = "config.default_cache_behavior"
	if b := c.GetDefaultCacheBehavior(); b == nil {
		f.add(first, ReasonInvalid, "is missing")
	} else {
		if b.GetPathPattern() != "" {
			f.add(first+".path_pattern", ReasonInvalid, "is set; the default behavior matches every path that is left")
		}
		f.behavior(first, b, ids)
	}
	const field = "config.cache_behaviors"
	seen, behaviors := map[string]int{}, c.GetCacheBehaviors()
	for i, b := range behaviors[:f.count(field, ReasonTooManyCacheBehaviors, len(behaviors), l.Behaviors)] {
		at := fmt.Sprintf("%s[%d]", field, i)
		pattern := pathpattern.Canonical(b.GetPathPattern())
		if err := pathpattern.Check(b.GetPathPattern()); err != nil {
			f.wrap(at+".path_pattern", ReasonInvalid, err)
		} else if earlier, twice := seen[pattern]; twice {
			f.add(at+".path_pattern", ReasonInvalid, "is %q, as %s[%d].path_pattern is already; a leading slash makes no difference",
				b.GetPathPattern(), field, earlier)
		} else {
			seen[pattern] = i
		}
		f.behavior(at, b, ids)
	}
}

// behavior checks what all behaviors have in common.
func (f *findings) behavior(field string, b *configv1.CacheBehavior, origins map[string]bool) {
	switch id := b.GetTargetOriginId(); {
	case id == "":
		f.add(field+".target_origin_id", ReasonInvalid, "is empty; want the id of an origin of this distribution")
	case !origins[id]:
		f.add(field+".target_origin_id", ReasonNoSuchOrigin, "is %.100q, and no origin of this distribution has that id", id)
	}
	f.required(field+".viewer_protocol_policy", b.GetViewerProtocolPolicy())
	f.methods(field, b)
	if b.GetOriginRequestPolicy() != "" { // C2.76
		_, bad := ParseName(field+".origin_request_policy", keys.OriginRequestPolicies, b.GetOriginRequestPolicy())
		f.join(bad)
	}
	if b.GetCaching() == nil {
		f.add(field+".cache_policy", ReasonInvalid, "is empty; want %s and an id", keys.CachePolicies.Name(""))
		return
	}
	if _, ok := b.GetCaching().(*configv1.CacheBehavior_CachePolicy); ok {
		_, bad := ParseName(field+".cache_policy", keys.CachePolicies, b.GetCachePolicy())
		f.join(bad)
	}
}

// methods checks C2.71 and C2.72: only answers to GET, HEAD and OPTIONS are ever
// stored, and only those to methods that viewers may use.
func (f *findings) methods(field string, b *configv1.CacheBehavior) {
	const fewest, options = configv1.MethodSet_METHOD_SET_GET_HEAD, configv1.MethodSet_METHOD_SET_GET_HEAD_OPTIONS
	allowed, cached := b.GetAllowedMethods(), b.GetCachedMethods()
	f.enum(field+".allowed_methods", allowed)
	f.enum(field+".cached_methods", cached)
	switch field += ".cached_methods"; cached {
	case configv1.MethodSet_METHOD_SET_ALL, configv1.MethodSet_METHOD_SET_ANY:
		f.add(field, ReasonInvalid, "is %s, but only answers to GET, HEAD and OPTIONS can be stored; want %s or %s", cached, fewest, options)
	case options:
		if allowed == fewest {
			f.add(field, ReasonInvalid, "has OPTIONS, which allowed_methods does not have; want %s, or OPTIONS in both", fewest)
		}
	}
}

func (f *findings) errorResponses(field string, entries []*configv1.CustomErrorResponse) {
	legal := []int32{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504} // C2.132
	seen := map[int32]int{}
	for i, e := range entries[:f.count(field, ReasonInvalid, len(entries), len(legal))] {
		at := fmt.Sprintf("%s[%d]", field, i)
		first, twice := seen[e.GetErrorCode()]
		switch {
		case !slices.Contains(legal, e.GetErrorCode()):
			f.add(at+".error_code", ReasonInvalidErrorCode, "is %d; want one of %v", e.GetErrorCode(), legal)
		case twice:
			f.add(at+".error_code", ReasonInvalid, "is %d, as %s[%d].error_code is already", e.GetErrorCode(), field, first)
		default:
			seen[e.GetErrorCode()] = i
		}
		f.seconds(at+".error_caching_min_ttl", ReasonInvalid, e.GetErrorCachingMinTtl(), 0, maxTTL)
	}
}
