// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// cachePolicy is one row of the table. version counts the releases that changed it and
// makes its etag.
type cachePolicy struct {
	id, name      string
	version       int
	min, def, max time.Duration
	headers       []string
	cookies       configv1.ItemSelection_Mode
	query         configv1.ItemSelection_Mode
	queryNames    []string
	gzip, brotli  bool
	// http is for those with the semantics of HTTP: they use Last-Modified where nothing
	// else tells a lifetime, and tell in Cache-Status how an answer came.
	http bool
}

const (
	none   = configv1.ItemSelection_MODE_NONE
	listed = configv1.ItemSelection_MODE_LISTED
	all    = configv1.ItemSelection_MODE_ALL
	day    = 24 * time.Hour
	year   = 365 * day
)

// cacheTable is D27.a and the one of our own, by id.
func cacheTable() []cachePolicy {
	override := []string{"Host", "Origin", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"}
	return []cachePolicy{
		{"08627262-05a9-4f76-9ded-b50ca2e3a84f", "Elemental-MediaPackage", 1, 0, day, year, []string{"Origin"}, none, listed, []string{"aws.manifestfilter", "start", "end", "m"}, true, false, false},
		{"2e54312d-136d-493c-8eb9-b001f22f67d2", "Amplify", 1, 2 * time.Second, 2 * time.Second, 600 * time.Second, []string{"Authorization", "CloudFront-Viewer-Country", "Host"}, all, all, nil, true, true, false},
		{"4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "CachingDisabled", 1, 0, 0, 0, nil, none, none, nil, false, false, false},
		{"4cc15a8a-d715-48a4-82b8-cc0b614638fe", "UseOriginCacheControlHeaders-QueryStrings", 1, 0, 0, year, override, all, all, nil, true, true, false},
		{StandardHTTP, "StandardHTTP", 1, 0, 0, year, nil, none, all, nil, false, false, true},
		{"658327ea-f89d-4fab-a63d-7e88639e58f6", "CachingOptimized", 1, time.Second, day, year, nil, none, none, nil, true, true, false},
		{"83da9c7e-98b4-4e11-a168-04f0df8e2c65", "UseOriginCacheControlHeaders", 1, 0, 0, year, override, all, none, nil, true, true, false},
		{"b2884449-e4de-46a7-ac36-70bc7f1ddd6d", "CachingOptimizedForUncompressedObjects", 1, time.Second, day, year, nil, none, none, nil, false, false, false},
	}
}

// CachePolicies returns new copies of all managed cache policies, by id.
func CachePolicies() []*configv1.CachePolicy {
	rows := cacheTable()
	out := make([]*configv1.CachePolicy, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.message())
	}
	return out
}

// CachePolicy returns a new copy of one managed cache policy.
func CachePolicy(id string) (*configv1.CachePolicy, bool) {
	for _, r := range cacheTable() {
		if r.id == id {
			return r.message(), true
		}
	}
	return nil, false
}

func (p cachePolicy) message() *configv1.CachePolicy {
	out := &configv1.CachePolicy{
		Name:                 "cachePolicies/" + p.id,
		Uid:                  p.id,
		Etag:                 etag(p.version),
		Type:                 configv1.CachePolicy_TYPE_MANAGED,
		DisplayName:          p.name,
		MinTtl:               durationpb.New(p.min),
		DefaultTtl:           durationpb.New(p.def),
		MaxTtl:               durationpb.New(p.max),
		AcceptEncodingGzip:   p.gzip,
		AcceptEncodingBrotli: p.brotli,
		Headers:              &configv1.HeaderSelection{Mode: configv1.HeaderSelection_MODE_NONE},
		Cookies:              &configv1.ItemSelection{Mode: p.cookies},
		QueryStrings:         &configv1.ItemSelection{Mode: p.query, Names: p.queryNames},
		Semantics:            configv1.CacheSemantics_CACHE_SEMANTICS_CLOUDFRONT,
	}
	if p.http {
		out.Semantics, out.HeuristicFreshness, out.CacheStatus = configv1.CacheSemantics_CACHE_SEMANTICS_HTTP, true, true
	}
	if len(p.headers) > 0 {
		out.Headers = &configv1.HeaderSelection{Mode: configv1.HeaderSelection_MODE_LISTED, Names: p.headers}
	}
	return out
}
