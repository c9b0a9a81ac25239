// SPDX-License-Identifier: Apache-2.0

package httpcache_test

import (
	"fmt"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
)

var noon = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

func ExampleAssess() {
	policy := httpcache.Policy{Default: time.Hour, Max: 24 * time.Hour}
	for _, control := range []string{"max-age=60", "no-store", "public"} {
		a := httpcache.Assess(httpcache.Request{Method: "GET"}, httpcache.Response{
			Status:       200,
			Header:       header.Fields{{Name: "Cache-Control", Value: control}},
			RequestTime:  noon,
			ResponseTime: noon,
		}, policy)
		fmt.Println(control, "→", a.Reason, a.Lifetime)
	}
	// Output:
	// max-age=60 → stored 1m0s
	// no-store → no-store 0s
	// public → stored 1h0m0s
}

func ExamplePolicy_Disabled() {
	fmt.Println(httpcache.Policy{}.Disabled(), httpcache.Policy{Max: time.Hour}.Disabled())
	// Output: true false
}

func ExampleErrorTTL() {
	policy := httpcache.Policy{Max: time.Hour, ErrorTTL: map[int]time.Duration{404: time.Minute}}
	fmt.Println(httpcache.ErrorTTL(404, policy), httpcache.ErrorTTL(503, policy))
	// Output: 1m0s 10s
}

func ExampleParseControl() {
	c := httpcache.ParseControl([]string{`max-age="60", no-cache="Set-Cookie"`})
	fmt.Println(c.MaxAge.Value, c.NoCache, c.NoCacheFields)
	// Output: 1m0s false [Set-Cookie]
}

func ExampleState() {
	span := httpcache.Span{ResponseTime: noon, Lifetime: time.Minute, Retain: time.Hour}
	for _, after := range []time.Duration{0, 5 * time.Minute, 2 * time.Hour} {
		fmt.Println(after, httpcache.State(span, noon.Add(after)))
	}
	// Output:
	// 0s fresh
	// 5m0s stale
	// 2h0m0s dead
}

func ExampleAge() {
	age := httpcache.Age(20*time.Second, noon, noon.Add(5500*time.Millisecond))
	fmt.Println("Age:", int(age.Seconds()))
	// Output: Age: 25
}

func ExampleViewerHeader() {
	origin := header.Fields{
		{Name: "Connection", Value: "X-Hop"},
		{Name: "X-Hop", Value: "1"},
		{Name: "Set-Cookie", Value: "session=1"},
		{Name: "Vary", Value: "Origin, Accept-Encoding"},
	}
	fmt.Println(httpcache.ViewerHeader(origin, httpcache.Policy{Max: time.Hour}))
	// Output: [{Vary Accept-Encoding}]
}

func ExampleStoredHeader() {
	viewer := header.Fields{
		{Name: "Cache-Control", Value: `no-cache="Set-Cookie"`},
		{Name: "Set-Cookie", Value: "session=1"},
		{Name: "Age", Value: "5"},
	}
	fmt.Println(httpcache.StoredHeader(viewer, httpcache.Policy{}))
	// Output: [{Cache-Control no-cache="Set-Cookie"}]
}

func ExampleEvaluate() {
	stored := httpcache.Response{Status: 200, Header: header.Fields{{Name: "ETag", Value: `"a"`}}}
	request := header.Fields{{Name: "If-None-Match", Value: `"b", W/"a"`}}
	fmt.Println(httpcache.Evaluate("GET", request, stored))
	// Output: not-modified
}

func ExampleNotModifiedHeader() {
	stored := header.Fields{
		{Name: "ETag", Value: `"a"`},
		{Name: "Last-Modified", Value: "Sun, 06 Nov 1994 08:49:37 GMT"},
		{Name: "Content-Length", Value: "3"},
	}
	fmt.Println(httpcache.NotModifiedHeader(stored))
	// Output: [{ETag "a"}]
}

func ExampleValidationFields() {
	stored := header.Fields{{Name: "ETag", Value: `"a"`}}
	fmt.Println(httpcache.ValidationFields(stored))
	// Output: [{If-None-Match "a"}]
}

// A 304 gives the stored answer a new header and a new life.
func ExampleMerge() {
	policy := httpcache.Policy{Max: time.Hour}
	stored := header.Fields{
		{Name: "Cache-Control", Value: "max-age=60"},
		{Name: "Content-Length", Value: "3"},
	}
	confirmed := header.Fields{ // by the origin's 304
		{Name: "Cache-Control", Value: "max-age=120"},
		{Name: "Age", Value: "10"},
		{Name: "Via", Value: "1.1 other"},
	}
	merged := httpcache.Merge(stored, httpcache.ViewerHeader(confirmed, policy), policy)
	a := httpcache.Assess(httpcache.Request{Method: "GET"}, httpcache.Response{
		Status: 200, Header: merged, RequestTime: noon, ResponseTime: noon,
	}, policy)
	fmt.Println(a.Lifetime, a.InitialAge)
	fmt.Println(httpcache.StoredHeader(merged, policy))
	// Output:
	// 2m0s 10s
	// [{Content-Length 3} {Cache-Control max-age=120}]
}

func ExampleParseDate() {
	at, ok := httpcache.ParseDate("Sunday, 06-Nov-94 08:49:37 GMT", noon)
	fmt.Println(at, ok)
	// Output: 1994-11-06 08:49:37 +0000 UTC true
}

func ExampleFormatDate() {
	fmt.Println(httpcache.FormatDate(noon))
	// Output: Sun, 17 May 2026 12:00:00 GMT
}

var rfc9111 = httpcache.Policy{Semantics: httpcache.HTTP, Max: 24 * time.Hour}

func ExampleDecide() {
	span := httpcache.Span{
		ResponseTime: noon, Lifetime: time.Minute, Retain: time.Hour,
		Windows: httpcache.Windows{Refreshing: 10 * time.Second},
	}
	asks := header.Fields{{Name: "Cache-Control", Value: "no-cache"}}
	plain := httpcache.ParseRequest("GET", nil, rfc9111)
	fmt.Println(httpcache.Decide(span, plain, noon))
	fmt.Println(httpcache.Decide(span, httpcache.ParseRequest("GET", asks, rfc9111), noon))
	fmt.Println(httpcache.Decide(span, plain, noon.Add(65*time.Second)))
	fmt.Println(httpcache.Decide(span, plain, noon.Add(75*time.Second)))
	// Output:
	// serve
	// validate
	// serve-and-refresh
	// validate
}

func ExampleStaleOnError() {
	a := httpcache.Assess(httpcache.Request{Method: "GET"}, httpcache.Response{
		Status:       200,
		Header:       header.Fields{{Name: "Cache-Control", Value: "max-age=60, stale-if-error=3600"}},
		RequestTime:  noon,
		ResponseTime: noon,
	}, rfc9111)
	span := a.Span(httpcache.Response{ResponseTime: noon})
	fmt.Println(rfc9111.Failed(503), httpcache.StaleOnError(span, httpcache.Failing, noon.Add(time.Hour)))
	// Output: true true
}

func ExampleVary_Matches() {
	vary := httpcache.VaryOf(header.Fields{{Name: "Vary", Value: "Accept-Language"}})
	a := header.Fields{{Name: "Accept-Language", Value: "de, en;q=0.5"}}
	b := header.Fields{{Name: "accept-language", Value: "en;q=0.50,DE"}}
	fmt.Println(vary.Matches(a, b), vary.Matches(a, nil))
	// Output: true false
}

func ExampleInvalidated() {
	target := httpcache.Target{Scheme: "https", Host: "www.example.com", Path: "/articles/"}
	answer := header.Fields{{Name: "Location", Value: "/articles/7"}}
	fmt.Println(httpcache.Invalidated("POST", target, 201, answer, rfc9111))
	// Output: [/articles/ /articles/7]
}

func ExampleFreshen() {
	stored := httpcache.Response{Status: 200, Header: header.Fields{{Name: "ETag", Value: `"a"`}}}
	head := httpcache.Response{Status: 200, Header: header.Fields{{Name: "ETag", Value: `"b"`}}}
	fmt.Println(httpcache.Freshen(stored, head, rfc9111))
	// Output: outdates
}

func ExampleCacheStatus_Append() {
	s := httpcache.CacheStatus{Cache: "Seafront", Forward: httpcache.ForwardStale, ForwardStatus: 304, Stored: true}
	fmt.Println(string(s.Append(nil)))
	// Output: Seafront; fwd=stale; fwd-status=304; stored
}
