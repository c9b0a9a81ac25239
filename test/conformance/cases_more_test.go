// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
)

const life = "Cache-Control: max-age=3600"

func conditionCases() []cacheCase {
	ask := func(id, tag, condition string, status int) cacheCase {
		return cacheCase{id, optimal, []step{{with: []string{life, "ETag: " + tag}}, {send: []string{"If-None-Match: " + condition}, from: stored, wantStatus: status}}}
	}
	since := func(kind, id, condition string, status int) cacheCase {
		return cacheCase{id, kind, []step{{with: []string{life, "Last-Modified: @-3000"}}, {send: []string{"If-Modified-Since: " + condition}, from: stored, wantStatus: status}}}
	}
	return []cacheCase{
		ask("conditional-etag-strong-respond", `"abc"`, `"abc"`, 304),
		ask("conditional-etag-weak-respond", `W/"abc"`, `W/"abc"`, 304),
		ask("conditional-etag-strong-weak", `"abc"`, `W/"abc"`, 304),
		ask("conditional-etag-weak-strong", `W/"abc"`, `"abc"`, 304),
		ask("conditional-etag-respond-multiple-first", `"abc"`, `"abc", "d", "e"`, 304),
		ask("conditional-etag-respond-multiple-second", `"abc"`, `"d", "abc", "e"`, 304),
		ask("conditional-etag-respond-multiple-last", `"abc"`, `"d", "e", "abc"`, 304),
		ask("conditional-etag-respond-star", `"abc"`, `*`, 304),
		ask("conditional-etag-no-match", `"abc"`, `"def"`, 200),
		ask("conditional-etag-comma", `"a,b"`, `"a,b"`, 304),
		ask("conditional-etag-obs-text", "\"a\xe4\"", "\"a\xe4\"", 304),
		ask("conditional-etag-case", `"abc"`, `"ABC"`, 200),
		since(optimal, "conditional-lm-fresh", "@-3000", 304),
		since(optimal, "conditional-lm-later", "@-2000", 304),
		since(required, "conditional-lm-earlier", "@-4000", 200),
		since(required, "conditional-lm-invalid", "yesterday", 200),
		{"conditional-etag-precedence", required, []step{{with: []string{life, "ETag: \"a\"", "Last-Modified: @-3000"}}, {send: []string{"If-None-Match: \"b\"", "If-Modified-Since: @-3000"}, from: stored, wantStatus: 200}}},
		{"conditional-304-fields", optimal, []step{{with: []string{life, "ETag: \"a\"", "Vary: X", "Content-Location: /x"}}, {send: []string{"If-None-Match: \"a\""}, from: stored, wantStatus: 304, want: []string{life, "ETag: \"a\"", "Date:", "Vary: X", "Content-Location: /x"}}}},
		later(optimal, "conditional-etag-strong-generate", validated, "Cache-Control: max-age=1", "ETag: \"abc\""),
		later(optimal, "conditional-etag-weak-generate", validated, "Cache-Control: max-age=1", "ETag: W/\"abc\""),
		later(optimal, "conditional-lm-generate", validated, "Cache-Control: max-age=1", "Last-Modified: Mon, 23 Nov 2026 10:00:00 GMT"),
		{"conditional-etag-forward", required, []step{{send: []string{"If-None-Match: \"abc\""}, with: []string{"Cache-Control: no-store"}, from: asked}}},
		{"conditional-etag-stale-mismatch", required, []step{{with: []string{"Cache-Control: max-age=1", "ETag: \"a\""}, pause: old}, {with: []string{life, "ETag: \"b\""}, from: asked}, {from: stored}}},
		{"conditional-stale-viewer-tag", required, []step{{with: []string{"Cache-Control: max-age=1", "ETag: \"a\""}, pause: old}, {send: []string{"If-None-Match: \"a\""}, with: []string{life, "ETag: \"a\""}, from: validated, wantStatus: 304}}},
		{"conditional-if-match", required, []step{{with: []string{life, "ETag: \"a\""}}, {send: []string{"If-Match: \"b\""}, status: 412, wantStatus: 412, wantBody: "*"}}},
	}
}

func requestDirectiveCases() []cacheCase {
	ask := func(kind, id string, with []string, send string, want from) cacheCase {
		return cacheCase{id, kind, []step{{with: with}, {send: []string{send}, with: with, from: want}}}
	}
	aged := []string{life, "Age: 1800"}
	plain := []string{life}
	return []cacheCase{
		ask(optimal, "ccreq-ma0", plain, "Cache-Control: max-age=0", asked),
		ask(optimal, "ccreq-magreaterage", aged, "Cache-Control: max-age=600", asked),
		ask(optimal, "ccreq-ma-larger", aged, "Cache-Control: max-age=7200", stored),
		{"ccreq-ma1", optimal, []step{{with: plain, pause: old}, {send: []string{"Cache-Control: max-age=1"}, from: asked}}},
		{"ccreq-max-stale", optimal, []step{{with: []string{"Cache-Control: max-age=1"}, pause: old}, {send: []string{"Cache-Control: max-stale=1000"}, from: stored}}},
		{"ccreq-max-stale-any", optimal, []step{{with: []string{"Cache-Control: max-age=1"}, pause: old}, {send: []string{"Cache-Control: max-stale"}, from: stored}}},
		{"ccreq-max-stale-must-revalidate", required, []step{{with: []string{"Cache-Control: max-age=1, must-revalidate"}, pause: old}, {send: []string{"Cache-Control: max-stale"}, from: asked}}},
		{"ccreq-max-stale-too-old", optimal, []step{{with: []string{"Cache-Control: max-age=1"}, pause: 2 * old}, {send: []string{"Cache-Control: max-stale=1"}, from: asked}}},
		ask(optimal, "ccreq-min-fresh", plain, "Cache-Control: min-fresh=7200", asked),
		ask(optimal, "ccreq-min-fresh-enough", plain, "Cache-Control: min-fresh=600", stored),
		ask(optimal, "ccreq-min-fresh-age", aged, "Cache-Control: min-fresh=3000", asked),
		ask(optimal, "ccreq-no-cache", plain, "Cache-Control: no-cache", asked),
		ask(optimal, "ccreq-no-cache-etag", append(plain[:1:1], "ETag: \"a\""), "Cache-Control: no-cache", validated),
		ask(optimal, "ccreq-no-cache-lm", append(plain[:1:1], "Last-Modified: @-3000"), "Cache-Control: no-cache", validated),
		ask(check, "pragma-request-no-cache", plain, "Pragma: no-cache", asked),
		ask(optimal, "pragma-request-extension", plain, "Pragma: foo", stored),
		{"ccreq-no-store", optimal, []step{{send: []string{"Cache-Control: no-store"}, with: plain}, {from: asked}}},
		{"ccreq-oic", optimal, []step{{send: []string{"Cache-Control: only-if-cached"}, wantStatus: 504, from: stored, wantBody: "*"}}},
		ask(optimal, "ccreq-oic-stored", plain, "Cache-Control: only-if-cached", stored),
		ask(optimal, "ccreq-unknown", plain, "Cache-Control: foo=bar", stored),
	}
}

func updateCases() []cacheCase {
	out := []cacheCase{
		{"304-lifetime", required, []step{{with: []string{"Cache-Control: max-age=1", "ETag: \"a\""}, pause: old}, {with: []string{life, "ETag: \"a\""}, from: validated}, {from: stored}}},
		{"304-keeps-body", required, []step{{with: []string{"Cache-Control: max-age=1", "ETag: \"a\"", "Content-Type: text/plain"}, pause: old}, {with: []string{life, "ETag: \"a\""}, from: validated, want: []string{"Content-Type: text/plain"}}}},
		{"304-age-anew", required, []step{{with: []string{"Cache-Control: max-age=1", "ETag: \"a\"", "Age: 0"}, pause: old}, {with: []string{life, "ETag: \"a\""}, from: validated}, {from: stored, lacks: []string{"X-None"}}}},
	}
	for _, f := range []struct {
		name string
		kept bool // by a 304
	}{{"Test-Header", false}, {"X-Test-Header", false}, {"Content-Foo", false}, {"Content-Disposition", false}, {"Content-Language", false}, {"Link", false}, {"Content-Length", true}, {"Content-Encoding", true}, {"Content-Range", true}} {
		id := "304-etag-update-response-" + f.name
		if f.kept {
			out = append(out, cacheCase{id, check, []step{{with: []string{"Cache-Control: max-age=1", "ETag: \"a\""}, pause: old}, {with: []string{life, "ETag: \"a\"", f.name + ": 1"}, from: validated}}})
			continue
		}
		out = append(out, cacheCase{id, required, []step{
			{with: []string{"Cache-Control: max-age=1", "ETag: \"a\"", f.name + ": one"}, pause: old}, {with: []string{life, "ETag: \"a\"", f.name + ": two"}, from: validated, want: []string{f.name + ": two"}}, {from: stored, want: []string{f.name + ": two"}},
		}})
	}
	return out
}

func headCases() []cacheCase {
	return []cacheCase{
		{"head-from-get", optimal, []step{{with: []string{life, "X-A: 1"}}, {method: "HEAD", from: stored, want: []string{"X-A: 1", "Content-Length: 18"}}}},
		{"head-not-for-get", required, []step{{method: "HEAD", with: []string{life}}, {from: asked}}},
		{"head-writethrough", check, []step{{method: "HEAD", with: []string{life}, from: asked}, {method: "HEAD", from: asked}}},
		{"head-200-update", check, []step{{with: []string{"Cache-Control: max-age=1", "ETag: \"a\"", "X-A: 1"}, pause: old}, {method: "HEAD", with: []string{life, "ETag: \"a\"", "X-A: 2", "Content-Length: 18"}}, {from: stored, want: []string{"X-A: 2"}}}},
		{"head-200-mismatch", check, []step{{with: []string{"Cache-Control: max-age=1", "ETag: \"a\""}, pause: old}, {method: "HEAD", with: []string{life, "ETag: \"b\""}}, {with: []string{life}, from: asked}}},
	}
}

func invalidationCases() []cacheCase {
	var out []cacheCase
	for _, m := range []string{"POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FOO"} {
		kind := required
		if m == "M-SEARCH" || m == "FOO" {
			kind = optimal
		}
		out = append(out,
			cacheCase{"invalidate-" + m, kind, []step{{with: []string{life}}, {from: stored}, {method: m, from: asked}, {with: []string{life}, from: asked}}},
			cacheCase{"invalidate-" + m + "-failed", check, []step{{with: []string{life}}, {method: m, status: 500, from: asked}, {from: stored}}},
			cacheCase{"invalidate-" + m + "-location", check, []step{{at: "x", with: []string{life}}, {method: m, with: []string{"Location: x"}, from: asked}, {at: "x", with: []string{life}, from: asked}}},
			cacheCase{"invalidate-" + m + "-cl", check, []step{{at: "x", with: []string{life}}, {method: m, with: []string{"Content-Location: x"}, from: asked}, {at: "x", with: []string{life}, from: asked}}},
		)
	}
	return append(out,
		cacheCase{"invalidate-not-OPTIONS", required, []step{{with: []string{life}}, {method: "OPTIONS", from: asked}, {from: stored}}},
		cacheCase{"method-POST-not-stored", required, []step{{method: "POST", with: []string{"Cache-Control: no-store"}}, {method: "POST", from: asked}}},
		cacheCase{"method-POST-not-answered-by-GET", required, []step{{with: []string{life}}, {method: "POST", from: asked}}},
		cacheCase{"method-POST-redirect", check, []step{{with: []string{life}}, {method: "POST", status: 303, with: []string{"Location: x"}, from: asked}, {with: []string{life}, from: asked}}},
	)
}

func targetedCases() []cacheCase {
	fresh := func(id string, with ...string) cacheCase { return twice(optimal, id, stored, with...) }
	not := func(kind, id string, with ...string) cacheCase { return twice(kind, id, asked, with...) }
	return []cacheCase{
		fresh("cdn-max-age", "CDN-Cache-Control: max-age=3600"),
		not(required, "cdn-max-age-0", "CDN-Cache-Control: max-age=0", life),
		not(required, "cdn-max-age-age", "CDN-Cache-Control: max-age=3600", "Age: 7200"),
		fresh("cdn-max-age-case-insensitive", "cdn-cache-control: max-age=3600"),
		fresh("cdn-max-age-extension", "CDN-Cache-Control: foobar, max-age=3600"),
		fresh("cdn-max-age-expires", "CDN-Cache-Control: max-age=3600", "Expires: @-7200"),
		fresh("cdn-max-age-max", "CDN-Cache-Control: max-age=2147483648"),
		fresh("cdn-fresh-cc-nostore", "CDN-Cache-Control: max-age=3600", "Cache-Control: no-store"),
		fresh("cdn-fresh-cc-private", "CDN-Cache-Control: max-age=3600", "Cache-Control: private"),
		fresh("cdn-fresh-cc-max-age-0", "CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=0"),
		not(required, "cdn-no-store-cc-fresh", "CDN-Cache-Control: no-store", life),
		not(required, "cdn-private", "CDN-Cache-Control: private", life),
		not(required, "cdn-no-cache", "CDN-Cache-Control: no-cache", life),
		fresh("cdn-cc-invalid-sh-type-unknown", "CDN-Cache-Control: max-age=\"unfinished", life),
		not(check, "cdn-cc-invalid-falls-back", "CDN-Cache-Control: &&&", "Cache-Control: no-store"),
		fresh("cdn-cc-empty", "CDN-Cache-Control:", life),
		not(check, "cdn-max-age-string", "CDN-Cache-Control: max-age=\"3600\""),
		not(check, "cdn-max-age-space", "CDN-Cache-Control: max-age = 3600"),
		not(check, "cdn-max-age-decimal", "CDN-Cache-Control: max-age=3600.5"),
		fresh("cdn-max-age-last-wins", "CDN-Cache-Control: max-age=0, max-age=3600"),
		fresh("cdn-max-age-lines", "CDN-Cache-Control: foo", "CDN-Cache-Control: max-age=3600"),
		later(required, "cdn-max-age-stale", asked, "CDN-Cache-Control: max-age=1", life),
		{"cdn-forward", check, []step{{with: []string{"CDN-Cache-Control: max-age=3600"}}, {from: stored, want: []string{"CDN-Cache-Control:"}}}},
	}
}

func partialCases() []cacheCase {
	const text = "0123456789"
	whole := step{with: []string{life, "ETag: \"a\""}, body: text}
	part := func(kind, id, ranges, want string, status int) cacheCase {
		return cacheCase{id, kind, []step{whole, {send: []string{"Range: " + ranges}, from: stored, wantStatus: status, wantBody: want}}}
	}
	return []cacheCase{
		part(optimal, "partial-store-complete-reuse-partial", "bytes=0-1", "01", 206),
		part(optimal, "partial-store-complete-reuse-partial-no-last", "bytes=5-", "56789", 206),
		part(optimal, "partial-store-complete-reuse-partial-suffix", "bytes=-1", "9", 206),
		part(optimal, "partial-store-complete-unsatisfied", "bytes=20-", "*", 416),
		part(required, "partial-other-unit", "lines=0-1", text, 200),
		part(required, "partial-malformed", "bytes=x", text, 200),
		part(required, "partial-reversed", "bytes=5-2", text, 200),
		{"partial-if-range", optimal, []step{whole, {send: []string{"Range: bytes=0-1", "If-Range: \"a\""}, from: stored, wantStatus: 206, wantBody: "01"}}},
		{"partial-if-range-mismatch", required, []step{whole, {send: []string{"Range: bytes=0-1", "If-Range: \"b\""}, from: stored, wantStatus: 200, wantBody: text}}},
		{"partial-content-range", optimal, []step{whole, {send: []string{"Range: bytes=2-3"}, from: stored, wantStatus: 206, wantBody: "23", want: []string{"Content-Range: bytes 2-3/10", "Content-Length: 2"}}}},
		{"partial-not-whole", required, []step{
			{send: []string{"Range: bytes=0-4"}, ranges: true, with: []string{life, "ETag: \"a\""}, body: text, wantStatus: 206, wantBody: "01234"}, {with: []string{life, "ETag: \"a\""}, ranges: true, body: text, wantStatus: 200, wantBody: text},
		}},
		{"partial-store-partial-reuse-partial", optimal, []step{
			{send: []string{"Range: bytes=0-4"}, ranges: true, with: []string{life, "ETag: \"a\""}, body: text, wantStatus: 206, wantBody: "01234"}, {send: []string{"Range: bytes=1-2"}, from: stored, wantStatus: 206, wantBody: "12"},
		}},
	}
}

func storedFieldCases() []cacheCase {
	var out []cacheCase
	for _, f := range []string{"Test-Header", "X-Test-Header", "Content-Foo", "X-Content-Foo", "Content-Type", "Content-Language", "Content-Encoding", "Content-Disposition", "Link", "ETag", "Server", "Expires", "Set-Cookie", "Refresh", "Access-Control-Allow-Origin", "Strict-Transport-Security", "Content-Security-Policy"} {
		value := "one"
		if f == "ETag" {
			value = `"one"`
		}
		if f == "Expires" {
			value = "Thu, 18 Aug 2050 02:01:18 GMT"
		}
		kind := required
		if f == "Set-Cookie" {
			kind = check
		}
		out = append(out, cacheCase{"headers-store-" + f, kind, []step{{with: []string{life, f + ": " + value}}, {from: stored, want: []string{f + ": " + value}}}})
	}
	for _, f := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade", "Proxy-Authenticate"} {
		value := "foo"
		out = append(out, cacheCase{"headers-omit-" + f, required, []step{{with: []string{life, f + ": " + value}}, {from: stored, lacks: []string{f}}}})
	}
	return append(out,
		cacheCase{"headers-omit-headers-listed-in-Connection", required, []step{{with: []string{life, "Connection: A, b", "A: 1", "B: 2", "C: 3"}, lacks: []string{"A", "B"}}, {from: stored, lacks: []string{"A", "B"}, want: []string{"C: 3"}}}},
		cacheCase{"headers-many-lines", required, []step{{with: []string{life, "X-A: 1", "X-A: 2"}}, {from: stored, want: []string{"X-A: 1, 2"}}}},
		cacheCase{"headers-long", required, []step{{with: []string{life, "X-A: " + many("x", 4000)}}, {from: stored, want: []string{"X-A: " + many("x", 4000)}}}},
		cacheCase{"headers-obs-text", check, []step{{with: []string{life, "X-A: \xe4"}}, {from: stored, want: []string{"X-A: \xe4"}}}},
	)
}

func otherCases() []cacheCase {
	out := []cacheCase{
		{"other-date-kept", required, []step{{with: []string{life, "Date: @-60"}}, {from: stored, want: []string{"Date:"}}}},
		{"other-date-made", check, []step{{with: []string{life, "-Date"}, want: []string{"Date:"}}}},
		{"other-set-cookie", check, []step{{with: []string{life, "Set-Cookie: a=b"}}, {from: stored}}},
		{"other-cookie", optimal, []step{{send: []string{"Cookie: a=b"}, with: []string{life}}, {send: []string{"Cookie: a=c"}, from: stored}}},
		{"other-fresh-content-disposition-attachment", optimal, []step{{with: []string{life, "Content-Disposition: attachment"}}, {from: stored}}},
		{"other-query", required, []step{{at: "?a=1", with: []string{life}}, {at: "?a=2", with: []string{life}, from: asked}, {at: "?a=1", from: stored}}},
		{"other-query-order", check, []step{{at: "?a=1&b=2", with: []string{life}}, {at: "?b=2&a=1", with: []string{life}, from: asked}}},
		{"other-path-case", required, []step{{at: "a", with: []string{life}}, {at: "A", with: []string{life}, from: asked}}},
		{"other-percent", check, []step{{at: "%41", with: []string{life}}, {at: "A", with: []string{life}, from: asked}}},
		{"other-content-length-0", optimal, []step{{with: []string{life}, body: "-"}, {from: stored}}},
		{"other-chunked", optimal, []step{{with: []string{life, "Transfer-Encoding: chunked"}, body: "5\r\nhello\r\n0\r\n\r\n", wantBody: "hello"}, {from: stored, wantBody: "hello"}}},
		{"other-via", check, []step{{with: []string{life}, want: []string{"Via:"}}}},
		{"status-pass-999", required, []step{{status: 999, with: []string{"Cache-Control: no-store"}}}},
		{"headers-pass-request", required, []step{{send: []string{"X-Any: thing"}, with: []string{"Cache-Control: no-store"}, origin: []string{"X-Any: thing"}}}},
	}
	for _, m := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FOO", "PROPFIND"} {
		out = append(out, cacheCase{"method-pass-" + m, required, []step{{method: m, with: []string{"Cache-Control: no-store"}, from: asked}}})
	}
	for i, s := range []int{400, 404, 410, 500, 502, 503} {
		out = append(out, cacheCase{fmt.Sprintf("negative-%d", i+1), required, []step{{status: s}, {status: s, from: asked}}})
	}
	return out
}
