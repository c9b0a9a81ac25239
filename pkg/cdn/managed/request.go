// SPDX-License-Identifier: Apache-2.0

package managed

import configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"

// requestPolicy is one row of the table. version counts the releases that changed it
// and makes its etag.
type requestPolicy struct {
	id, name       string
	version        int
	mode           configv1.OriginRequestHeaders_Mode
	headers        []string
	cookies, query configv1.ItemSelection_Mode
}

// requestTable is D27.b and the one of our own, by id. Of AllViewerExceptHostHeader the table says only what
// it takes from the viewer; that it adds headers which edges compute belongs to its id.
func requestTable() []requestPolicy {
	const (
		named  = configv1.OriginRequestHeaders_MODE_LISTED
		viewer = configv1.OriginRequestHeaders_MODE_ALL_VIEWER
		except = configv1.OriginRequestHeaders_MODE_ALL_EXCEPT
		cdn    = configv1.OriginRequestHeaders_MODE_ALL_VIEWER_AND_LISTED_CDN
	)
	cors := []string{"Origin", "Access-Control-Request-Headers", "Access-Control-Request-Method"}
	return []requestPolicy{
		{"216adef6-5c7f-47e4-b989-5492eafa07d3", "AllViewer", 1, viewer, nil, all, all},
		{"33f36d7e-f396-46d9-90e0-52428a34d9dc", "AllViewerAndCloudFrontHeaders-2022-06", 1, cdn, cdnHeaders(), all, all},
		{"59781a5b-3903-41f3-afcb-af62929ccde1", "CORS-CustomOrigin", 1, named, cors[:1], none, none},
		{TransparentProxy, "TransparentProxy", 1, cdn, []string{"CloudFront-Forwarded-Proto", "CloudFront-Viewer-Address", "CloudFront-Viewer-Http-Version"}, all, all},
		{"775133bc-15f2-49f9-abea-afb2e0bf67d2", "Elemental-MediaTailor-PersonalizedManifests", 1, named, append(cors[:3:3], "User-Agent", "X-Forwarded-For"), none, all},
		{"88a5eaf4-2fd4-4709-b370-b4c650ea3fcf", "CORS-S3Origin", 1, named, cors, none, none},
		{"acba4595-bd28-49b8-b9fe-13317c0390fa", "UserAgentRefererHeaders", 1, named, []string{"User-Agent", "Referer"}, none, none},
		{"b689b0a8-53d0-40ab-baf2-68738e2966ac", "AllViewerExceptHostHeader", 1, except, []string{"Host"}, all, all},
		{"bf0718e1-ba1e-49d1-88b1-f726733018ae", "HostHeaderOnly", 1, named, []string{"Host"}, none, none},
	}
}

// cdnHeaders are the 21 headers of AllViewerAndCloudFrontHeaders-2022-06.
func cdnHeaders() []string {
	out := []string{
		"Forwarded-Proto", "Is-Android-Viewer", "Is-Desktop-Viewer", "Is-IOS-Viewer", "Is-Mobile-Viewer", "Is-SmartTV-Viewer",
		"Is-Tablet-Viewer", "Viewer-Address", "Viewer-ASN", "Viewer-City", "Viewer-Country", "Viewer-Country-Name",
		"Viewer-Country-Region", "Viewer-Country-Region-Name", "Viewer-Http-Version", "Viewer-Latitude", "Viewer-Longitude",
		"Viewer-Metro-Code", "Viewer-Postal-Code", "Viewer-Time-Zone", "Viewer-TLS",
	}
	for i := range out {
		out[i] = "CloudFront-" + out[i]
	}
	return out
}

// OriginRequestPolicies returns new copies of all managed origin request policies, by
// id.
func OriginRequestPolicies() []*configv1.OriginRequestPolicy {
	var out []*configv1.OriginRequestPolicy
	for _, r := range requestTable() {
		out = append(out, r.message())
	}
	return out
}

// OriginRequestPolicy returns a new copy of one managed origin request policy.
func OriginRequestPolicy(id string) (*configv1.OriginRequestPolicy, bool) {
	for _, r := range requestTable() {
		if r.id == id {
			return r.message(), true
		}
	}
	return nil, false
}

func (p requestPolicy) message() *configv1.OriginRequestPolicy {
	return &configv1.OriginRequestPolicy{
		Name:         "originRequestPolicies/" + p.id,
		Uid:          p.id,
		Etag:         etag(p.version),
		Type:         configv1.OriginRequestPolicy_TYPE_MANAGED,
		DisplayName:  p.name,
		Headers:      &configv1.OriginRequestHeaders{Mode: p.mode, Names: p.headers},
		Cookies:      &configv1.ItemSelection{Mode: p.cookies},
		QueryStrings: &configv1.ItemSelection{Mode: p.query},
	}
}
