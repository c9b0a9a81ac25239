// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// pureHTTP is RFC 9111 with everything that it leaves open to an origin, as the managed
// policy has it.
var pureHTTP = Policy{Semantics: HTTP, Max: MaxLifetime, Heuristic: true, Targeted: true}

// scenario is a case in the manner of the public test suite for HTTP caches, by its names
// where it has them.
type scenario struct {
	name  string
	steps []step
}

func playAll(t *testing.T, p Policy, all []scenario) {
	t.Helper()
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) { play(t, p, s.steps) })
	}
}

// pause is how long the suite waits for something to become stale.
const pause = 3 * time.Second

// twice is an answer with that header, and the same request again, a pause later.
func twice(want string, namesAndValues ...string) []step {
	h := fields(namesAndValues...)
	return []step{{answer: h, want: "miss"}, {answer: h, after: pause, want: want}}
}

func TestConformanceOfCacheControl(t *testing.T) {
	const cc = "Cache-Control"
	playAll(t, pureHTTP, []scenario{
		{"freshness-none", twice("miss")},
		{"freshness-max-age", twice("hit", cc, "max-age=3600")},
		{"freshness-max-age-stale", twice("miss", cc, "max-age=2")},
		{"freshness-max-age-0", twice("miss", cc, "max-age=0")},
		{"freshness-max-age-max-minus-1", twice("hit", cc, "max-age=2147483647")},
		{"freshness-max-age-max", twice("hit", cc, "max-age=2147483648")},
		{"freshness-max-age-max-plus-1", twice("hit", cc, "max-age=2147483649")},
		{"freshness-max-age-max-plus", twice("hit", cc, "max-age=99999999999")},
		{"freshness-max-age-age", twice("miss", "Date", "@0", cc, "max-age=3600", "Age", "7200")},
		{"freshness-max-age-date", twice("miss", "Date", "@-7200", cc, "max-age=3600")},
		{"freshness-max-age-expires", twice("hit", cc, "max-age=3600", "Expires", "@-7200", "Date", "@0")},
		{"freshness-max-age-expires-invalid", twice("hit", cc, "max-age=3600", "Expires", "0", "Date", "@0")},
		{"freshness-max-age-0-expires", twice("miss", "Expires", "@3600", cc, "max-age=0", "Date", "@0")},
		{"freshness-max-age-extension", twice("hit", cc, "foobar, max-age=3600")},
		{"freshness-max-age-case-insenstive", twice("hit", cc, "MaX-aGe=3600")},
		{"freshness-max-age-negative", twice("miss", cc, "max-age=-3600")},
		{"freshness-s-maxage-shared", twice("hit", cc, "s-maxage=3600")},
		{"freshness-max-age-s-maxage-shared-longer", twice("miss", cc, "max-age=3600, s-maxage=1")},
		{"freshness-max-age-s-maxage-shared-longer-reversed", twice("miss", cc, "s-maxage=1, max-age=3600")},
		{"freshness-max-age-s-maxage-shared-longer-multiple", twice("miss", cc, "max-age=3600", cc, "s-maxage=1")},
		{"freshness-max-age-s-maxage-shared-shorter", twice("hit", cc, "max-age=1, s-maxage=3600")},
		{"freshness-max-age-s-maxage-shared-shorter-expires", twice("hit", "Expires", "@-10", cc, "max-age=0, s-maxage=3600")},
		{"freshness-max-age-two-fresh-stale-sameline: stale", twice("miss", cc, "max-age=1800, max-age=1")},
		{"freshness-max-age-two-fresh-stale-sepline: stale", twice("miss", cc, "max-age=1800", cc, "max-age=1")},
		{"freshness-max-age-two-stale-fresh-sameline: stale", twice("miss", cc, "max-age=1, max-age=1800")},
		{"freshness-max-age-ignore-quoted", twice("miss", cc, `extension="max-age=3600", max-age=1`)},
		{"freshness-max-age-ignore-quoted-rev", twice("miss", cc, `max-age=1, extension="max-age=3600"`)},
		{"freshness-max-age-quoted: counts", twice("hit", cc, `max-age="3600"`)},
		{"freshness-max-age-leading-zero", twice("hit", cc, "max-age=003600")},
		{"freshness-max-age-single-quoted", twice("miss", cc, "max-age='3600'")},
		{"freshness-max-age-space-before-equals: stale", twice("miss", cc, "max-age =3600")},
		{"freshness-max-age-space-after-equals: stale", twice("miss", cc, "max-age= 3600")},
		{"freshness-max-age-decimal-zero: stale", twice("miss", cc, "max-age=3600.0")},
		{"freshness-max-age-a100: stale", twice("miss", cc, "max-age=a3600")},
		{"freshness-max-age-100a: stale", twice("miss", cc, "max-age=3600a")},
		{"cc-resp-private-shared", twice("miss", cc, "private, max-age=3600")},
		{"cc-resp-no-store", twice("miss", cc, "no-store")},
		{"cc-resp-no-store-case-insensitive", twice("miss", cc, "No-StOrE")},
		{"cc-resp-no-store-fresh", twice("miss", cc, "max-age=10000, no-store", "Expires", "@10000", "Date", "@0")},
		{"cc-resp-no-cache", twice("miss", cc, "max-age=10000, no-cache", "Expires", "@10000", "Date", "@0")},
		{"cc-resp-no-cache-case-insensitive", twice("miss", cc, "max-age=10000, No-CaChE")},
		{"cc-resp-no-cache-revalidate", twice("etag", cc, "no-cache", "ETag", `"abcd"`)},
		{"cc-resp-no-cache-revalidate-fresh", twice("etag", cc, "max-age=10000, no-cache", "Expires", "@10000", "Date", "@0", "ETag", `"abcd"`)},
		{"cc-resp-must-revalidate-fresh", twice("hit", cc, "max-age=10000, must-revalidate", "ETag", `"abcd"`)},
		{"cc-resp-must-revalidate-stale", twice("etag", cc, "max-age=2, must-revalidate", "ETag", `"abcd"`)},
		{"cc-resp-immutable-stale", twice("etag", cc, "max-age=2, immutable", "ETag", `"abcd"`)},
		{"other-set-cookie", twice("hit", cc, "max-age=3600", "Set-Cookie", "a=b")},
		{"pragma-response-no-cache: means nothing", twice("hit", cc, "max-age=3600", "Pragma", "no-cache")},
		{"surrogate-control: means nothing", twice("hit", cc, "max-age=3600", "Surrogate-Control", "no-store")},
	})
}

func TestConformanceOfExpires(t *testing.T) {
	year2050 := func(s string) []step { return twice("miss", "Expires", s, "Date", "@0") }
	playAll(t, pureHTTP, []scenario{
		{"freshness-expires-future", twice("hit", "Expires", "@2592000", "Date", "@0")},
		{"freshness-expires-past", twice("miss", "Expires", "@-2592000", "Date", "@0")},
		{"freshness-expires-present", twice("miss", "Expires", "@0", "Date", "@0")},
		{"freshness-expires-old-date", twice("miss", "Expires", "@300", "Date", "@400")},
		{"freshness-expires-invalid", twice("miss", "Expires", "0", "Date", "@0")},
		{"freshness-expires-invalid-date", twice("hit", "Date", "foo", "Expires", "@10")},
		{"freshness-expires-age-slow-date", twice("miss", "Date", "@-10", "Expires", "@10", "Age", "25")},
		{"freshness-expires-age-fast-date", twice("miss", "Date", "@10", "Expires", "@20", "Age", "15")},
		{"freshness-expires-rfc850", twice("hit", "Expires", "Thursday, 18-Aug-50 02:01:18 GMT", "Date", "@0")},
		{"freshness-expires-ansi-c", twice("hit", "Expires", "Thu Aug 18 02:01:18 2050", "Date", "@0")},
		{"freshness-expires-wrong-case-weekday", year2050("THU, 18 Aug 2050 02:01:18 GMT")},
		{"freshness-expires-wrong-case-month", year2050("Thu, 18 AUG 2050 02:01:18 GMT")},
		{"freshness-expires-wrong-case-tz", year2050("Thu, 18 Aug 2050 02:01:18 gMT")},
		{"freshness-expires-invalid-utc", year2050("Thu, 18 Aug 2050 02:01:18 UTC")},
		{"freshness-expires-invalid-aest", year2050("Thu, 18 Aug 2050 02:01:18 AEST")},
		{"freshness-expires-invalid-2-digit-year", year2050("Thu, 18 Aug 50 02:01:18 GMT")},
		{"freshness-expires-invalid-no-comma", year2050("Thu 18 Aug 2050 02:01:18 GMT")},
		{"freshness-expires-invalid-multiple-spaces", year2050("Thu, 18  Aug  2050 02:01:18 GMT")},
		{"freshness-expires-invalid-date-dashes", year2050("Thu, 18-Aug-2050 02:01:18 GMT")},
		{"freshness-expires-invalid-time-periods", year2050("Thu, 18 Aug 2050 02.01.18 GMT")},
		{"freshness-expires-invalid-1-digit-hour", year2050("Thu, 18 Aug 2050 2:01:18 GMT")},
		{"freshness-expires-invalid-multiple-lines", twice("miss", "Expires", "@1800", "Expires", "@1", "Date", "@0")},
		{"age-parse-nonnumeric: ignored", twice("hit", "Date", "@0", "Cache-Control", "max-age=3600", "Age", "abc")},
		{"age-parse-negative: ignored", twice("hit", "Date", "@0", "Cache-Control", "max-age=3600", "Age", "-7200")},
		{"age-parse-float: ignored", twice("hit", "Date", "@0", "Cache-Control", "max-age=3600", "Age", "7200.0")},
		{"age-parse-suffix: the first counts", twice("miss", "Date", "@0", "Cache-Control", "max-age=3600", "Age", "7200,0")},
		{"age-parse-suffix-twoline: the first counts", twice("miss", "Cache-Control", "max-age=3600", "Age", "7200", "Age", "0")},
		{"age-parse-prefix: the first counts", twice("hit", "Cache-Control", "max-age=3600", "Age", "0,7200")},
		{"age-parse-prefix-twoline: the first counts", twice("hit", "Cache-Control", "max-age=3600", "Age", "0", "Age", "7200")},
		{"age-parse-dup-0", twice("hit", "Cache-Control", "max-age=3600", "Age", "0, 0")},
		{"age-parse-dup-old", twice("miss", "Cache-Control", "max-age=3600", "Age", "7200, 7200")},
		{"age-parse-parameter: ignored", twice("hit", "Cache-Control", "max-age=3600", "Age", "7200;foo=bar")},
		{"age-parse-large", twice("miss", "Cache-Control", "max-age=3600", "Age", "2147483648")},
		{"RFC 9111 4.2.3: the time under way counts", []step{
			{answer: fields("Cache-Control", "max-age=10"), took: 8 * time.Second, want: "miss"},
			{after: 1 * time.Second, want: "hit", has: []string{"Age: 9"}},
			{after: 1 * time.Second, want: "miss"},
		}},
		{"RFC 9111 4.2.3: Date has whole seconds", []step{
			{after: 900 * time.Millisecond, answer: fields("Cache-Control", "max-age=1", "Date", "@0"), want: "miss"},
			{after: 999 * time.Millisecond, want: "hit", has: []string{"Age: 0"}},
		}},
		{"other-age-gen, other-date-update", []step{
			{answer: fields("Cache-Control", "max-age=100000", "Date", "@0", "X-Date", "@0"), want: "miss", lacks: []string{"Age"}},
			{after: pause, want: "hit", has: []string{"Age: 3", "Date: " + inSeconds(0)}},
		}},
		{"other-age-update-max-age", []step{
			{answer: fields("Cache-Control", "max-age=600", "Date", "@0", "Age", "30"), want: "miss"},
			{after: pause, want: "hit", has: []string{"Age: 33"}},
		}},
	})
}

func TestConformanceOfHeuristics(t *testing.T) {
	modified := fields("Last-Modified", "@-86400", "Date", "@0")
	var all []scenario
	for status, want := range map[int]string{
		200: "hit", 203: "hit", 204: "hit", 300: "hit", 301: "hit", 308: "hit", 404: "hit", 405: "hit", 410: "hit", 414: "hit",
		501: "hit", 201: "miss", 202: "miss", 302: "miss", 307: "miss", 403: "miss", 500: "miss", 502: "miss", 503: "miss", 504: "miss", 599: "miss",
	} {
		all = append(all, scenario{fmt.Sprintf("heuristic-%d", status), []step{
			{status: status, answer: modified, want: "miss"}, {status: status, answer: modified, want: want, wantStatus: status},
		}})
	}
	public := append(modified.Clone(1), fields("Cache-Control", "public")...)
	all = append(all,
		scenario{"heuristic-599-public", []step{{status: 599, answer: public, want: "miss"}, {want: "hit", wantStatus: 599}}},
		scenario{"heuristic-delta-10: a tenth of it", twice("date", "Last-Modified", "@-10", "Date", "@0")},
		scenario{"heuristic-delta-60: a tenth of it", twice("hit", "Last-Modified", "@-60", "Date", "@0")},
		scenario{"a date in the future gives nothing", twice("date", "Last-Modified", "@60", "Date", "@0")},
		scenario{"no longer than a day", []step{
			{answer: fields("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), want: "miss"},
			{after: 24*time.Hour - 1, want: "hit"}, {after: 1, want: "date"},
		}},
		scenario{"RFC 9111 4.2.2: the time between the two dates", []step{
			{answer: fields("Last-Modified", "@-7200", "Date", "@-3600"), want: "miss"}, {want: "date"},
		}},
		scenario{"not against an Expires that is no date", twice("date", "Last-Modified", "@-86400", "Expires", "0")},
		scenario{"freshness-none with an entity tag is validated", twice("etag", "ETag", `"a"`)},
	)
	playAll(t, pureHTTP, all)

	without, given := pureHTTP, pureHTTP
	without.Heuristic = false
	given.Default = time.Minute
	playAll(t, without, []scenario{{"heuristics not wanted", twice("date", "Last-Modified", "@-86400", "Date", "@0")}})
	playAll(t, given, []scenario{
		{"DefaultTTL for what says nothing", twice("hit")},
		{"DefaultTTL in place of heuristics", []step{
			{answer: modified, want: "miss"}, {after: time.Minute - 1, want: "hit"}, {after: 1, want: "date"},
		}},
		{"DefaultTTL not for what says something", twice("miss", "Cache-Control", "max-age=1")},
		{"DefaultTTL not for errors", []step{{status: 404, want: "miss"}, {status: 404, want: "miss"}}},
		{"DefaultTTL not for statuses that need a lifetime", []step{{status: 302, want: "miss"}, {status: 302, want: "miss"}}},
	})
}

func TestConformanceOfStatuses(t *testing.T) {
	fresh := fields("Expires", "@100000", "Cache-Control", "max-age=100000", "Last-Modified", "@0", "Date", "@0")
	stale := fields("Expires", "@-5000", "Last-Modified", "@-100000", "Date", "@0")
	var all []scenario
	for _, status := range []int{200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599, 999} {
		all = append(all,
			scenario{fmt.Sprintf("status-%d-fresh", status), []step{{status: status, answer: fresh, want: "miss"}, {want: "hit", wantStatus: status}}},
			scenario{fmt.Sprintf("status-%d-stale", status), []step{{status: status, answer: stale, want: "miss"}, {status: status, answer: stale, want: "date"}}},
		)
	}
	for _, status := range []int{206, 304, 412, 416, 417, 425, 428, 429, 431, 511} {
		all = append(all, scenario{fmt.Sprintf("status %d is never kept", status), []step{
			{status: status, answer: fresh, want: "miss"}, {status: status, answer: fresh, want: "miss"},
		}})
	}
	understand := fields("Cache-Control", "max-age=3600, no-store, must-understand")
	all = append(all,
		scenario{"status-599-must-understand", []step{{status: 599, answer: understand, want: "miss"}, {want: "miss"}}},
		scenario{"status-200-must-understand", []step{{answer: understand, want: "miss"}, {want: "hit"}}},
		scenario{"no negative caching unless asked", []step{{status: 404, want: "miss"}, {status: 404, want: "miss"}}},
	)
	playAll(t, pureHTTP, all)

	asked := pureHTTP
	asked.ErrorTTL = map[int]time.Duration{404: time.Minute, 502: time.Minute}
	playAll(t, asked, []scenario{
		{"negative caching, asked", []step{{status: 404, want: "miss"}, {after: time.Minute - 1, want: "hit", wantStatus: 404}, {after: 1, want: "miss"}}},
		{"a status that has no heuristics", []step{{status: 502, want: "miss"}, {want: "hit", wantStatus: 502}}},
		{"another status is not kept", []step{{status: 503, want: "miss"}, {status: 503, want: "miss"}}},
		{"what the origin says comes first", []step{
			{status: 404, answer: fields("Cache-Control", "max-age=1"), want: "miss"}, {after: time.Second, want: "miss"},
		}},
		{"no-store too", []step{{status: 404, answer: fields("Cache-Control", "no-store"), want: "miss"}, {want: "miss"}}},
	})
}

func TestConformanceOfStaleAnswers(t *testing.T) {
	const cc = "Cache-Control"
	after := func(directives string, s step) []step {
		return []step{{answer: fields(cc, directives), want: "miss"}, s}
	}
	dead := func(want string) step { return step{after: pause, dead: true, want: want} }
	failing := func(status int, want string) step { return step{after: pause, status: status, want: want} }
	playAll(t, pureHTTP, []scenario{
		{"stale-close", after("max-age=2", dead("stale"))},
		{"stale-503: passed on", after("max-age=2", failing(503, "miss"))},
		{"stale-sie-close", after("max-age=2, stale-if-error=60", dead("stale"))},
		{"stale-sie-503", after("max-age=2, stale-if-error=60", failing(503, "stale"))},
		{"RFC 5861 4: 501 is no such error", after("max-age=2, stale-if-error=60", failing(501, "miss"))},
		{"RFC 5861 4: the window has an end", after("max-age=2, stale-if-error=1", dead("error"))},
		{"stale-if-error=0", after("max-age=2, stale-if-error=0", dead("error"))},
		{"stale-close-must-revalidate", after("max-age=2, must-revalidate", dead("error"))},
		{"stale-close-proxy-revalidate", after("max-age=2, proxy-revalidate", dead("error"))},
		{"stale-close-no-cache", after("max-age=2, no-cache", dead("error"))},
		{"stale-close-s-maxage=2", after("max-age=2, s-maxage=2", dead("error"))},
		{"s-maxage with leave", after("s-maxage=2, stale-if-error=60", dead("stale"))},
		{"must-revalidate takes leave back", after("max-age=2, must-revalidate, stale-if-error=60", dead("error"))},
		{"an error is not served stale", []step{
			{status: 503, answer: fields(cc, "max-age=2"), want: "miss"}, {after: pause, dead: true, want: "error"},
		}},
		{"stale-while-revalidate", after("max-age=1, stale-while-revalidate=3600", step{after: pause, want: "refresh", has: []string{"Age: 3"}})},
		{"stale-while-revalidate with s-maxage", after("s-maxage=1, stale-while-revalidate=3600", step{after: pause, want: "refresh"})},
		{"stale-while-revalidate with must-revalidate", after("max-age=1, must-revalidate, stale-while-revalidate=3600", step{after: pause, want: "miss"})},
		{"stale-while-revalidate-window", []step{
			{answer: fields(cc, "max-age=1, stale-while-revalidate=4", "ETag", `"abc"`), want: "miss"},
			{after: pause, answer: fields(cc, "no-cache", "ETag", `"def"`), want: "refresh"},
			{after: pause, want: "etag"},
		}},
		{"a window of more than a month", []step{
			{answer: fields(cc, "max-age=2, stale-if-error=9999999"), want: "miss"}, {after: keptStale + time.Minute, dead: true, want: "stale"},
		}},
		{"gone after a month", []step{
			{answer: fields(cc, "max-age=2"), want: "miss"}, {after: keptStale + time.Minute, dead: true, want: "error"},
		}},
	})
}

func TestConformanceOfRequests(t *testing.T) {
	const cc = "Cache-Control"
	ask := func(held string, s step, namesAndValues ...string) []step {
		s.ask = fields(namesAndValues...)
		return []step{{answer: fields(cc, held), want: "miss"}, s}
	}
	playAll(t, pureHTTP, []scenario{
		{"ccreq-ma0", ask("max-age=3600", step{after: pause, want: "miss"}, cc, "max-age=0")},
		{"ccreq-ma1", ask("max-age=3600", step{after: pause, want: "miss"}, cc, "max-age=1")},
		{"ccreq-max-stale", ask("max-age=1", step{after: pause, want: "hit"}, cc, "max-stale=1000")},
		{"ccreq-max-stale: not against the origin", ask("max-age=1, must-revalidate", step{after: pause, want: "miss"}, cc, "max-stale=1000")},
		{"ccreq-max-stale: nor against s-maxage", ask("s-maxage=1", step{after: pause, want: "miss"}, cc, "max-stale=1000")},
		{"ccreq-min-fresh", ask("max-age=1500", step{want: "miss"}, cc, "min-fresh=2000")},
		{"ccreq-no-cache", ask("max-age=3600", step{want: "miss"}, cc, "no-cache")},
		{"ccreq-no-store: what is stored is used", ask("max-age=3600", step{want: "hit"}, cc, "no-store")},
		{"ccreq-no-store: nothing more is stored", []step{
			{ask: fields(cc, "no-store"), answer: fields(cc, "max-age=3600"), want: "miss"}, {want: "miss"},
		}},
		{"ccreq-oic", []step{{ask: fields(cc, "only-if-cached"), want: "error", wantStatus: 504}}},
		{"ccreq-oic: stored", ask("max-age=3600", step{want: "hit"}, cc, "only-if-cached")},
		{"unknown directives", ask("max-age=3600", step{want: "hit"}, cc, "nothing-to-see-here", "Pragma", "foo")},
		{"pragma-request-no-cache", ask("max-age=3600", step{want: "miss"}, "Pragma", "no-cache")},
		{"RFC 9111 5.4: not beside Cache-Control", ask("max-age=3600", step{want: "hit"}, "Pragma", "no-cache", cc, "x")},
		{"pragma-request-extension", ask("max-age=3600", step{want: "hit"}, "Pragma", "unrecognised-extension")},
		{"other-cookie", ask("max-age=3600", step{want: "hit"}, "Cookie", "a=b")},
		{"other-authorization: what others got may be used", ask("max-age=3600", step{want: "hit"}, "Authorization", "x")},
	})
	for _, tt := range []struct{ directives, want string }{
		{"max-age=3600", "miss"}, {"public, max-age=3600", "hit"}, {"must-revalidate, max-age=3600", "hit"}, {"s-maxage=3600", "hit"},
		{"proxy-revalidate, max-age=3600", "miss"}, {"private, s-maxage=3600", "miss"},
	} {
		t.Run("RFC 9111 3.5: "+tt.directives, func(t *testing.T) {
			play(t, pureHTTP, []step{
				{ask: fields("Authorization", "FOO"), answer: fields(cc, tt.directives), want: "miss"}, {after: pause, want: tt.want},
			})
		})
	}
}

func TestConformanceOfVary(t *testing.T) {
	// held is stored for the request with the fields first.
	held := func(vary string, first, second header.Fields, want string) []step {
		h := fields("Cache-Control", "max-age=5000", "Vary", vary)
		return []step{{ask: first, answer: h, want: "miss"}, {ask: second, answer: h, want: want}}
	}
	two := fields("Foo", "1", "Bar", "abc")
	three := fields("Foo", "1", "Bar", "abc", "Baz", "789")
	lang := func(first, second, want string) []step {
		return held("Accept-Language", fields("Accept-Language", first), fields("Accept-Language", second), want)
	}
	foo := func(v string) header.Fields { return fields("Foo", v) }
	all := []scenario{
		{"vary-match", held("Foo", foo("1"), foo("1"), "hit")},
		{"vary-no-match", held("Foo", foo("1"), foo("2"), "miss")},
		{"vary-omit-stored", held("Foo", nil, foo("1"), "miss")},
		{"vary-omit", held("Foo", foo("1"), nil, "miss")},
		{"an empty field is not an absent one", held("Foo", foo(""), nil, "miss")},
		{"vary-cache-key", held("Foo", fields("Foo", "1", "Other", "2"), fields("Foo", "1", "Other", "3"), "hit")},
		{"vary-2-match", held("Foo, Bar", two, two, "hit")},
		{"vary-2-no-match", held("Foo, Bar", two, fields("Foo", "2", "Bar", "abc"), "miss")},
		{"vary-2-match-omit", held("Foo, Bar", two, nil, "miss")},
		{"vary-3-match", held("Foo, Bar, Baz", three, three, "hit")},
		{"vary-3-no-match", held("Foo, Bar, Baz", three, fields("Foo", "2", "Bar", "abc", "Baz", "789"), "miss")},
		{"vary-3-order", held("Foo, Bar, Baz", three, fields("Foo", "1", "Baz", "789", "Bar", "abcde"), "miss")},
		{"vary-3-omit", held("Foo, Bar, Baz", fields("Foo", "1", "Baz", "789"), fields("Baz", "789", "Foo", "1"), "hit")},
		{"values do not run into each other", held("Foo, Bar", fields("Foo", "1\tbar=2", "Bar", "3"), fields("Foo", "1", "Bar", "2\tbar=3"), "miss")},
		{"vary-normalise-combine", held("Foo", foo("1, 2"), fields("Foo", "1", "Foo", "2"), "hit")},
		{"vary-normalise-space", held("Foo", foo("1,2"), foo(" 1, 2 "), "hit")},
		{"space within members counts", held("Foo", foo("1 2"), foo("1  2"), "miss")},
		{"space in quotes counts", held("Foo", foo(`"1, 2"`), foo(`"1,2"`), "miss")},
		{"the order of members counts", held("Foo", foo("1, 2"), foo("2, 1"), "miss")},
		{"cookies are no list", held("Cookie", fields("Cookie", "a=1,2"), fields("Cookie", "a=1, 2"), "miss")},
		{"vary-normalise-lang-order", lang("en, de", "de, en", "hit")},
		{"vary-normalise-lang-case", lang("en, de", "eN, De", "hit")},
		{"vary-normalise-lang-space", lang("en, de", " en ,   de", "hit")},
		{"weights in one spelling", lang("en;q=0.50, de;q=1.000", "de,en ; Q=0.5", "hit")},
		{"weights count", lang("en;q=0.5, de", "en, de;q=0.5", "miss")},
		{"malformed weights stay as they are", lang("en;q=5", "EN;q=5", "miss")},
		{"the weight of nothing counts", lang("en;q=0, de", "de", "miss")},
		{"codings", held("Accept-Encoding", fields("Accept-Encoding", "gzip, br"), fields("Accept-Encoding", "BR,gzip"), "hit")},
		{"vary-invalidate", []step{
			{ask: foo("1"), answer: fields("Cache-Control", "max-age=5000", "Vary", "Foo", "X", "1"), want: "miss"},
			{ask: foo("2"), answer: fields("Cache-Control", "max-age=5000", "Vary", "Foo", "X", "2"), want: "miss"},
			{ask: foo("1"), want: "hit", has: []string{"X: 1"}},
		}},
		{"what varied otherwise does not answer", []step{
			{ask: two, answer: fields("Cache-Control", "max-age=5000", "Vary", "Foo"), want: "miss"},
			{ask: foo("2"), answer: fields("Cache-Control", "max-age=5000", "Vary", "Foo, Bar"), want: "miss"},
			{ask: two, want: "miss"},
		}},
		{"conditional-etag-vary-headers", []step{
			{ask: fields("Abc", "123"), answer: fields("Expires", "@1", "ETag", `"abcdef"`, "Date", "@0", "Vary", "Abc"), want: "miss"},
			{after: pause, ask: fields("Abc", "123"), status: 304, answer: fields("ETag", `"abcdef"`), want: "etag"},
		}},
		{"conditional-etag-vary-headers-mismatch", held("Abc", fields("Abc", "123"), fields("Abc", "456"), "miss")},
	}
	for _, star := range []string{"*", "*, *", ", *", "*, Foo", "Foo, *", "not a name"} {
		all = append(all, scenario{"vary-syntax " + star, held(star, three, three, "miss")})
	}
	lines := fields("Cache-Control", "max-age=5000", "Vary", "", "Vary", "*")
	all = append(all, scenario{"vary-syntax-empty-star-lines", []step{{answer: lines, want: "miss"}, {answer: lines, want: "miss"}}})
	playAll(t, pureHTTP, all)
}

func TestConformanceOfConditions(t *testing.T) {
	fresh := func(stored header.Fields, ask ...string) []step {
		stored = append(fields("Cache-Control", "max-age=100000", "Date", "@0"), stored...)
		return []step{{answer: stored, want: "miss"}, {ask: fields(ask...), want: "hit", wantStatus: 304}}
	}
	other := func(stored header.Fields, ask ...string) []step {
		s := fresh(stored, ask...)
		s[1].wantStatus = 200
		return s
	}
	tag := fields("ETag", `"abcdef"`)
	inm := "If-None-Match"
	withETag := fresh(tag, inm, `"abcdef"`)
	withETag[1].has = []string{`ETag: "abcdef"`}
	playAll(t, pureHTTP, []scenario{
		{"conditional-etag-strong-respond, conditional-304-etag", withETag},
		{"conditional-etag-precedence", fresh(fields("Last-Modified", "@-5000", "ETag", `"abcdef"`), inm, `"abcdef"`, "If-Modified-Since", "@-1")},
		{"conditional-etag-strong-respond-obs-text", fresh(fields("ETag", "\"abcdef\xfc\""), inm, "\"abcdef\xfc\"")},
		{"conditional-etag-weak-respond", fresh(fields("ETag", `W/"abcdef"`), inm, `W/"abcdef"`)},
		{"conditional-etag-strong-respond-multiple-first", fresh(tag, inm, `"abcdef", "1234", "5678"`)},
		{"conditional-etag-strong-respond-multiple-second", fresh(tag, inm, `"1234", "abcdef", "5678"`)},
		{"conditional-etag-strong-respond-multiple-last", fresh(tag, inm, `"1234", "5678", "abcdef"`)},
		{"conditional-etag-quoted-respond-unquoted: no tag", other(tag, inm, "abcdef")},
		{"conditional-etag-weak-respond-lowercase: no tag", other(fields("ETag", `w/"abcdef"`), inm, `w/"abcdef"`)},
		{"conditional-etag-weak-respond-backslash: no tag", other(fields("ETag", `W\"abcdef"`), inm, `W\"abcdef"`)},
		{"conditional-etag-weak-respond-omit-slash: no tag", other(fields("ETag", `W"abcdef"`), inm, `W"abcdef"`)},
		{"conditional-lm-fresh", fresh(fields("Last-Modified", "@-3000"), "If-Modified-Since", "@-3000")},
		{"conditional-lm-fresh-earlier", fresh(fields("Last-Modified", "@-3000"), "If-Modified-Since", "@-2000")},
		{"RFC 9111 4.3.2: no Last-Modified, newer than the date", other(nil, "If-Modified-Since", "@-3000")},
		{"RFC 9111 4.3.2: no Last-Modified, of the same second", other(nil, "If-Modified-Since", "@0")},
		{"RFC 9111 4.3.2: no Last-Modified, older than the date", fresh(nil, "If-Modified-Since", "@3000")},
		{"conditional-lm-stale", []step{
			{answer: fields("Cache-Control", "max-age=2", "Last-Modified", inSeconds(-3000), "Date", "@0"), want: "miss"},
			{after: pause, ask: fields("If-Modified-Since", inSeconds(-3000)), status: 304, answer: fields("Date", "@0"), want: "date", wantStatus: 304},
		}},
		{"conditional-etag-strong-generate", twice("etag", "Cache-Control", "max-age=2", "ETag", `"abcdef"`)},
		{"conditional-etag-weak-generate-weak", twice("etag", "Cache-Control", "max-age=2", "ETag", `W/"abcdef"`)},
		{"partial-use-stored-headers", []step{
			{answer: fields("Cache-Control", "max-age=3600", "A", "1"), want: "miss"}, {ask: fields("Range", "bytes=0-1"), want: "hit", has: []string{"A: 1"}},
		}},
	})
}

// storedFields are the fields that the suite stores and updates.
var storedFields = []string{
	"Test-Header", "X-Test-Header", "Content-Foo", "X-Content-Foo", "Content-Location", "Content-MD5", "Content-Security-Policy",
	"Content-Type", "Clear-Site-Data", "Public-Key-Pins", "Set-Cookie", "Set-Cookie2", "X-Frame-Options", "X-XSS-Protection",
	"Strict-Transport-Security", "Via",
}

func TestConformanceOfFields(t *testing.T) {
	kept := append(slices.Clone(storedFields), "Content-Encoding", "Content-Range", "Content-Length", "ETag")
	for _, name := range kept {
		t.Run("headers-store-"+name, func(t *testing.T) {
			play(t, pureHTTP, []step{
				{answer: fields("Date", "@0", name, "1", "Cache-Control", "max-age=3600"), want: "miss"},
				{after: pause, want: "hit", has: []string{name + ": 1"}},
			})
		})
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Connection",
		"TE", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		t.Run("headers-store-"+name, func(t *testing.T) {
			play(t, pureHTTP, []step{
				{answer: fields(name, "1", "Cache-Control", "max-age=3600"), want: "miss"}, {want: "hit", lacks: []string{name}},
			})
		})
	}
	playAll(t, pureHTTP, []scenario{
		{"headers-omit-headers-listed-in-Connection", []step{
			{answer: fields("Connection", "a, b", "a", "1", "b", "2", "c", "3", "Cache-Control", "max-age=3600"), want: "miss"},
			{want: "hit", has: []string{"c: 3"}, lacks: []string{"a", "b"}},
		}},
		{"headers-omit-headers-listed-in-Cache-Control-no-cache", []step{
			{answer: fields("Cache-Control", `no-cache="a, b"`, "a", "1", "b", "2", "c", "3", "Cache-Control", "max-age=3600"), want: "miss", has: []string{"a", "b"}},
			{want: "hit", has: []string{"c: 3"}, lacks: []string{"a", "b"}},
		}},
		{"RFC 9111 5.2.2.7: fields that are private", []step{
			{answer: fields("Cache-Control", `private="Set-Cookie", max-age=3600`, "Set-Cookie", "a=1", "c", "3"), want: "miss", has: []string{"Set-Cookie"}},
			{want: "hit", has: []string{"c: 3"}, lacks: []string{"Set-Cookie"}},
		}},
		{"Vary and Proxy-Status pass", []step{
			{answer: fields("Vary", "Foo, Bar", "Proxy-Status", "x", "Cache-Control", "max-age=3600"), want: "miss"},
			{want: "hit", has: []string{"Vary: Foo, Bar", "Proxy-Status: x"}},
		}},
	})
}

func TestConformanceOf304(t *testing.T) {
	const lm = "Wed, 01 Jan 2020 00:00:00 GMT"
	playAll(t, pureHTTP, []scenario{
		{"304-lm-use-stored-Test-Header", []step{
			{answer: fields("Cache-Control", "max-age=2", "Last-Modified", lm, "Date", "@0", "Test-Header", "A"), want: "miss"},
			{after: pause, status: 304, answer: fields("Last-Modified", lm, "Date", "@0"), want: "date", has: []string{"Test-Header: A"}},
			{want: "hit", has: []string{"Test-Header: A", "Age: 0"}},
		}},
		{"RFC 9111 4.3.4: of another answer", []step{
			{answer: fields("Cache-Control", "max-age=2", "ETag", `"a"`), want: "miss"},
			{after: pause, status: 304, answer: fields("ETag", `"b"`), want: "other"},
		}},
		{"RFC 9111 4.3.4: of another date", []step{
			{answer: fields("Cache-Control", "max-age=2", "Last-Modified", lm), want: "miss"},
			{after: pause, status: 304, answer: fields("Last-Modified", "Thu, 02 Jan 2020 00:00:00 GMT"), want: "other"},
		}},
		{"a 304 that forbids storing ends it", []step{
			{answer: fields("Cache-Control", "max-age=2", "ETag", `"a"`), want: "miss"},
			{after: pause, status: 304, answer: fields("ETag", `"a"`, "Cache-Control", "no-store"), want: "etag"},
			{want: "miss"},
		}},
	})
	for _, name := range storedFields {
		t.Run("304-etag-update-response-"+name, func(t *testing.T) { updates(t, name, "A", "B", "B") })
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range"} {
		t.Run("304-etag-update-response-"+name, func(t *testing.T) { updates(t, name, "5", "10", "5") })
	}
	t.Run("304-etag-update-response-Cache-Control", func(t *testing.T) {
		updates(t, "Cache-Control", "max-age=1", "max-age=3600", "max-age=3600")
	})
}

// updates plays a validation that brings a field anew.
func updates(t *testing.T, name, before, told, after string) {
	t.Helper()
	answer := func(value string) header.Fields {
		h := fields("Date", "@0", "ETag", `"1"`, name, value)
		if !strings.EqualFold(name, "Cache-Control") {
			h.Add("Cache-Control", "max-age=2")
		}
		return h
	}
	play(t, pureHTTP, []step{
		{answer: answer(before), want: "miss", has: []string{name + ": " + before}},
		{after: pause, status: 304, answer: answer(told), want: "etag", has: []string{name + ": " + after}},
		{want: "hit", has: []string{name + ": " + after}},
	})
}

func TestConformanceOfInvalidation(t *testing.T) {
	fresh := fields("Cache-Control", "max-age=100000", "Last-Modified", "@0", "Date", "@0")
	var all []scenario
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "M-SEARCH"} {
		other := func(name, value string, s step, want string) []step {
			s.method, s.path, s.want, s.answer = method, "/dir/page", "miss", fields(name, value)
			return []step{{path: "/dir/target", answer: fresh, want: "miss"}, s, {path: "/dir/target", want: want}}
		}
		all = append(all,
			scenario{"invalidate-" + method, []step{{answer: fresh, want: "miss"}, {method: method, want: "miss"}, {want: "miss"}}},
			scenario{"invalidate-" + method + "-303", []step{{answer: fresh, want: "miss"}, {method: method, status: 303, want: "miss"}, {want: "miss"}}},
			scenario{"invalidate-" + method + "-failed", []step{{answer: fresh, want: "miss"}, {method: method, status: 500, want: "miss"}, {want: "hit"}}},
			scenario{"invalidate-" + method + "-location", other("Location", "target", step{}, "miss")},
			scenario{"invalidate-" + method + "-cl", other("Content-Location", "http://A.test:80/dir/target", step{}, "miss")},
			scenario{"invalidate-" + method + "-location at another origin", other("Location", "http://b.test/dir/target", step{}, "hit")},
			scenario{"invalidate-" + method + "-location, failed", other("Location", "target", step{status: 404}, "hit")},
		)
	}
	for _, method := range []string{"OPTIONS", "TRACE"} {
		all = append(all, scenario{method + " is safe", []step{{answer: fresh, want: "miss"}, {method: method, want: "miss"}, {want: "hit"}}})
	}
	all = append(all, scenario{"all variants", []step{
		{ask: fields("Foo", "1"), answer: append(fields("Vary", "Foo"), fresh...), want: "miss"},
		{ask: fields("Foo", "2"), answer: append(fields("Vary", "Foo"), fresh...), want: "miss"},
		{method: "POST", want: "miss"},
		{ask: fields("Foo", "1"), answer: append(fields("Vary", "Foo"), fresh...), want: "miss"},
		{ask: fields("Foo", "2"), want: "miss"},
	}})
	playAll(t, pureHTTP, all)
	playAll(t, zeroMin, []scenario{{"D13.13: not in CloudFront semantics", []step{
		{answer: fresh, want: "miss"}, {method: "POST", want: "miss"}, {want: "hit"},
	}}})
}

func TestConformanceOfTargetedControl(t *testing.T) {
	const cdn, cc = "CDN-Cache-Control", "Cache-Control"
	playAll(t, pureHTTP, []scenario{
		{"cdn-max-age", twice("hit", cdn, "max-age=3600")},
		{"cdn-max-age-max", twice("hit", cdn, "max-age=2147483648")},
		{"cdn-max-age-max-plus", twice("hit", cdn, "max-age=99999999999")},
		{"cdn-max-age-age", twice("miss", "Date", "@0", cdn, "max-age=3600", "Age", "7200")},
		{"cdn-max-age-space-before-equals: malformed", twice("miss", cc, "max-age=1", cdn, "max-age =100")},
		{"cdn-max-age-space-after-equals: malformed", twice("miss", cc, "max-age=1", cdn, "max-age= 100")},
		{"cdn-max-age-0", twice("miss", cdn, "max-age=0")},
		{"cdn-max-age-extension", twice("hit", cdn, "foobar, max-age=3600")},
		{"cdn-max-age-case-insensitive: malformed", twice("miss", cdn, "MaX-aGe=3600")},
		{"cdn-max-age-expires", twice("hit", cdn, "max-age=3600", "Expires", "@-10000", "Date", "@0")},
		{"cdn-max-age-cc-max-age-invalid-expires", twice("hit", cdn, "max-age=3600", "Expires", "0", "Date", "@0")},
		{"cdn-max-age-0-expires", twice("miss", cdn, "max-age=0", "Expires", "@10000", "Date", "@0")},
		{"cdn-max-age-short-cc-max-age", twice("hit", cc, "max-age=1", cdn, "max-age=3600")},
		{"cdn-max-age-long-cc-max-age", twice("miss", cc, "max-age=3600", cdn, "max-age=1")},
		{"cdn-private", twice("miss", cdn, "private", cc, "max-age=10000", "Expires", "@10000")},
		{"cdn-no-cache", twice("miss", cdn, "no-cache", cc, "max-age=10000", "Expires", "@10000")},
		{"cdn-no-store-cc-fresh", twice("miss", cc, "max-age=10000", cdn, "no-store", "Expires", "@10000")},
		{"cdn-fresh-cc-nostore", twice("hit", cc, "no-store", cdn, "max-age=10000")},
		{"cdn-cc-invalid-sh-type-unknown", twice("miss", cdn, "max-age=10000, &&&&&", cc, "no-store")},
		{"cdn-cc-invalid-sh-type-wrong", twice("miss", cdn, `max-age="10000"`, cc, "no-store")},
		{"malformed: Cache-Control holds", twice("hit", cdn, "no-store, &&&&&", cc, "max-age=100")},
		{"empty: Cache-Control holds", twice("hit", cdn, "", cc, "max-age=100")},
		{"said not to hold", twice("hit", cdn, "no-store=?0, max-age=100")},
		{"the last of two counts", twice("hit", cdn, "max-age=1, max-age=100")},
		{"lines are one field", twice("hit", cdn, "max-age=1", cdn, "max-age=100")},
		{"s-maxage", twice("miss", cdn, "max-age=100, s-maxage=1")},
		{"a lifetime of another type is none", twice("miss", cdn, "max-age=100.5", cc, "max-age=100")},
		{"a negative lifetime", twice("miss", cdn, "max-age=-100", cc, "max-age=100")},
		{"nothing said: Expires has no say", twice("miss", cdn, "foo", "Expires", "@1000", "Date", "@0")},
		{"stale-while-revalidate", twice("refresh", cdn, "max-age=1, stale-while-revalidate=100")},
		{"cdn-remove-header", []step{{answer: fields(cdn, "foo"), want: "miss", has: []string{"CDN-Cache-Control: foo"}}}},
		{"fields", []step{
			{answer: fields(cdn, `max-age=100, no-cache="a, b"`, cc, "no-store", "a", "1", "c", "3"), want: "miss"},
			{want: "hit", has: []string{"c: 3"}, lacks: []string{"a"}},
		}},
	})
	off := pureHTTP
	off.Targeted = false
	playAll(t, off, []scenario{{"not heeded unless wanted", twice("miss", cdn, "max-age=3600", cc, "max-age=1")}})
}
