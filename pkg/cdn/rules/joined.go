// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/internal/bucket"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Refs are the resources that a distribution refers to, by id, sorted, each once.
type Refs struct {
	CachePolicies         []string // managed ones included
	OriginRequestPolicies []string // managed ones included
	Origins               []string // of the registry
	Certificates          []string
}

// Ref is a resource that something refers to.
type Ref struct {
	Collection keys.Collection
	ID         string
}

// Name is the name of the resource.
func (r Ref) Name() string { return r.Collection.Name(r.ID) }

// Held are those of r that have a record, so that it takes a key to hold them: all but
// the managed ones.
func (r Refs) Held() []Ref {
	var out []Ref
	for _, kind := range []struct {
		of  keys.Collection
		ids []string
	}{
		{keys.CachePolicies, r.CachePolicies}, {keys.OriginRequestPolicies, r.OriginRequestPolicies}, {keys.Origins, r.Origins},
		{keys.Certificates, r.Certificates},
	} {
		for _, id := range kind.ids {
			if !managed.Has(kind.of, id) {
				out = append(out, Ref{kind.of, id})
			}
		}
	}
	return out
}

// DistributionRefs returns what d refers to. Names that are not well-formed are
// left out; CheckDistribution reports them.
func DistributionRefs(d *configv1.Distribution) Refs {
	policies, requests, origins := map[string]bool{}, map[string]bool{}, map[string]bool{}
	collect := func(to map[string]bool, c keys.Collection, name string) {
		if id, bad := ParseName("", c, name); bad == nil {
			to[id] = true
		}
	}
	for _, o := range d.GetConfig().GetOrigins() {
		collect(origins, keys.Origins, o.GetOriginRef())
	}
	for _, b := range allBehaviors(d) {
		collect(policies, keys.CachePolicies, b.GetCachePolicy())
		collect(requests, keys.OriginRequestPolicies, b.GetOriginRequestPolicy())
	}
	certificates := map[string]bool{}
	collect(certificates, keys.Certificates, d.GetConfig().GetViewerCertificate().GetCertificate())
	return Refs{
		slices.Sorted(maps.Keys(policies)), slices.Sorted(maps.Keys(requests)), slices.Sorted(maps.Keys(origins)), slices.Sorted(maps.Keys(certificates)),
	}
}

// placed is a behavior and its field path.
type placed struct {
	*configv1.CacheBehavior
	field string
}

// allBehaviors returns the behaviors of d in the order of the fields.
func allBehaviors(d *configv1.Distribution) []placed {
	var out []placed
	if b := d.GetConfig().GetDefaultCacheBehavior(); b != nil {
		out = append(out, placed{b, "config.default_cache_behavior"})
	}
	for i, b := range d.GetConfig().GetCacheBehaviors() {
		out = append(out, placed{b, behaviorField(i)})
	}
	return out
}

func behaviorField(i int) string { return fmt.Sprintf("config.cache_behaviors[%d]", i) }

// PolicyField is the first field of d that names a policy.
func PolicyField(d *configv1.Distribution, policy Ref) string {
	for _, b := range allBehaviors(d) {
		switch policy.Name() {
		case b.GetCachePolicy():
			return b.field + ".cache_policy"
		case b.GetOriginRequestPolicy():
			return b.field + ".origin_request_policy"
		}
	}
	return "config"
}

// CheckJoined returns what is wrong with d together with what it refers to: rules
// that need the content of a cache policy or a registered origin. The maps are by
// id, as in Refs; what they lack is passed over. Field paths begin at Distribution.
// d and what it refers to are valid by themselves, with defaults filled. A
// registered origin in the CDN's own domain (C5.12) is found only if d has its
// domain_name.
func CheckJoined(d *configv1.Distribution, policies map[string]*configv1.CachePolicy, origins map[string]*originv1.Origin) []Violation {
	var f findings
	_, base, _ := strings.Cut(d.GetDomainName(), ".")
	s3 := map[string]bool{}
	for i, o := range d.GetConfig().GetOrigins() {
		field := fmt.Sprintf("config.origins[%d]", i)
		endpoint := o.GetEndpoint()
		if r := registered(o, origins); r != nil {
			endpoint = r.GetEndpoint()
			err := checkLoop(endpointHost(endpoint), d.GetConfig().GetAliases(), base)
			if err != nil {
				f.add(field+".origin_ref", ReasonInvalid, "has a host that %v", err)
			}
			f.completion(field, o, r)
		}
		s3[o.GetId()] = endpoint.GetS3() != nil
	}
	for _, b := range allBehaviors(d) {
		id, _ := ParseName("", keys.CachePolicies, b.GetCachePolicy())
		if s3[b.GetTargetOriginId()] && KeysHost(policies[id]) {
			f.add(b.field+".cache_policy", ReasonHeadersForS3Origin,
				"has the header Host in its key, but the target is a bucket, which is found by the host name that the edge sends; want a policy without Host")
		}
	}
	return f.found
}

// registered returns the registered origin that o refers to, if it is known.
func registered(o *configv1.Origin, origins map[string]*originv1.Origin) *originv1.Origin {
	id, bad := ParseName("", keys.Origins, o.GetOriginRef())
	if bad != nil {
		return nil
	}
	return origins[id]
}

// completion checks that response_completion_timeout is not below read_timeout
// (C2.52) when one of them is the distribution's and the other the registry's.
func (f *findings) completion(field string, o *configv1.Origin, r *originv1.Origin) {
	below := func(completion, read *durationpb.Duration) bool {
		return completion != nil && read != nil && completion.GetSeconds() < read.GetSeconds()
	}
	ownRead, ownCompletion := o.GetReadTimeout(), o.GetResponseCompletionTimeout()
	if ownRead == nil && below(ownCompletion, r.GetReadTimeout()) {
		f.add(field+".response_completion_timeout", ReasonInvalid, "is shorter than the read_timeout of %s (%ds); want at least as long",
			o.GetOriginRef(), r.GetReadTimeout().GetSeconds())
	}
	if ownCompletion == nil && below(r.GetResponseCompletionTimeout(), ownRead) {
		f.add(field+".read_timeout", ReasonInvalid, "is longer than the response_completion_timeout of %s (%ds); want at most as long",
			o.GetOriginRef(), r.GetResponseCompletionTimeout().GetSeconds())
	}
}

// KeysHost says whether a policy has Host in the key (C2.101, C5.7).
func KeysHost(p *configv1.CachePolicy) bool {
	return p.GetHeaders().GetMode() == configv1.HeaderSelection_MODE_LISTED &&
		slices.ContainsFunc(p.GetHeaders().GetNames(), func(n string) bool { return header.Equal(n, "Host") })
}

// endpointHost is the name that an edge connects to, or empty for an address.
func endpointHost(e *originv1.OriginEndpoint) string {
	s := e.GetS3()
	if s == nil {
		return e.GetHttp().GetHost()
	}
	if s.GetEndpointUrl() == "" {
		return s.GetHost()
	}
	host, literal, err := bucket.ParseURL(s.GetEndpointUrl())
	switch {
	case literal || err != nil:
		return ""
	case s.GetPathStyle():
		return host
	}
	return s.GetBucket() + "." + host
}

// UnsupportedPolicies returns one violation for each behavior that names a policy by
// which edges cannot serve in this release. That is for managed ones: custom ones of
// that kind are refused before they exist. The maps are by id, as in Refs.
func UnsupportedPolicies(d *configv1.Distribution, policies map[string]*configv1.CachePolicy, requests map[string]*configv1.OriginRequestPolicy) []Violation {
	var f findings
	look := func(field, name string, p interface {
		proto.Message
		GetDisplayName() string
	}) {
		if vs := Unsupported(p); len(vs) > 0 {
			f.add(field, ReasonUnsupported, "names %s (%s), of which %s %s", name, p.GetDisplayName(), vs[0].Field, vs[0].Description)
		}
	}
	for _, b := range allBehaviors(d) {
		id, _ := ParseName("", keys.CachePolicies, b.GetCachePolicy())
		look(b.field+".cache_policy", b.GetCachePolicy(), policies[id])
		id, _ = ParseName("", keys.OriginRequestPolicies, b.GetOriginRequestPolicy())
		look(b.field+".origin_request_policy", b.GetOriginRequestPolicy(), requests[id])
	}
	return f.found
}

// PolicyWarnings is Warnings about policies that do not go together well. The maps are
// by id, as in Refs.
func PolicyWarnings(d *configv1.Distribution, policies map[string]*configv1.CachePolicy, requests map[string]*configv1.OriginRequestPolicy) []string {
	var out []string
	for _, b := range allBehaviors(d) {
		id, _ := ParseName("", keys.CachePolicies, b.GetCachePolicy())
		key := policies[id]
		id, _ = ParseName("", keys.OriginRequestPolicies, b.GetOriginRequestPolicy())
		sent := requests[id]
		for _, kind := range []struct {
			what     string
			key, not *configv1.ItemSelection
		}{
			{"cookies", key.GetCookies(), sent.GetCookies()},
			{"parts of the query string", key.GetQueryStrings(), sent.GetQueryStrings()},
		} {
			if keyedUnsent(kind.key, kind.not) { // D11.24
				out = append(out, fmt.Sprintf("%s.origin_request_policy holds back %s that are in the cache key: objects differ by what the origin never sees", b.field, kind.what))
			}
		}
	}
	return out
}

// keyedUnsent says whether a name is in the key by one list of exceptions and held back
// by another.
func keyedUnsent(key, not *configv1.ItemSelection) bool {
	const except = configv1.ItemSelection_MODE_ALL_EXCEPT
	return key.GetMode() == except && not.GetMode() == except &&
		slices.ContainsFunc(not.GetNames(), func(n string) bool { return !slices.Contains(key.GetNames(), n) })
}
