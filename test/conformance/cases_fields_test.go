// SPDX-License-Identifier: Apache-2.0

package conformance

// field is a field of an answer that a cache keeps, with two values that it may have.
type field struct {
	name, one, two string
	// update says what a 304 does to it: it has to (required), it may (check), or it may
	// not (kept).
	update string
}

const kept = "kept"

// fieldsOfAnswers are those that the families before do not have.
func fieldsOfAnswers() []field {
	return []field{
		{"X-Content-Foo", "1", "2", required},
		{"Content-Length", "5", "10", kept},
		{"Content-Location", "/foo", "/bar", check},
		{"Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==", "N7UdGUp1E+RbVvZSTy1R8g==", check},
		{"Content-Range", "bytes 0-1/2", "bytes 0-2/3", kept},
		{"Content-Encoding", "one", "two", kept},
		{"Content-Security-Policy", "default-src 'self'", "default-src 'self' cdn.example.com", check},
		{"Content-Type", "text/plain", "text/plain;charset=utf-8", check},
		{"Clear-Site-Data", "cache", "cookies", check},
		{"Expires", "Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 11 Jan 2038 11:11:11 GMT", check},
		{"Public-Key-Pins", "one", "two", check},
		{"Set-Cookie", "a=b", "a=c", check},
		{"Set-Cookie2", "a=b", "a=c", check},
		{"X-Frame-Options", "deny", "sameorigin", check},
		{"X-XSS-Protection", "1", "1; mode=block", check},
	}
}

func namedFields() []cacheCase {
	known := map[string]bool{}
	for _, c := range storedFieldCases() {
		known[c.id] = true
	}
	var out []cacheCase
	for _, f := range fieldsOfAnswers() {
		id := "headers-store-" + f.name
		if known[id] {
			id += "-other"
		}
		body := ""
		if f.name == "Content-Length" {
			body = "*" // more comes than is announced, and goes with the connection
		}
		line := f.name + ": " + f.two
		out = append(out, cacheCase{id, required, []step{{with: []string{life, line}, want: []string{line}, wantBody: body}, {from: stored, want: []string{line}, wantBody: body}}})
	}
	out = append(out, cacheCase{"headers-store-Cache-Control", required, []step{{with: []string{life}}, {from: stored, want: []string{life}}}})
	for _, name := range []string{"Proxy-Authentication-Info", "Proxy-Authorization"} {
		out = append(out, cacheCase{"headers-omit-" + name, required, []step{{with: []string{life, name + ": foo"}}, {from: stored, lacks: []string{name}}}})
	}
	return append(out,
		cacheCase{"headers-odd-lines", required, []step{
			{with: []string{life, "X-A:   1  2 \t ", "X-B:", "x-a: 3", "X-A: \"4, 5\""}, want: []string{"X-A: 1  2, 3, \"4, 5\"", "X-B:"}},
			{from: stored, want: []string{"X-A: 1  2, 3, \"4, 5\"", "X-B:"}},
		}},
		cacheCase{"coding-unknown", check, []step{{with: []string{life, "Transfer-Encoding: unknown"}, wantStatus: 502}, {with: []string{life}, from: asked}}},
	)
}

func namedUpdates() []cacheCase {
	const validator = `ETag: "tag"`
	out := []cacheCase{
		{"304-lm-use-stored-Test-Header", required, []step{
			{with: []string{"Cache-Control: max-age=1", "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT", "Test-Header: one"}, pause: old},
			{with: []string{"Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"}, from: validated, want: []string{"Test-Header: one"}},
		}},
		{"304-etag-update-response-Cache-Control", required, []step{
			{with: []string{"Cache-Control: max-age=1", validator}, pause: old}, {with: []string{life, validator}, from: validated, want: []string{life}}, {from: stored, want: []string{life}},
		}},
		{"304-etag-other", check, []step{{with: []string{"Cache-Control: max-age=1", `ETag: "abcdef"`}, pause: old}, {with: []string{life, `ETag: "ghijkl"`}, wantBody: "*"}}},
	}
	known := map[string]bool{}
	for _, c := range updateCases() {
		known[c.id] = true
	}
	for _, f := range fieldsOfAnswers() {
		id, kind, after := "304-etag-update-response-"+f.name, f.update, f.two
		if known[id] {
			id += "-other"
		}
		if kind == kept {
			kind, after = required, f.one
		}
		body := ""
		if f.name == "Content-Length" {
			body = "*"
		}
		want := []string{f.name + ": " + after}
		out = append(out, cacheCase{id, kind, []step{
			{with: []string{"Cache-Control: max-age=1", validator, f.name + ": " + f.one}, pause: old, wantBody: body},
			{with: []string{life, validator, f.name + ": " + f.two}, from: validated, want: want, wantBody: body},
			{from: stored, want: want, wantBody: body},
		}})
	}
	return out
}

func namedHeads() []cacheCase {
	first := step{with: []string{"Cache-Control: max-age=1", "Template-A: 1"}, pause: old}
	return []cacheCase{
		{"head-writethrough-stale", check, []step{first, {method: "HEAD", from: asked}}},
		{"head-200-freshness-update", check, []step{first, {method: "HEAD", with: []string{life, "Content-Length: 18"}, from: asked}, {from: stored}}},
		{"head-200-fields-update", check, []step{first, {method: "HEAD", with: []string{life, "Template-A: 2", "Content-Length: 18"}, from: asked}, {from: stored, want: []string{"Template-A: 2"}}}},
		{"head-410-update", check, []step{first, {method: "HEAD", status: 410, with: []string{life, "Template-A: 2"}, from: asked}, {with: []string{life}, from: asked}}},
	}
}

func namedParts() []cacheCase {
	whole := step{with: []string{life, "A: 1"}, body: "01234567890"}
	return []cacheCase{
		{"partial-use-headers", required, []step{whole, {send: []string{"Range: bytes=0-1"}, with: []string{"A: 2"}, from: stored, wantStatus: 206, wantBody: "01"}}},
		{"partial-use-stored-headers", required, []step{whole, {send: []string{"Range: bytes=0-1"}, from: stored, wantStatus: 206, wantBody: "01", want: []string{"A: 1"}}}},
		{"partial-store-complete-reuse-without-validator", optimal, []step{whole, {send: []string{"Range: bytes=-1"}, from: stored, wantStatus: 206, wantBody: "0"}}},
	}
}

func namedOthers() []cacheCase {
	fresh := []string{"Expires: @+100000", "Cache-Control: max-age=100000", "Last-Modified: @+0"}
	out := []cacheCase{
		{"query-args-different", required, []step{{at: "?test=1", with: fresh}, {at: "?test=2", with: fresh, from: asked}}},
		{"query-args-same", optimal, []step{{at: "?test=1", with: fresh}, {at: "?test=1", from: stored}}},
		{"other-request-control-unknown", optimal, []step{
			{send: []string{"Pragma: foo", "Cache-Control: nothing-to-see-here"}, with: fresh, origin: []string{"Pragma: foo", "Cache-Control: nothing-to-see-here"}},
			{send: []string{"Pragma: foo", "Cache-Control: nothing-to-see-here"}, from: stored},
		}},
	}
	for _, m := range []string{"POST", "PUT", "DELETE", "M-SEARCH"} {
		out = append(out, cacheCase{"invalidate-" + m + "-failed-404", check, []step{{with: fresh}, {method: m, status: 404, from: asked}, {from: stored}}})
	}
	return out
}

func interimCases() []cacheCase {
	hints := []string{"103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nX-My-Header: test"}
	return []cacheCase{
		{"interim-102", optimal, []step{{interim: []string{"102 Processing"}, wantInterim: []int{102}, with: []string{life}}, {from: stored}}},
		{"interim-103", optimal, []step{{interim: hints, wantInterim: []int{103}, with: []string{life}}, {from: stored}}},
		{"interim-several", optimal, []step{{interim: append([]string{"102 Processing"}, hints...), wantInterim: []int{102, 103}, with: []string{life}}, {from: stored}}},
		{"interim-not-cached", required, []step{{interim: hints, with: []string{life}, wantInterim: []int{103}}, {from: stored, wantInterim: []int{}}}},
		{"interim-no-header-reuse", optimal, []step{{interim: hints, with: []string{life}, lacks: []string{"X-My-Header"}}, {from: stored, lacks: []string{"X-My-Header", "Link"}}}},
		{"interim-uncached", required, []step{{interim: hints, with: []string{"Cache-Control: no-store"}, wantInterim: []int{103}}, {interim: hints, wantInterim: []int{103}, from: asked}}},
	}
}
