// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestCachePolicies(t *testing.T) {
	var ids []string
	for _, p := range CachePolicies() {
		id := strings.TrimPrefix(p.GetName(), "cachePolicies/")
		ids = append(ids, id)
		same, ok := CachePolicy(id)
		if !ok || same.GetDisplayName() != p.GetDisplayName() || len(p.GetEtag()) != 14 {
			t.Errorf("D27.a: %s: found %v, %v", id, same, ok)
		}
		if !(0 <= p.GetMinTtl().AsDuration() && p.GetMinTtl().AsDuration() <= p.GetDefaultTtl().AsDuration() && p.GetDefaultTtl().AsDuration() <= p.GetMaxTtl().AsDuration()) {
			t.Errorf("C2.99: %s: TTLs out of order", id)
		}
	}
	if len(ids) != 8 || !slices.IsSorted(ids) {
		t.Errorf("D27.a: ids %q", ids)
	}
	if _, ok := CachePolicy("x"); ok {
		t.Error("unknown policy found")
	}
}

// TestStandardHTTP: nothing of the policy's own is between viewer and origin.
func TestStandardHTTP(t *testing.T) {
	p, ok := CachePolicy(StandardHTTP)
	if !ok || p.GetSemantics() != configv1.CacheSemantics_CACHE_SEMANTICS_HTTP {
		t.Fatalf("%v, %v", p, ok)
	}
	if p.GetMinTtl().AsDuration() != 0 || p.GetDefaultTtl() == nil || p.GetDefaultTtl().AsDuration() != 0 || p.GetMaxTtl().AsDuration() != year {
		t.Errorf("design 3.16: lifetimes are the origin's: %v", p)
	}
	if p.GetQueryStrings().GetMode() != all || len(p.GetHeaders().GetNames()) > 0 || p.GetAcceptEncodingGzip() || p.GetAcceptEncodingBrotli() {
		t.Errorf("RFC 9111 §2: the key is method and URI: %v", p)
	}
	for _, c := range []keys.Collection{keys.CachePolicies, keys.OriginRequestPolicies} {
		if Has(c, StandardHTTP) != (c == keys.CachePolicies) || Has(c, TransparentProxy) != (c == keys.OriginRequestPolicies) {
			t.Errorf("which of %s are managed", c)
		}
	}
	if Has(keys.Origins, StandardHTTP) {
		t.Error("an origin is managed")
	}
}

// TestContent writes the other two kinds down, as the tables of D27 do.
func TestContent(t *testing.T) {
	var got []string
	for _, p := range OriginRequestPolicies() {
		got = append(got, fmt.Sprintf("%s %s: %s %s, cookies %s, query %s", strings.TrimPrefix(p.GetName(), "originRequestPolicies/"), p.GetDisplayName(),
			word(p.GetHeaders().GetMode()), strings.ReplaceAll(strings.Join(p.GetHeaders().GetNames(), " "), "CloudFront-", "CF-"), word(p.GetCookies().GetMode()), word(p.GetQueryStrings().GetMode())))
		if p.GetType() != configv1.OriginRequestPolicy_TYPE_MANAGED || p.GetUid() != p.GetName()[len(p.GetName())-36:] || len(p.GetEtag()) != 14 {
			t.Errorf("%v", p)
		}
	}
	for _, p := range ResponseHeadersPolicies() {
		c, s := p.GetCors(), p.GetSecurity()
		line := fmt.Sprintf("%s %s:", strings.TrimPrefix(p.GetName(), "responseHeadersPolicies/"), p.GetDisplayName())
		if c != nil {
			line += fmt.Sprintf(" origins %v methods %d expose %v override %v", c.GetOrigins(), len(c.GetMethods()), c.GetExposeHeaders(), c.GetOverride())
		}
		if s != nil {
			line += fmt.Sprintf(" referrer %s %v, hsts %d %v, nosniff %v, frame %s %v, xss %v %v %v",
				word(s.GetReferrerPolicy().GetValue()), s.GetReferrerPolicy().GetOverride(), s.GetStrictTransportSecurity().GetMaxAge().GetSeconds(), s.GetStrictTransportSecurity().GetOverride(),
				s.GetContentTypeOptions().GetOverride(), word(s.GetFrameOptions().GetValue()), s.GetFrameOptions().GetOverride(),
				s.GetXssProtection().GetProtection(), s.GetXssProtection().GetModeBlock(), s.GetXssProtection().GetOverride())
		}
		got = append(got, line)
		if p.GetType() != configv1.ResponseHeadersPolicy_TYPE_MANAGED || len(p.GetEtag()) != 14 {
			t.Errorf("%v", p)
		}
	}
	security := " referrer STRICT_ORIGIN_WHEN_CROSS_ORIGIN false, hsts 31536000 false, nosniff true, frame SAMEORIGIN false, xss true true false"
	want := []string{
		"216adef6-5c7f-47e4-b989-5492eafa07d3 AllViewer: ALL_VIEWER , cookies ALL, query ALL",
		"33f36d7e-f396-46d9-90e0-52428a34d9dc AllViewerAndCloudFrontHeaders-2022-06: ALL_VIEWER_AND_LISTED_CDN CF-Forwarded-Proto " +
			"CF-Is-Android-Viewer CF-Is-Desktop-Viewer CF-Is-IOS-Viewer CF-Is-Mobile-Viewer CF-Is-SmartTV-Viewer CF-Is-Tablet-Viewer " +
			"CF-Viewer-Address CF-Viewer-ASN CF-Viewer-City CF-Viewer-Country CF-Viewer-Country-Name CF-Viewer-Country-Region " +
			"CF-Viewer-Country-Region-Name CF-Viewer-Http-Version CF-Viewer-Latitude CF-Viewer-Longitude CF-Viewer-Metro-Code " +
			"CF-Viewer-Postal-Code CF-Viewer-Time-Zone CF-Viewer-TLS, cookies ALL, query ALL",
		"59781a5b-3903-41f3-afcb-af62929ccde1 CORS-CustomOrigin: LISTED Origin, cookies NONE, query NONE",
		TransparentProxy + " TransparentProxy: ALL_VIEWER_AND_LISTED_CDN CF-Forwarded-Proto CF-Viewer-Address CF-Viewer-Http-Version, cookies ALL, query ALL",
		"775133bc-15f2-49f9-abea-afb2e0bf67d2 Elemental-MediaTailor-PersonalizedManifests: LISTED Origin Access-Control-Request-Headers " +
			"Access-Control-Request-Method User-Agent X-Forwarded-For, cookies NONE, query ALL",
		"88a5eaf4-2fd4-4709-b370-b4c650ea3fcf CORS-S3Origin: LISTED Origin Access-Control-Request-Headers Access-Control-Request-Method, cookies NONE, query NONE",
		"acba4595-bd28-49b8-b9fe-13317c0390fa UserAgentRefererHeaders: LISTED User-Agent Referer, cookies NONE, query NONE",
		"b689b0a8-53d0-40ab-baf2-68738e2966ac AllViewerExceptHostHeader: ALL_EXCEPT Host, cookies ALL, query ALL",
		"bf0718e1-ba1e-49d1-88b1-f726733018ae HostHeaderOnly: LISTED Host, cookies NONE, query NONE",
		"5cc3b908-e619-4b99-88e5-2cf7f45965bd CORS-With-Preflight: origins [*] methods 7 expose [*] override false",
		"60669652-455b-4ae9-85a4-c4c02393f86c SimpleCORS: origins [*] methods 0 expose [] override false",
		"67f7725c-6f97-4210-82d7-5512b31e9d03 SecurityHeadersPolicy:" + security,
		"e61eb60c-9c35-4d20-a928-2b84e02af89c CORS-and-SecurityHeadersPolicy: origins [*] methods 0 expose [] override false" + security,
		"eaab4381-ed33-4a86-88ca-d9558dc6cd63 CORS-with-preflight-and-SecurityHeadersPolicy: origins [*] methods 7 expose [*] override false" + security,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("C1.82, D27.b, D27.c: (-want +got)\n%s", diff)
	}
}

// word is an enum value without MODE_ or VALUE_.
func word(v fmt.Stringer) string {
	_, w, _ := strings.Cut(v.String(), "_")
	return w
}
