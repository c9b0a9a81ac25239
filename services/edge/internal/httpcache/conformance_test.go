// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"fmt"
	"testing"
	"time"
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
		{"freshness-expires-wrong-case-weekday", twice("hit", "Expires", "THU, 18 Aug 2050 02:01:18 GMT", "Date", "@0")},
		{"freshness-expires-wrong-case-month", twice("hit", "Expires", "Thu, 18 AUG 2050 02:01:18 GMT", "Date", "@0")},
		{"freshness-expires-wrong-case-tz", twice("hit", "Expires", "Thu, 18 Aug 2050 02:01:18 gMT", "Date", "@0")},
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
