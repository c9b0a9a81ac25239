// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/forward"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons for which a record cannot be served. They stand in the edge's status and
// in the distribution's deployment.
const (
	ReasonUnreadable  = "UNREADABLE_RECORD"
	ReasonUnknownEnum = "UNKNOWN_ENUM_VALUE"
	ReasonUnsupported = "UNSUPPORTED_OPERATION"
	ReasonInvalid     = "INVALID_RECORD"
	ReasonSecrets     = "SECRETS_UNAVAILABLE"
)

// Error says why a resource does not compile.
type Error struct {
	Reason  string // one of the Reason constants
	Message string
}

func (e *Error) Error() string { return e.Reason + ": " + e.Message }

// in says that the message, which begins with a field, is about one below another.
func (e *Error) in(field string) *Error { return &Error{e.Reason, field + "." + e.Message} }

func invalid(format string, args ...any) *Error {
	return &Error{ReasonInvalid, fmt.Sprintf(format, args...)}
}

// acceptable refuses what this release would have to ignore: an enum number that
// it does not know (C6.60) and a field that it does not build.
func acceptable(m proto.Message) error {
	if vs := rules.UnknownEnums(m); len(vs) > 0 {
		return &Error{ReasonUnknownEnum, list(vs)}
	}
	if vs := rules.Unsupported(m); len(vs) > 0 {
		return &Error{ReasonUnsupported, list(vs)}
	}
	return nil
}

// decode reads a stored resource and refuses what acceptable refuses.
func decode(wire []byte, m proto.Message) error {
	if err := proto.Unmarshal(wire, m); err != nil {
		return err
	}
	if rules.Acceptable(m.ProtoReflect().Descriptor(), wire) {
		return nil
	}
	return acceptable(m)
}

// list joins violations into one line of bounded length.
func list(vs []rules.Violation) string {
	const most = 5
	var parts []string
	for i, v := range vs {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(vs)-most))
			break
		}
		parts = append(parts, v.Field+": "+v.Description)
	}
	return strings.Join(parts, "; ")
}

// CompileDistribution makes the form that edges serve from. It is the same
// function in config, which validates with it, and in the edge; it depends on
// nothing but its arguments. It fills defaults in d. Errors are of type *Error.
func CompileDistribution(id string, revision int64, d *configv1.Distribution) (*Distribution, error) {
	if err := acceptable(d); err != nil {
		return nil, err
	}
	return compileDistribution(id, revision, d)
}

func compileDistribution(id string, revision int64, d *configv1.Distribution) (*Distribution, error) {
	rules.DefaultDistribution(d)
	c := d.GetConfig()
	out := &Distribution{
		ID:       id,
		Revision: revision,
		Enabled:  c.GetEnabled(),
		HTTP2:    c.GetHttpVersion() == configv1.HttpVersion_HTTP_VERSION_HTTP2,
		ErrorTTL: errorTTL(c.GetCustomErrorResponses()),

		CacheTagHeader: c.GetCacheTagHeader(),
	}
	if root := c.GetDefaultRootObject(); root != "" {
		out.RootObject = "/" + root // D12.1
	}
	if d.GetDomainName() == "" {
		return nil, invalid("domain_name is empty")
	}
	if !d.GetStaging() { // no viewer reaches a staging distribution by a name (C3.57)
		out.hosts = append(append(make([]string, 0, 1+len(c.GetAliases())), d.GetDomainName()), c.GetAliases()...)
	}
	if err := out.addCertificate(c.GetViewerCertificate()); err != nil {
		return nil, err
	}
	targets, err := compileTargets(id, c.GetOrigins())
	if err != nil {
		return nil, err
	}
	if err := out.addBehaviors(c, targets); err != nil {
		return nil, err
	}
	return out, nil
}

func (d *Distribution) addCertificate(v *configv1.ViewerCertificate) (err error) {
	if v == nil {
		return nil
	}
	var ok bool
	if d.certificate, ok = strings.CutPrefix(v.GetCertificate(), string(keys.Certificates)+"/"); !ok {
		return invalid("viewer_certificate.certificate: %q is not certificates/{certificate}", v.GetCertificate())
	}
	d.security, err = compilePolicy(v.GetMinimumProtocolVersion())
	return err
}

func errorTTL(entries []*configv1.CustomErrorResponse) map[int]time.Duration {
	if len(entries) == 0 {
		return nil
	}
	ttl := make(map[int]time.Duration, len(entries))
	for _, e := range entries {
		ttl[int(e.GetErrorCode())] = e.GetErrorCachingMinTtl().AsDuration()
	}
	return ttl
}

// addBehaviors compiles the ordered behaviors and, last, the default one, whose
// pattern matches everything (D5.1).
func (d *Distribution) addBehaviors(c *configv1.DistributionConfig, targets []Target) error {
	ordered := c.GetCacheBehaviors()
	d.behaviors = make([]Behavior, len(ordered)+1)
	patterns := make([]string, len(ordered)+1)
	for i, b := range ordered {
		if err := d.behaviors[i].compile(b, targets); err != nil {
			return err.in(fmt.Sprintf("cache_behaviors[%d]", i))
		}
		patterns[i] = b.GetPathPattern()
	}
	if err := d.behaviors[len(ordered)].compile(c.GetDefaultCacheBehavior(), targets); err != nil {
		return err.in("default_cache_behavior")
	}
	patterns[len(ordered)] = "*"
	for i, p := range patterns {
		d.behaviors[i].Pattern = p
	}
	var err error
	if d.patterns, err = pathpattern.NewList(patterns); err != nil {
		return invalid("path patterns: %v", err)
	}
	return nil
}

// compile takes a behavior in. Its error begins with the field below the behavior.
func (out *Behavior) compile(b *configv1.CacheBehavior, targets []Target) *Error {
	at := slices.IndexFunc(targets, func(t Target) bool { return t.ID == b.GetTargetOriginId() })
	if at < 0 {
		return invalid("target_origin_id: no origin %q", b.GetTargetOriginId())
	}
	out.Origin = &targets[at]
	switch b.GetViewerProtocolPolicy() {
	case configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL:
		out.Protocol = AllowAll
	case configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_HTTPS_ONLY:
		out.Protocol = HTTPSOnly
	case configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_REDIRECT_TO_HTTPS:
		out.Protocol = RedirectToHTTPS
	default:
		return invalid("viewer_protocol_policy is not set")
	}
	out.Methods = MethodSet{allowed: reaches(b.GetAllowedMethods()), cached: reaches(b.GetCachedMethods())}
	var ok bool
	if out.policy, ok = strings.CutPrefix(b.GetCachePolicy(), string(keys.CachePolicies)+"/"); !ok {
		return invalid("cache_policy: %q is not cachePolicies/{cache_policy}", b.GetCachePolicy())
	}
	if name := b.GetOriginRequestPolicy(); name != "" {
		if out.request, ok = strings.CutPrefix(name, string(keys.OriginRequestPolicies)+"/"); !ok {
			return invalid("origin_request_policy: %q is not originRequestPolicies/{origin_request_policy}", name)
		}
	}
	return nil
}

// CompileCachePolicy makes the form that edges serve from. Errors are of type
// *Error.
func CompileCachePolicy(id string, p *configv1.CachePolicy) (*CachePolicy, error) {
	if err := acceptable(p); err != nil {
		return nil, err
	}
	return compileCachePolicy(id, p)
}

func compileCachePolicy(id string, p *configv1.CachePolicy) (*CachePolicy, error) {
	cookies, query := selection(p.GetCookies()), selection(p.GetQueryStrings())
	out := &CachePolicy{
		ID:               id,
		Semantics:        CloudFrontSemantics,
		Min:              p.GetMinTtl().AsDuration(),
		Def:              orDefault(p.GetDefaultTtl(), 24*time.Hour),
		Max:              orDefault(p.GetMaxTtl(), 365*24*time.Hour),
		CacheStatus:      p.GetCacheStatus(),
		CookiesForwarded: cookies.Mode != cachekey.None,
	}
	if p.GetSemantics() == configv1.CacheSemantics_CACHE_SEMANTICS_HTTP {
		out.Semantics, out.Heuristic = HTTPSemantics, p.GetHeuristicFreshness()
		out.Def = p.GetDefaultTtl().AsDuration()
		if out.Min != 0 {
			return nil, invalid("min_ttl is %v; by the semantics of HTTP it is 0", out.Min)
		}
	}
	if p.GetDefaultTtl() == nil {
		out.Def = max(out.Def, out.Min) // C2.92
	}
	if p.GetMaxTtl() == nil {
		out.Max = max(out.Max, out.Def) // C2.93
	}
	if out.Min < 0 || out.Def < out.Min || out.Max < out.Def {
		return nil, invalid("TTLs are not 0 <= min %v <= default %v <= max %v", out.Min, out.Def, out.Max)
	}
	var names []string
	if p.GetHeaders().GetMode() == configv1.HeaderSelection_MODE_LISTED {
		names = p.GetHeaders().GetNames()
	}
	out.Headers = names
	explicit := false
	for _, n := range names {
		explicit = explicit || header.Equal(n, "Accept-Encoding")
	}
	// Listed by name, Accept-Encoding is a plain header (D11.19).
	gzip, brotli := p.GetAcceptEncodingGzip() && !explicit, p.GetAcceptEncodingBrotli() && !explicit
	out.Key = cachekey.NewPolicy(names, cookies, query, gzip, brotli)
	return out, nil
}

// CompileOriginRequestPolicy makes the form that edges serve from. Errors are of type
// *Error.
func CompileOriginRequestPolicy(p *configv1.OriginRequestPolicy) (*forward.Policy, error) {
	if err := acceptable(p); err != nil {
		return nil, err
	}
	mode := map[configv1.OriginRequestHeaders_Mode]forward.Mode{
		configv1.OriginRequestHeaders_MODE_LISTED:                    forward.Listed,
		configv1.OriginRequestHeaders_MODE_ALL_VIEWER:                forward.AllViewer,
		configv1.OriginRequestHeaders_MODE_ALL_VIEWER_AND_LISTED_CDN: forward.AllViewerAndMore,
		configv1.OriginRequestHeaders_MODE_ALL_EXCEPT:                forward.AllExcept,
	}[p.GetHeaders().GetMode()]
	out := forward.NewPolicy(mode, p.GetHeaders().GetNames(), selection(p.GetCookies()), selection(p.GetQueryStrings()))
	return &out, nil
}

func orDefault(d *durationpb.Duration, def time.Duration) time.Duration {
	if d == nil {
		return def
	}
	return d.AsDuration()
}

func selection(s *configv1.ItemSelection) cachekey.Selection {
	mode := map[configv1.ItemSelection_Mode]cachekey.Mode{
		configv1.ItemSelection_MODE_LISTED:     cachekey.Listed,
		configv1.ItemSelection_MODE_ALL_EXCEPT: cachekey.AllExcept,
		configv1.ItemSelection_MODE_ALL:        cachekey.All,
	}[s.GetMode()]
	if mode == 0 {
		return cachekey.Selection{Mode: cachekey.None}
	}
	return cachekey.Selection{Mode: mode, Names: s.GetNames()}
}
