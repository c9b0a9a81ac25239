// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"
	"time"
)

// namedCases are more of the cases of the public test suite for caches, by its names.
func namedCases() []cacheCase {
	var all []cacheCase
	for _, family := range []func() []cacheCase{
		namedFreshness, namedExpires, namedAges, namedResponses, namedConditions, namedVary, namedStale, namedTargeted,
		namedFields, namedUpdates, namedHeads, namedParts, namedOthers, interimCases,
	} {
		all = append(all, family()...)
	}
	return all
}

func namedFreshness() []cacheCase {
	out := []cacheCase{
		twice(optimal, "freshness-max-age-expires-invalid", stored, life, "Expires: 0"),
		later(required, "freshness-max-age-stale-then-expires", asked, "Cache-Control: max-age=1", "Expires: @+3600"),
		twice(optimal, "freshness-max-age-0-s-maxage-expires", stored, "Expires: @-10", "Cache-Control: max-age=0, s-maxage=3600"),
		later(required, "freshness-s-maxage-short-first", asked, "Cache-Control: s-maxage=1, max-age=3600"),
		later(required, "freshness-s-maxage-short-line", asked, life, "Cache-Control: s-maxage=1"),
		later(required, "freshness-max-age-quoted-before", asked, `Cache-Control: extension="max-age=3600", max-age=1`),
		later(required, "freshness-max-age-quoted-after", asked, `Cache-Control: max-age=1, extension="max-age=3600"`),
		later(check, "freshness-max-age-two-fresh-stale-sameline", asked, "Cache-Control: max-age=1800, max-age=1"),
		later(check, "freshness-max-age-two-fresh-stale-sepline", asked, "Cache-Control: max-age=1800", "Cache-Control: max-age=1"),
		later(check, "freshness-max-age-two-stale-fresh-sameline", asked, "Cache-Control: max-age=1, max-age=1800"),
		later(check, "freshness-max-age-two-stale-fresh-sepline", asked, "Cache-Control: max-age=1", "Cache-Control: max-age=1800"),
		{"heuristic-599-cached", optimal, []step{{status: 599, with: []string{"Last-Modified: @-864000", "Cache-Control: public"}}, {status: 599, from: stored}}},
		twice(check, "pragma-response-no-cache-heuristic", stored, "Last-Modified: @-10000", "Pragma: no-cache"),
		twice(check, "other-heuristic-content-disposition-attachment", stored, "Last-Modified: @-100000", "Content-Disposition: attachment; filename=a.txt"),
	}
	for _, d := range []int{60, 300, 600, 1200, 1800, 3600, 43_200, 86_400} {
		out = append(out, later(check, fmt.Sprintf("heuristic-delta-%d", d), stored, fmt.Sprintf("Last-Modified: @-%d", d)))
	}
	return out
}

func namedExpires() []cacheCase {
	fresh := func(id, value string) cacheCase {
		return twice(optimal, "freshness-expires-"+id, stored, "Expires: "+value)
	}
	not := func(id string, with ...string) cacheCase {
		return twice(required, "freshness-expires-"+id, asked, with...)
	}
	return []cacheCase{
		fresh("wrong-case-weekday", "THU, 18 Aug 2050 02:01:18 GMT"),
		fresh("wrong-case-month", "Thu, 18 AUG 2050 02:01:18 GMT"),
		fresh("wrong-case-tz", "Thu, 18 Aug 2050 02:01:18 gMT"),
		fresh("ansi-c-one-digit", "Thu Aug  8 02:01:18 2050"),
		not("invalid-time-periods", "Expires: Thu, 18 Aug 2050 02.01.18 GMT"),
		not("invalid-multiple-lines", "Expires: Thu, 18 Aug 2050 2:01:18 GMT", "Expires: Thu, 18 Aug 2050 2:01:19 GMT"),
		not("old-date-fast", "Date: @+400", "Expires: @+300"),
		not("older-by-age-slow-date", "Date: @-10", "Expires: @+10", "Age: 25"),
		not("older-by-age-fast-date", "Date: @+10", "Expires: @+20", "Age: 15"),
		twice(optimal, "freshness-expires-invalid-date", stored, "Date: foo", "Expires: @+10"),
	}
}

func namedAges() []cacheCase {
	age := func(id string, want from, kind string, ages ...string) cacheCase {
		with := []string{"Cache-Control: max-age=3600"}
		for _, a := range ages {
			with = append(with, "Age: "+a)
		}
		return twice(kind, "age-parse-"+id, want, with...)
	}
	return []cacheCase{
		age("list-old-first", asked, required, "7200, 0"), age("list-old-last", stored, required, "0, 7200"),
		age("suffix-twoline", asked, required, "7200", "0"), age("prefix-twoline", stored, required, "0", "7200"),
		age("list-0", stored, required, "0, 0"), age("dup-0-twoline", stored, required, "0", "0"), age("dup-not-old", stored, required, "1800", "1800"),
		age("numeric-parameter", stored, check, "7200;foo=111"),
		{"other-age-update-expires", required, []step{{with: []string{"Expires: @+86400", "Age: 30"}, pause: old}, {from: stored, want: []string{"Age: >31"}}}},
		{"other-date-update", required, []step{{with: []string{life, "Date: @-5"}, pause: old}, {from: stored, want: []string{"Date: @-5"}}}},
		{"other-date-update-expires", required, []step{{with: []string{"Expires: @+86400"}, pause: old}, {from: stored, want: []string{"Date: @+0", "Expires: @+86400"}}}},
	}
}

func namedResponses() []cacheCase {
	newer := func(id, control string) cacheCase {
		first := step{with: []string{life, "A: 1"}, pause: time.Second}
		return cacheCase{id, required, []step{first, {with: []string{"Cache-Control: " + control, "A: 2"}, from: stored, want: []string{"A: 1"}}, {from: stored, want: []string{"A: 1"}}}}
	}
	without := func(id, names string, lacks ...string) cacheCase {
		with := []string{`Cache-Control: no-cache="` + names + `"`, "a: 1", "b: 2", "c: 3", life}
		return cacheCase{id, check, []step{{with: with}, {from: stored, want: []string{"c: 3"}, lacks: lacks}}}
	}
	return []cacheCase{
		newer("cc-resp-no-store-old-new", "no-store"), newer("cc-resp-no-store-old-max-age", "no-store, max-age=0"),
		without("headers-omit-headers-listed-in-Cache-Control-no-cache-single", "a", "a"),
		without("headers-omit-headers-listed-in-Cache-Control-no-cache", "a, b", "a", "b"),
		{"ccreq-max-stale-age", check, []step{{with: []string{"Cache-Control: max-age=1500", "Age: 2000"}}, {send: []string{"Cache-Control: max-stale=1000"}, from: stored}}},
		{"cc-resp-must-revalidate-fresh-then-stale", required, []step{
			{with: []string{"Cache-Control: max-age=1, must-revalidate", `ETag: "a"`}}, {from: stored, pause: old}, {from: validated},
		}},
	}
}

func namedConditions() []cacheCase {
	odd := func(id, tag, condition string, status int) cacheCase {
		return cacheCase{"conditional-etag-" + id, check, []step{{with: []string{life, "ETag: " + tag}}, {send: []string{"If-None-Match: " + condition}, from: stored, wantStatus: status}}}
	}
	return []cacheCase{
		{"conditional-304-etag", required, []step{{with: []string{life, `ETag: "abcdef"`}}, {send: []string{`If-None-Match: "abcdef"`}, from: stored, wantStatus: 304, want: []string{`ETag: "abcdef"`}}}},
		{"conditional-etag-precedence-match", required, []step{
			{with: []string{life, `ETag: "abcdef"`, "Last-Modified: @-5000"}}, {send: []string{`If-None-Match: "abcdef"`, "If-Modified-Since: @-6000"}, from: stored, wantStatus: 304},
		}},
		odd("quoted-respond-unquoted", `"abcdef"`, "abcdef", 200), odd("unquoted-respond-unquoted", "abcdef", "abcdef", 200), odd("unquoted-respond-quoted", "abcdef", `"abcdef"`, 200),
		odd("weak-respond-lowercase", `w/"abcdef"`, `w/"abcdef"`, 200), odd("weak-respond-backslash", `W\"abcdef"`, `W\"abcdef"`, 200), odd("weak-respond-omit-slash", `W"abcdef"`, `W"abcdef"`, 200),
		{"conditional-etag-vary-headers", required, []step{
			{send: []string{"Abc: 123"}, with: []string{"Cache-Control: max-age=1", `ETag: "abcdef"`, "Vary: Abc"}, pause: old}, {send: []string{"Abc: 123"}, from: validated, origin: []string{"Abc: 123"}},
		}},
		{"conditional-lm-stale", optimal, []step{{with: []string{"Cache-Control: max-age=1", "Last-Modified: @-3000"}, pause: old}, {send: []string{"If-Modified-Since: @-2998"}, from: validated, wantStatus: 304}}},
		{"conditional-etag-weak-generate-weak", optimal, []step{{with: []string{"Cache-Control: max-age=1", `ETag: W/"abcdef"`}, pause: old}, {from: validated, origin: []string{`If-None-Match: W/"abcdef"`}}}},
	}
}

func namedVary() []cacheCase {
	pair := func(kind, id, first, second string, want from, vary ...string) cacheCase {
		with := []string{life}
		for _, v := range vary {
			with = append(with, "Vary: "+v)
		}
		return cacheCase{id, kind, []step{{send: strings.Split(first, "\n"), with: with}, {send: strings.Split(second, "\n"), with: with, from: want}}}
	}
	const language = "Accept-Language"
	return []cacheCase{
		pair(optimal, "vary-normalise-lang-order", language+": en, de", language+": de, en", stored, language),
		pair(optimal, "vary-normalise-lang-case", language+": en, de", language+": eN, De", stored, language),
		pair(optimal, "vary-normalise-lang-space", language+": en, de", language+":  en ,   de", stored, language),
		pair(required, "vary-normalise-lang-weight", language+": en, de;q=0.5", language+": de, en;q=0.5", asked, language),
		pair(optimal, "vary-normalise-combine-reversed", "Foo: 1, 2", "Foo: 1\nFoo: 2", stored, "Foo"),
		pair(required, "vary-normalise-order-counts", "Foo: 1, 2", "Foo: 2, 1", asked, "Foo"),
		pair(optimal, "vary-not-named", "Foo: 1\nOther: 2", "Foo: 1\nOther: 3", stored, "Foo"),
		pair(optimal, "vary-3-omit", "Foo: 1\nBaz: 789", "Baz: 789\nFoo: 1", stored, "Foo, Bar, Baz"),
		pair(required, "vary-3-other-order", "Foo: 1\nBar: abc\nBaz: 789", "Foo: 1\nBaz: 789\nBar: abcde", asked, "Foo, Bar, Baz"),
		pair(required, "vary-syntax-star-star-lines", "Foo: 1", "Foo: 1", asked, "*", "*"),
		pair(required, "vary-syntax-empty-star-lines", "Foo: 1", "Foo: 1", asked, "", "*"),
	}
}

func namedStale() []cacheCase {
	return []cacheCase{
		{"stale-while-revalidate-window-of-new", required, []step{
			{with: []string{"Cache-Control: max-age=1, stale-while-revalidate=60", `ETag: "abc"`}, pause: old},
			{with: []string{"Cache-Control: no-cache", `ETag: "def"`}, wantBody: "the body of step 1", pause: time.Second},
			{from: asked},
		}},
		{"stale-sie-503-of-503", check, []step{{with: []string{"Cache-Control: max-age=1, stale-if-error=60"}, pause: old}, {cut: true, wantStatus: 200, wantBody: "the body of step 1"}, {status: 503, wantStatus: 200, wantBody: "the body of step 1"}}},
	}
}

func namedTargeted() []cacheCase {
	fresh := func(id string, with ...string) cacheCase { return twice(optimal, id, stored, with...) }
	exceeds := func(id string, want ...string) cacheCase {
		return cacheCase{id, check, []step{{with: []string{"Cache-Control: max-age=1", "Expires: @+1", "CDN-Cache-Control: max-age=10000"}, pause: old}, {from: stored, want: want}}}
	}
	return []cacheCase{
		fresh("cdn-max-age-max-plus", "CDN-Cache-Control: max-age=99999999999"),
		fresh("cdn-max-age-cc-max-age-invalid-expires", "CDN-Cache-Control: max-age=3600", "Expires: 0"),
		twice(required, "cdn-max-age-0-expires", asked, "CDN-Cache-Control: max-age=0", "Expires: @+10000"),
		later(optimal, "cdn-max-age-short-cc-max-age", stored, "Cache-Control: max-age=1", "CDN-Cache-Control: max-age=3600"),
		later(required, "cdn-max-age-long-cc-max-age", asked, life, "CDN-Cache-Control: max-age=1"),
		later(check, "cdn-max-age-space-before-equals", asked, "Cache-Control: max-age=1", "CDN-Cache-Control: max-age =100"),
		later(check, "cdn-max-age-space-after-equals", asked, "Cache-Control: max-age=1", "CDN-Cache-Control: max-age= 100"),
		twice(required, "cdn-cc-invalid-sh-type-unknown-last", asked, "CDN-Cache-Control: max-age=10000, &&&&&", "Cache-Control: no-store"),
		twice(required, "cdn-cc-invalid-sh-type-wrong", asked, `CDN-Cache-Control: max-age="10000"`, "Cache-Control: no-store"),
		twice(required, "cdn-private-expires", asked, "CDN-Cache-Control: private", life, "Expires: @+10000"),
		exceeds("cdn-remove-age-exceed", "Age: >1"), exceeds("cdn-date-update-exceed", "Date: @+0"), exceeds("cdn-expires-update-exceed", "Expires: @+1"),
	}
}
