// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/internal/bucket"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Warnings returns advice about what is legal in d and probably not meant, each
// beginning with the field that it is about, in the order of the fields. origins is
// by id, as in Refs. d is valid, with defaults filled.
func Warnings(d *configv1.Distribution, origins map[string]*originv1.Origin) []string {
	var out []string
	c := d.GetConfig()
	if len(c.GetAliases()) > 0 && c.GetViewerCertificate() == nil { // design §5
		out = append(out, "config.aliases have no certificate of their own: they are served over HTTP, and over HTTPS with the edge's default certificate, which viewers may refuse")
	}
	used := map[string]bool{}
	for _, b := range allBehaviors(d) {
		used[b.GetTargetOriginId()] = true
	}
	for i, o := range c.GetOrigins() {
		field := fmt.Sprintf("config.origins[%d]", i)
		if !used[o.GetId()] { // C2.37
			out = append(out, fmt.Sprintf("%s (%q) is the target of no behavior", field, o.GetId()))
		}
		if r := registered(o, origins); r != nil {
			out = append(out, endpointWarnings(field+".origin_ref", r.GetEndpoint())...)
		}
		out = append(out, endpointWarnings(field+".endpoint", o.GetEndpoint())...)
	}
	return append(out, coveredPatterns(c.GetCacheBehaviors())...)
}

// OriginWarnings is Warnings for a registered origin.
func OriginWarnings(o *originv1.Origin) []string {
	return endpointWarnings("endpoint", o.GetEndpoint())
}

func endpointWarnings(field string, e *originv1.OriginEndpoint) []string {
	if s := e.GetS3(); s != nil {
		return bucketWarnings(field+".s3", s)
	}
	host := e.GetHttp().GetHost()
	if bucket.IsWebsite(host) && e.GetHttp().GetProtocolPolicy() != originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY { // C5.4
		return []string{fmt.Sprintf("%s.http.protocol_policy lets edges use HTTPS, which %s, a website endpoint, does not answer", field, host)}
	}
	if _, err := bucket.ParseHost(host); err == nil { // C5.5
		return []string{fmt.Sprintf("%s.http.host, %s, is a bucket: as an HTTP server it is asked without anything that an s3 endpoint would add", field, host)}
	}
	return nil
}

// bucketWarnings warns of a dotted bucket before a host that HTTPS is spoken to: the
// store's wildcard certificate covers one label (C5.1).
func bucketWarnings(field string, s *originv1.S3Endpoint) []string {
	b, err := bucket.ParseHost(s.GetHost())
	at, name := field+".host", b.Bucket
	if err != nil {
		at, name = field+".bucket", s.GetBucket()
	}
	unencrypted := strings.HasPrefix(s.GetEndpointUrl(), "http:")
	if unencrypted || s.GetPathStyle() || !strings.Contains(name, ".") {
		return nil
	}
	return []string{fmt.Sprintf("%s: the dots in the bucket's name %q make it more than one label, and a wildcard certificate of the store covers one; HTTPS to it will probably fail", at, name)}
}

// coveredPatterns names each behavior that an earlier one makes useless (C2.87).
func coveredPatterns(behaviors []*configv1.CacheBehavior) []string {
	var out []string
	for later, b := range behaviors {
		for earlier, a := range behaviors[:later] {
			if covers(a.GetPathPattern(), b.GetPathPattern()) {
				out = append(out, fmt.Sprintf("%s.path_pattern %q is never reached: %s.path_pattern %q matches the same paths before it",
					behaviorField(later), b.GetPathPattern(), behaviorField(earlier), a.GetPathPattern()))
				break
			}
		}
	}
	return out
}

// covers says whether earlier matches every path that later matches. It reads later
// as text in which a star can only be taken by a star. True is always right; of
// false there may be contrived exceptions.
func covers(earlier, later string) bool {
	p, q := pathpattern.Canonical(earlier), pathpattern.Canonical(later)
	// reached[j] says that the part of p read so far takes all that q[:j] stands for.
	reached := make([]bool, len(q)+1)
	reached[0] = true
	for len(p) > 0 {
		wild := p[:len(p)-len(strings.TrimLeft(p, "*?"))]
		switch {
		case wild == "":
			reached = step(reached, q, func(c byte) bool { return c == p[0] })
			p = p[1:]
			continue
		case strings.Contains(wild, "*"):
			reached = stretch(reached, q, strings.Count(wild, "?"))
		default:
			for range wild {
				reached = step(reached, q, func(c byte) bool { return c != '*' })
			}
		}
		p = p[len(wild):]
	}
	return reached[len(q)]
}

// step takes one more character of q where ok allows it.
func step(reached []bool, q string, ok func(byte) bool) []bool {
	out := make([]bool, len(reached))
	for j := range len(q) {
		out[j+1] = reached[j] && ok(q[j])
	}
	return out
}

// stretch takes any part of q that stands for at least least characters. Where the
// first place reached leads, no later one leads further.
func stretch(reached []bool, q string, least int) []bool {
	out := make([]bool, len(reached))
	taken, started := 0, false
	for j := range reached {
		started = started || reached[j]
		out[j] = started && taken >= least
		if started && j < len(q) && q[j] != '*' {
			taken++
		}
	}
	return out
}
