// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"slices"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

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
