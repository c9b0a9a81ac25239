// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"
	"time"
)

// Kinds of cases.
const (
	required = "required"
	optimal  = "optimal"
	check    = "check"
)

// old is the time after which answers with a second of life are stale.
const old = 2 * time.Second

// cacheCases are cases in the manner, and where they are known by the names, of the
// public test suite for caches.
func cacheCases() []cacheCase {
	var all []cacheCase
	for _, family := range []func() []cacheCase{
		freshnessCases, parseCases, expiresCases, ageCases, responseCases, staleCases, statusCases, heuristicCases, authorizationCases,
		varyCases, conditionCases, requestDirectiveCases, updateCases, headCases, invalidationCases, targetedCases, partialCases, storedFieldCases, otherCases, namedCases,
	} {
		all = append(all, family()...)
	}
	return all
}

// twice asks two times: the second answer has to come from there.
func twice(kind, id string, second from, with ...string) cacheCase {
	return cacheCase{id, kind, []step{{with: with}, {with: with, from: second}}}
}

// later is twice with a pause between.
func later(kind, id string, second from, with ...string) cacheCase {
	return cacheCase{id, kind, []step{{with: with, pause: old}, {with: with, from: second}}}
}

func freshnessCases() []cacheCase {
	return []cacheCase{
		twice(check, "freshness-none", asked),
		twice(optimal, "freshness-max-age", stored, "Cache-Control: max-age=3600"),
		twice(required, "freshness-max-age-0", asked, "Cache-Control: max-age=0"),
		later(required, "freshness-max-age-stale", asked, "Cache-Control: max-age=1"),
		twice(optimal, "freshness-max-age-max", stored, "Cache-Control: max-age=2147483648"),
		twice(optimal, "freshness-max-age-max-minus-1", stored, "Cache-Control: max-age=2147483647"),
		twice(optimal, "freshness-max-age-max-plus-1", stored, "Cache-Control: max-age=2147483649"),
		twice(optimal, "freshness-max-age-100a", stored, "Cache-Control: max-age=99999999999"),
		twice(required, "freshness-max-age-age", asked, "Cache-Control: max-age=3600", "Age: 7200"),
		twice(optimal, "freshness-max-age-expires", stored, "Cache-Control: max-age=3600", "Expires: @-7200"),
		twice(required, "freshness-max-age-0-expires", asked, "Cache-Control: max-age=0", "Expires: @+3600"),
		twice(required, "freshness-max-age-date", asked, "Cache-Control: max-age=3600", "Date: @-7200"),
		twice(optimal, "freshness-s-maxage-shared", stored, "Cache-Control: s-maxage=3600"),
		twice(optimal, "freshness-max-age-s-maxage-shared-longer", stored, "Cache-Control: max-age=1, s-maxage=3600"),
		later(optimal, "freshness-max-age-s-maxage-shared-longer-stale", stored, "Cache-Control: max-age=1, s-maxage=3600"),
		twice(optimal, "freshness-max-age-s-maxage-shared-longer-reversed", stored, "Cache-Control: s-maxage=3600, max-age=1"),
		twice(optimal, "freshness-max-age-s-maxage-shared-longer-multiple", stored, "Cache-Control: max-age=1", "Cache-Control: s-maxage=3600"),
		later(required, "freshness-max-age-s-maxage-shared-shorter", asked, "Cache-Control: max-age=3600, s-maxage=1"),
		twice(required, "freshness-s-maxage-0", asked, "Cache-Control: max-age=3600, s-maxage=0"),
		later(required, "freshness-max-age-s-maxage-shared-shorter-expires", asked, "Cache-Control: s-maxage=1", "Expires: @+3600"),
		twice(required, "freshness-max-age-s-maxage-0-expires", asked, "Cache-Control: s-maxage=0", "Expires: @+3600"),
	}
}

func parseCases() []cacheCase {
	fresh := func(id string, with ...string) cacheCase { return twice(optimal, id, stored, with...) }
	return []cacheCase{
		fresh("freshness-max-age-case-insensitive", "Cache-Control: MaX-aGe=3600"),
		fresh("freshness-max-age-extension", "Cache-Control: foobar, max-age=3600"),
		fresh("freshness-max-age-ignore-quoted", "Cache-Control: extension=\"max-age=0\", max-age=3600"),
		twice(required, "freshness-max-age-ignore-quoted-rev", asked, "Cache-Control: extension=\"max-age=3600\", max-age=0"),
		twice(check, "freshness-max-age-two-fresh-sameline", stored, "Cache-Control: max-age=1800, max-age=3600"),
		twice(check, "freshness-max-age-two-stale-fresh", asked, "Cache-Control: max-age=0", "Cache-Control: max-age=3600"),
		twice(check, "freshness-max-age-quoted", stored, "Cache-Control: max-age=\"3600\""),
		twice(check, "freshness-max-age-single-quoted", asked, "Cache-Control: max-age='3600'"),
		twice(required, "freshness-max-age-negative", asked, "Cache-Control: max-age=-3600"),
		twice(check, "freshness-max-age-decimal-zero", asked, "Cache-Control: max-age=0.5"),
		twice(check, "freshness-max-age-decimal-five", asked, "Cache-Control: max-age=3600.5"),
		twice(check, "freshness-max-age-leading-zero", stored, "Cache-Control: max-age=003600"),
		twice(check, "freshness-max-age-space-before-equals", asked, "Cache-Control: max-age =3600"),
		twice(check, "freshness-max-age-space-after-equals", asked, "Cache-Control: max-age= 3600"),
		twice(check, "freshness-max-age-letters", asked, "Cache-Control: max-age=a3600"),
		twice(check, "freshness-max-age-letters-after", asked, "Cache-Control: max-age=3600a"),
		twice(required, "freshness-max-age-empty", asked, "Cache-Control: max-age="),
		twice(required, "freshness-max-age-none", asked, "Cache-Control: max-age"),
		fresh("freshness-many-spaces", "Cache-Control:   max-age=3600   ,   public  "),
		fresh("freshness-empty-elements", "Cache-Control: , ,max-age=3600,,"),
		fresh("freshness-many-lines", "Cache-Control: public", "Cache-Control: foo=bar", "Cache-Control: max-age=3600"),
		twice(required, "cc-no-store-in-many-lines", asked, "Cache-Control: max-age=3600", "Cache-Control: no-store"),
	}
}

func expiresCases() []cacheCase {
	out := []cacheCase{
		twice(optimal, "freshness-expires-future", stored, "Expires: @+3600"),
		twice(required, "freshness-expires-past", asked, "Expires: @-3600"),
		twice(required, "freshness-expires-present", asked, "Expires: @+0"),
		twice(required, "freshness-expires-invalid", asked, "Expires: 0"),
		twice(required, "freshness-expires-age", asked, "Expires: @+3600", "Age: 7200"),
		twice(required, "freshness-expires-old-date", asked, "Date: @-7200", "Expires: @-3600"),
		twice(optimal, "freshness-expires-age-slow-date", stored, "Date: @-10", "Expires: @+3600"),
		twice(check, "freshness-expires-age-fast-date", stored, "Date: @+60", "Expires: @+3600"),
		twice(optimal, "freshness-expires-32bit", stored, "Expires: Tue, 19 Jan 2038 14:14:08 GMT"),
		twice(optimal, "freshness-expires-far-future", stored, "Expires: Sun, 21 Nov 2286 04:46:39 GMT"),
		twice(optimal, "freshness-expires-ansi-c", stored, "Expires: Thu Aug 18 02:01:18 2050"),
		twice(optimal, "freshness-expires-rfc850", stored, "Expires: Thursday, 18-Aug-50 02:01:18 GMT"),
		twice(required, "freshness-expires-two-fields", asked, "Expires: @-3600", "Expires: @+3600"),
	}
	for i, bad := range []string{
		"Thu, 18 Aug 2050 02:01:18", "Thu, 18 Aug 2050 02:01:18 AEST", "Thu, 18 Aug 50 02:01:18 GMT", "Thu, 18  Aug  2050 02:01:18 GMT", "Thu, 18-Aug-2050 02:01:18 GMT", "Thu, 18 Aug 2050 2:01:18 GMT",
		"Thu, 8 Aug 2050 02:01:18 GMT", "18 Aug 2050 02:01:18 GMT", "Thu, 18 Aug 2050 02:61:18 GMT", "Thu, 18 Aug 2050 25:01:18 GMT", "Thu, 32 Aug 2050 02:01:18 GMT", "Thu, 18 Foo 2050 02:01:18 GMT", "2050-08-18T02:01:18Z", "3600", "-1", "tomorrow",
		"Thu, 18 Aug 2050 02:01:18 UTC", "Thu, 18 Aug 2050 02:01:18 +0000", "Thu, 18 Aug 2050 020118 GMT", "Thu 18 Aug 2050 02:01:18 GMT",
	} {
		out = append(out, twice(required, fmt.Sprintf("freshness-expires-malformed-%d", i+1), asked, "Expires: "+bad))
	}
	for i, odd := range []string{"thu, 18 aug 2050 02:01:18 GMT", "THU, 18 AUG 2050 02:01:18 GMT", "Thu, 18 Aug 2050 02:01:18 gMT", "Mon, 18 Aug 2050 02:01:18 GMT"} {
		out = append(out, twice(check, fmt.Sprintf("freshness-expires-odd-%d", i+1), stored, "Expires: "+odd))
	}
	return out
}

func ageCases() []cacheCase {

	return []cacheCase{
		twice(optimal, "age-parse-negative", stored, life, "Age: -7200"),
		twice(optimal, "age-parse-nonnumeric", stored, life, "Age: abc"),
		twice(check, "age-parse-float", stored, life, "Age: 7200.0"),
		twice(check, "age-parse-parameter", stored, life, "Age: 7200;foo=bar"),
		twice(required, "age-parse-large-minus-one", asked, life, "Age: 2147483647"),
		twice(required, "age-parse-large", asked, life, "Age: 2147483648"),
		twice(required, "age-parse-larger", asked, life, "Age: 99999999999"),
		twice(check, "age-parse-prefix", stored, life, "Age: a7200"),
		twice(check, "age-parse-suffix", stored, life, "Age: 7200a"),
		twice(optimal, "age-parse-dup-0", stored, life, "Age: 0", "Age: 0"),
		twice(check, "age-parse-dup-old", asked, life, "Age: 7200", "Age: 0"),
		twice(check, "age-parse-dup-second-old", stored, life, "Age: 0", "Age: 7200"),
		twice(check, "age-parse-list", asked, life, "Age: 7200, 0"),
		{"other-age-gen", required, []step{{with: []string{life}, pause: old}, {from: stored, want: []string{"Age:"}}}},
		{"other-age-update", required, []step{{with: []string{life, "Age: 30"}, pause: 1100 * time.Millisecond}, {from: stored, want: []string{"Age: 31"}}}},
		{"other-age-date", check, []step{{with: []string{life, "Date: @-30"}}, {from: stored, want: []string{"Age:"}}}},
		{"other-age-through", required, []step{{with: []string{"Cache-Control: no-store", "Age: 5"}, want: []string{"Age: 5"}}}},
	}
}

func responseCases() []cacheCase {
	return []cacheCase{
		twice(required, "cc-resp-no-store", asked, "Cache-Control: no-store"),
		twice(required, "cc-resp-no-store-fresh", asked, "Cache-Control: no-store, max-age=3600"),
		twice(required, "cc-resp-no-store-case-insensitive", asked, "Cache-Control: No-StOrE, max-age=3600"),
		twice(required, "cc-resp-no-store-expires", asked, "Cache-Control: no-store", "Expires: @+3600"),
		{"cc-resp-no-store-old", check, []step{{with: []string{"Cache-Control: max-age=1"}, pause: old}, {with: []string{"Cache-Control: no-store"}, from: asked}, {from: asked}}},
		twice(required, "cc-resp-no-cache", asked, "Cache-Control: no-cache", "Expires: @+3600"),
		twice(required, "cc-resp-no-cache-case-insensitive", asked, "Cache-Control: No-CaChE, max-age=3600"),
		twice(optimal, "cc-resp-no-cache-revalidate", validated, "Cache-Control: no-cache", "ETag: \"a\""),
		twice(optimal, "cc-resp-no-cache-revalidate-fresh", validated, "Cache-Control: max-age=3600, no-cache", "ETag: \"a\""),
		twice(required, "cc-resp-private-shared", asked, "Cache-Control: private, max-age=3600"),
		twice(required, "cc-resp-private-case-insensitive", asked, "Cache-Control: PrIvAtE, max-age=3600"),
		twice(optimal, "cc-resp-must-revalidate-fresh", stored, "Cache-Control: max-age=3600, must-revalidate"),
		later(required, "cc-resp-must-revalidate-stale", asked, "Cache-Control: max-age=1, must-revalidate"),
		later(optimal, "cc-resp-must-revalidate-validate", validated, "Cache-Control: max-age=1, must-revalidate", "ETag: \"a\""),
		twice(optimal, "cc-resp-immutable-fresh", stored, "Cache-Control: max-age=3600, immutable"),
		later(required, "cc-resp-immutable-stale", asked, "Cache-Control: max-age=1, immutable"),
		twice(optimal, "cc-resp-public", stored, "Cache-Control: public, max-age=3600"),
		twice(required, "pragma-response-no-cache-alone", asked, "Pragma: no-cache"),
		twice(optimal, "pragma-response-no-cache", stored, "Cache-Control: max-age=3600", "Pragma: no-cache"),
		twice(optimal, "pragma-response-extension", stored, "Cache-Control: max-age=3600", "Pragma: foo"),
		{"cc-resp-no-cache-fields", required, []step{{with: []string{"Cache-Control: max-age=3600, no-cache=\"X-A\"", "X-A: 1", "ETag: \"a\""}}, {with: []string{"Cache-Control: max-age=3600, no-cache=\"X-A\"", "X-A: 2"}, wantBody: "*"}}},
		{"cc-resp-private-fields", required, []step{{with: []string{"Cache-Control: max-age=3600, private=\"X-A\"", "X-A: 1"}}, {with: []string{life}, wantBody: "*", lacks: []string{"X-A"}}}},
	}
}

func staleCases() []cacheCase {
	var out []cacheCase
	out = append(out,
		cacheCase{"stale-503", check, []step{{with: []string{"Cache-Control: max-age=1"}, pause: old}, {status: 503, from: asked}}},
		cacheCase{"stale-close", check, []step{{with: []string{"Cache-Control: max-age=1"}, pause: old}, {cut: true, wantStatus: 200, wantBody: "the body of step 1"}}},
	)
	for _, d := range []struct{ id, more, kind string }{
		{"-must-revalidate", ", must-revalidate", required}, {"-proxy-revalidate", ", proxy-revalidate", required}, {"-s-maxage", ", s-maxage=1", required}, {"-no-cache", ", no-cache", required},
	} {
		life := "Cache-Control: max-age=1" + d.more
		out = append(out,
			cacheCase{"stale-503" + d.id, d.kind, []step{{with: []string{life}, pause: old}, {status: 503, from: asked}}},
			cacheCase{"stale-close" + d.id, d.kind, []step{{with: []string{life}, pause: old}, {cut: true, from: asked, wantStatus: 502, wantBody: "*"}}},
		)
	}
	return append(out,
		cacheCase{"stale-sie-503", optimal, []step{{with: []string{"Cache-Control: max-age=1, stale-if-error=60"}, pause: old}, {status: 503, wantStatus: 200, wantBody: "the body of step 1"}}},
		cacheCase{"stale-sie-close", optimal, []step{{with: []string{"Cache-Control: max-age=1, stale-if-error=60"}, pause: old}, {cut: true, wantStatus: 200, wantBody: "the body of step 1"}}},
		cacheCase{"stale-sie-late", required, []step{{with: []string{"Cache-Control: max-age=1, stale-if-error=1"}, pause: 2 * old}, {status: 503, from: asked}}},
		cacheCase{"stale-while-revalidate", optimal, []step{{with: []string{"Cache-Control: max-age=1, stale-while-revalidate=3600"}, pause: old}, {wantBody: "the body of step 1"}}},
		cacheCase{"stale-while-revalidate-window", required, []step{{with: []string{"Cache-Control: max-age=1, stale-while-revalidate=1"}, pause: 2 * old}, {from: asked}}},
		cacheCase{"stale-while-revalidate-must", required, []step{{with: []string{"Cache-Control: max-age=1, must-revalidate, stale-while-revalidate=60"}, pause: old}, {from: asked}}},
	)
}

func statusCases() []cacheCase {
	var out []cacheCase
	for _, s := range []int{200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 499, 500, 501, 502, 503, 504, 599, 999} {
		fresh := []step{{status: s, with: []string{"Cache-Control: max-age=3600"}}, {status: s, from: stored}}
		stale := []step{{status: s, with: []string{"Cache-Control: max-age=1"}, pause: old}, {status: s, from: asked}}
		out = append(out, cacheCase{fmt.Sprintf("status-%d-fresh", s), optimal, fresh}, cacheCase{fmt.Sprintf("status-%d-stale", s), required, stale})
	}
	return append(out,
		cacheCase{"status-599-must-understand", required, []step{{status: 599, with: []string{"Cache-Control: max-age=3600, no-store, must-understand"}}, {status: 599, from: asked}}},
		cacheCase{"status-200-must-understand", optimal, []step{{with: []string{"Cache-Control: max-age=3600, no-store, must-understand"}}, {from: stored}}},
		cacheCase{"status-206-without-range", check, []step{{status: 206, with: []string{"Cache-Control: max-age=3600"}}, {status: 206, from: asked}}},
	)
}

func heuristicCases() []cacheCase {
	var out []cacheCase
	const modified = "Last-Modified: @-864000"
	for _, s := range []int{200, 203, 204, 300, 301, 404, 405, 410, 414, 501} {
		out = append(out, cacheCase{fmt.Sprintf("heuristic-%d-cached", s), optimal, []step{{status: s, with: []string{modified}}, {status: s, from: stored}}})
	}
	for _, s := range []int{201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599, 999} {
		out = append(out, cacheCase{fmt.Sprintf("heuristic-%d-not_cached", s), required, []step{{status: s, with: []string{modified}}, {status: s, from: asked}}})
	}
	return append(out, twice(required, "heuristic-no-last-modified", asked, "Cache-Control: public"))
}

func authorizationCases() []cacheCase {
	steps := func(second from, cc string) []step {
		send, with := []string{"Authorization: Basic eDp5"}, []string{"Cache-Control: " + cc}
		return []step{{send: send, with: with}, {send: send, with: with, from: second}}
	}
	return []cacheCase{
		{"other-authorization", required, steps(asked, "max-age=3600")},
		{"other-authorization-must-revalidate", optimal, steps(stored, "max-age=3600, must-revalidate")},
		{"other-authorization-public", optimal, steps(stored, "max-age=3600, public")},
		{"other-authorization-smaxage", optimal, steps(stored, "s-maxage=3600")},
		{"other-authorization-stranger", required, []step{{send: []string{"Authorization: Basic eDp5"}, with: []string{"Cache-Control: max-age=3600"}}, {from: asked}}},
	}
}

func varyCases() []cacheCase {

	pair := func(kind, id, vary string, first, second []string, want from) cacheCase {
		with := []string{life, "Vary: " + vary}
		if vary == "" {
			with = with[:1]
		}
		return cacheCase{id, kind, []step{{send: first, with: with}, {send: second, with: with, from: want}}}
	}
	l := func(f ...string) []string { return f }
	return append([]cacheCase{
		pair(optimal, "vary-match", "Foo", l("Foo: 1"), l("Foo: 1"), stored),
		pair(required, "vary-no-match", "Foo", l("Foo: 1"), l("Foo: 2"), asked),
		pair(required, "vary-omit", "Foo", l("Foo: 1"), nil, asked),
		pair(required, "vary-omit-stored", "Foo", nil, l("Foo: 1"), asked),
		pair(optimal, "vary-both-omit", "Foo", nil, nil, stored),
		pair(required, "vary-star", "*", l("Foo: 1"), l("Foo: 1"), asked),
		pair(required, "vary-2-no-match", "Foo, Bar", l("Foo: 1", "Bar: a"), l("Foo: 1", "Bar: b"), asked),
		pair(optimal, "vary-2-match", "Foo, Bar", l("Foo: 1", "Bar: a"), l("Foo: 1", "Bar: a"), stored),
		pair(required, "vary-2-match-omit", "Foo, Bar", l("Foo: 1", "Bar: a"), l("Foo: 1"), asked),
		pair(optimal, "vary-3-match", "Foo, Bar, Baz", l("Foo: 1", "Bar: a", "Baz: x"), l("Foo: 1", "Bar: a", "Baz: x"), stored),
		pair(required, "vary-3-no-match", "Foo, Bar, Baz", l("Foo: 1", "Bar: a", "Baz: x"), l("Foo: 2", "Bar: a", "Baz: x"), asked),
		pair(optimal, "vary-3-order", "Foo, Bar, Baz", l("Foo: 1", "Bar: a", "Baz: x"), l("Baz: x", "Bar: a", "Foo: 1"), stored),
		pair(optimal, "vary-case", "fOO", l("Foo: 1"), l("foo: 1"), stored),
		pair(optimal, "vary-normalise-space", "Foo", l("Foo: 1, 2"), l("Foo:  1, 2 "), stored),
		pair(check, "vary-normalise-combine", "Foo", l("Foo: 1", "Foo: 2"), l("Foo: 1, 2"), stored),
		pair(required, "vary-syntax-star-foo", "*, Foo", l("Foo: 1"), l("Foo: 1"), asked),
		pair(required, "vary-syntax-foo-star", "Foo, *", l("Foo: 1"), l("Foo: 1"), asked),
		pair(required, "vary-syntax-star-star", "*, *", l("Foo: 1"), l("Foo: 1"), asked),
		pair(required, "vary-syntax-empty-star", ", *", l("Foo: 1"), l("Foo: 1"), asked),
		pair(optimal, "vary-syntax-empty-foo", ", Foo,", l("Foo: 1"), l("Foo: 1"), stored),
	},
		cacheCase{"vary-syntax-star-lines", required, []step{{with: []string{life, "Vary: Foo", "Vary: *"}}, {with: []string{life}, from: asked}}},
		cacheCase{"vary-syntax-lines", required, []step{{send: l("Foo: 1", "Bar: a"), with: []string{life, "Vary: Foo", "Vary: Bar"}}, {send: l("Foo: 1", "Bar: b"), from: asked}}},
		cacheCase{"vary-invalidate", optimal, []step{
			{send: l("Foo: 1"), with: []string{life, "Vary: Foo"}, body: "one"}, {send: l("Foo: 2"), with: []string{life, "Vary: Foo"}, from: asked, body: "two"},
			{send: l("Foo: 1"), from: stored, wantBody: "one"}, {send: l("Foo: 2"), from: stored, wantBody: "two"},
		}},
		cacheCase{"vary-cache-key", optimal, []step{{at: "?a", send: l("Foo: 1"), with: []string{life, "Vary: Foo"}}, {at: "?b", send: l("Foo: 1"), with: []string{life, "Vary: Foo"}, from: asked}}},
	)
}

// many repeats a text.
func many(s string, n int) string { return strings.Repeat(s, n) }
