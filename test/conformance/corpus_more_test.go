// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"strconv"
	"strings"
)

func startCases() []requestCase {
	const rule = "RFC 9112 §3"
	line := func(l string) string { return l + "\r\n" + toHost + "\r\n" }
	out := numbered("start-bad", rule, refuse, nil, each([]string{
		"GET  @ID/1 HTTP/1.1", "GET @ID/1  HTTP/1.1", "GET\t@ID/1 HTTP/1.1", "GET @ID/1\tHTTP/1.1", " GET @ID/1 HTTP/1.1", "GET @ID/1 HTTP/1.1 ", "GET @ID/1 HTTP/1.1\t", "GET @ID/1", "GET @ID/1 ", "GET", "", "GET HTTP/1.1", "GET  HTTP/1.1", "@ID/1 HTTP/1.1", " @ID/1 HTTP/1.1",
		"GET @ID/1 HTTP/2.0", "GET @ID/1 HTTP/3.0", "GET @ID/1 HTTP/0.9", "GET @ID/1 HTTP/1.10", "GET @ID/1 HTTP/01.1", "GET @ID/1 http/1.1", "GET @ID/1 Http/1.1", "GET @ID/1 HTTP/11", "GET @ID/1 HTTP/1", "GET @ID/1 HTTP/1.", "GET @ID/1 HTTP/.1", "GET @ID/1 HTTP /1.1", "GET @ID/1 HTTP/1,1", "GET @ID/1 HTTP/1.1.1",
		"GET @ID/1 HTTP/1.1x", "GET @ID/1 HTTPS/1.1", "GET @ID/1 SIP/2.0", "GET @ID/1 XHTTP/1.1", "GET @ID/1 HTTP/-1.1", "GET @ID/1 HTTP/1.1 HTTP/1.1", "GET @ID/1 x HTTP/1.1", "G(T @ID/1 HTTP/1.1", "G\"T @ID/1 HTTP/1.1", "G/T @ID/1 HTTP/1.1", "G:T @ID/1 HTTP/1.1", "G\xc3\xa9T @ID/1 HTTP/1.1", "GET: @ID/1 HTTP/1.1", "{GET} @ID/1 HTTP/1.1",
		"PRI * HTTP/2.0", "\x16\x03\x01\x00\x05hello", "GET @ID/1 HTTP/9.9", "GET @ID/1 HTTP/1.\xb1", "SSH-2.0-x",
	}, line)...)
	out = append(out, numbered("start-odd", rule, either, one("GET @ID/1"), each([]string{"GET @ID/1 HTTP/1.2", "GET @ID/1 HTTP/1.9"}, line)...)...)
	for _, m := range []string{"get", "Get", "FOO", "M-SEARCH", "X!#$%&'*+-.^_`|~", "PROPFIND", "TRACE", strings.Repeat("A", 200)} {
		out = append(out, requestCase{id: "start-method-" + strconv.Itoa(len(out)), rule: "RFC 9110 §9.1: methods are tokens, and case matters", verdict: either, raw: line(m + " @ID/1 HTTP/1.1"), want: one(m + " @ID/1")})
	}
	return append(out,
		requestCase{id: "start-http10", rule: "RFC 9112 §9.3: without keep-alive the connection ends", verdict: last, raw: "GET @ID/1 HTTP/1.0\r\n" + toHost + "\r\n" + smuggled, want: one("GET @ID/1")},
		requestCase{id: "start-http09", rule: rule, verdict: refuse, raw: "GET @ID/1\r\n"},
		requestCase{id: "start-close", rule: "RFC 9112 §9.6", verdict: last, raw: get("Connection: close\r\n") + smuggled, want: one("GET @ID/1")},
	)
}

func targetCases() []requestCase {
	const rule = "RFC 9112 §3.2"
	line := func(target string) string { return "GET " + target + " HTTP/1.1\r\n" + toHost + "\r\n" }
	out := numbered("target-bad", rule, deny, nil, each([]string{
		"c/x/1", "*", "@HOST:80", "@HOST", "http:@ID/1", "http:/@HOST@ID/1", "http://", "http:///x@ID/1", "http://user@@HOST@ID/1", "http://user:pw@@HOST@ID/1", "ftp://@HOST@ID/1", "file:///etc/passwd", "?x", "#x", "@ID/1#x", "http://@HOST:port@ID/1", "http://@HOST:99999@ID/1", "http://[::1@ID/1", "http://a b@ID/1", "javascript:1", "ws://@HOST@ID/1", "http//@HOST@ID/1", "://@HOST@ID/1", "http://@HOST,other@ID/1", "http://@HOST\\@other.test@ID/1",
	}, line)...)
	out = append(out, numbered("target-absolute", "RFC 9112 §3.2.2: the path goes on, the authority is the host", accept, one("GET @ID/1"), each([]string{"http://@HOST@ID/1", "HTTP://@HOST@ID/1", "http://@HOST:80@ID/1"}, line)...)...)
	out = append(out,
		requestCase{id: "target-absolute-other-host", rule: "RFC 9112 §3.2.2: Host gives way to the authority", verdict: accept, raw: "GET http://@HOST@ID/1 HTTP/1.1\r\nHost: other.test\r\n\r\n", want: one("GET @ID/1"), never: []string{"other.test"}},
		requestCase{id: "target-absolute-stranger", rule: "RFC 9112 §3.2.2", verdict: deny, raw: "GET http://other.test@ID/1 HTTP/1.1\r\n" + toHost + "\r\n"},
		requestCase{id: "target-absolute-no-host", rule: "RFC 9112 §3.2: Host is required", verdict: refuse, raw: "GET http://@HOST@ID/1 HTTP/1.1\r\n\r\n"},
		requestCase{id: "target-absolute-query", rule: rule, verdict: accept, raw: line("http://@HOST@ID/1?a=b"), want: one("GET @ID/1?a=b")},
		requestCase{id: "target-asterisk-options", rule: "RFC 9112 §3.2.4", verdict: either, raw: "OPTIONS * HTTP/1.1\r\n" + toHost + "\r\n", want: one("OPTIONS *")},
		requestCase{id: "target-connect", rule: "RFC 9110 §9.3.6", verdict: deny, raw: "CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n"},
		requestCase{id: "target-connect-host", rule: "RFC 9110 §9.3.6", verdict: deny, raw: "CONNECT @HOST:443 HTTP/1.1\r\n" + toHost + "\r\n"},
		requestCase{id: "target-query", rule: rule, verdict: accept, raw: line("@ID/1?x=/../&y=http://a/"), want: one("GET @ID/1?x=/../&y=http://a/")},
		requestCase{id: "target-percent", rule: rule, verdict: accept, raw: line("@ID/%41%2f%00?%0d%0a"), want: one("GET @ID/%41%2f%00?%0d%0a")},
		requestCase{id: "target-bad-percent", rule: rule, verdict: either, raw: line("@ID/%zz%"), want: one("GET @ID/%zz%")},
		requestCase{id: "target-double-slash", rule: rule, verdict: either, raw: line("@ID//1"), want: one("GET @ID//1")},
		requestCase{id: "target-bytes", rule: "D4.12", verdict: either, raw: line("@ID/\xc3\xa9\xff"), want: one("GET @ID/\xc3\xa9\xff")},
	)
	for i, p := range []string{"\"", "<", ">", "\\", "^", "`", "{", "|", "}", ";", "'", "[", "]"} {
		out = append(out, requestCase{id: "target-char-" + strconv.Itoa(i+1), rule: "RFC 3986 §2", verdict: either, raw: line("@ID/" + p), want: one("GET @ID/" + p)})
	}
	return out
}

func hostCases() []requestCase {
	const rule = "RFC 9112 §3.2"
	fields := func(f string) string { return "GET @ID/1 HTTP/1.1\r\n" + f + "\r\n" }
	out := numbered("host-bad", rule, refuse, nil, each([]string{
		"", "X: y\r\n", "Host: @HOST\r\nHost: @HOST\r\n", "Host: @HOST\r\nHost: other.test\r\n", "Host: other.test\r\nHost: @HOST\r\n", "Host: @HOST\r\nhost: x\r\n", "Host:\r\nHost: @HOST\r\n", "Host: @HOST\r\nHost:\r\n",
		"Host : @HOST\r\n", " Host: @HOST\r\n", "Host\t: @HOST\r\n", "Host: @HOST\r\n other.test\r\n", "Host:\r\n @HOST\r\n", "Host: @HOST\x00\r\n", "Host: \x00@HOST\r\n", "Host: @HOST\x0b\r\n", "X-Host: @HOST\r\n", "Host_: @HOST\r\n",
	}, fields)...)
	out = append(out, numbered("host-value", rule, deny, nil, each([]string{
		"Host:\r\n", "Host: @HOST/x\r\n", "Host: user@@HOST\r\n", "Host: @HOST x\r\n", "Host: @HOST,@HOST\r\n", "Host: @HOST, other.test\r\n", "Host: @HOST:port\r\n", "Host: @HOST:99999\r\n", "Host: @HOST:-1\r\n", "Host: @HOST:80:80\r\n", "Host: http://@HOST\r\n", "Host: @HOST?x\r\n", "Host: @HOST#x\r\n",
		"Host: @HOST\\x\r\n", "Host: [::1\r\n", "Host: [@HOST]\r\n", "Host: \"@HOST\"\r\n", "Host: <@HOST>\r\n", "Host: @HOST%00\r\n", "Host: @HOST;\r\n", "Host: *\r\n", "Host: other.test\r\n",
	}, fields)...)...)
	out = append(out, numbered("host-good", rule, accept, one("GET @ID/1"), each([]string{"HOST: @HOST\r\n", "host:@HOST\r\n", "Host: @HOST:80\r\n", "Host:\t@HOST\t\r\n", "X: y\r\nHost: @HOST\r\n"}, fields)...)...)
	return append(out, numbered("host-odd", rule, either, one("GET @ID/1"), each([]string{"Host: @HOST:\r\n", "Host: @HOST.\r\n", "Host: @HOST:0080\r\n", "Host: @HOST:8080\r\n", "Host: @HOST:0\r\n"}, fields)...)...)
}

func fieldCases() []requestCase {
	const rule = "RFC 9112 §5"
	f := func(line string) string { return get(line + "\r\n") }
	out := numbered("field-bad", rule, refuse, nil, each([]string{
		"nocolon", ":x", ": x", " : x", "X Y: z", "X : y", "X\t: y", "X(: y", "X\"Y: z", "X/Y: z", "X[: y", "X,Y: z", "X;Y: z", "X@Y: z", "X{Y: z", "X=Y: z", "X?Y: z", "X\\Y: z", "X\x00: y", "X: y\x00", "\xffX: y", "X\xc3\xa9: y", " X: y", "\tX: y", "X: y\r\n folded", "X: y\r\n\tfolded", "X:\r\n y", "X: y\r\n ", "X: y\r\n \r\n z", "X: y\r\n  Host: other.test", "   ", "\t",
	}, f)...)
	out = append(out, requestCase{id: "field-fold-first", rule: rule + ".2", verdict: refuse, raw: "GET @ID/1 HTTP/1.1\r\n X: y\r\n" + toHost + "\r\n"},
		requestCase{id: "field-fold-host", rule: "RFC 9112 §2.2", verdict: refuse, raw: "GET @ID/1 HTTP/1.1\r\n Host: other.test\r\n" + toHost + "\r\n"})
	out = append(out, numbered("field-good", rule, accept, one("GET @ID/1"), each([]string{
		"X:y", "X:", "X: ", "X:\ty\t", "x!#$%&'*+-.^_`|~9: y", "X: a:b", "X: y \t ", "X: a b\tc", "X-A: 1\r\nX-A: 2", "X: \"a\\\"b\"", "1: y", "_: y", "X: ,,", "Cookie: a=b; c=d\r\nCookie: e=f",
	}, f)...)...)
	return append(out, numbered("field-odd", rule, either, one("GET @ID/1"), each([]string{"X: \xc3\xa9", "X: \xff\xfe", "X: =?utf-8?q?a?=", "Content-Type: \"", "Range: x", "If-Modified-Since: x", "Accept-Encoding: \xe4", "Authorization:", "Date: x"}, f)...)...)
}

func largeCases() []requestCase {
	const rule = "D4.5, D4.6"
	long := func(n int) string { return strings.Repeat("x", n) }
	return append(numbered("large-bad", rule, refuse, nil,
		"GET @ID/"+long(9000)+" HTTP/1.1\r\n"+toHost+"\r\n", "GET @ID/"+long(70_000)+" HTTP/1.1\r\n"+toHost+"\r\n", "GET @ID/"+long(1_500_000)+" HTTP/1.1\r\n"+toHost+"\r\n", "GET @ID/1?"+long(9000)+" HTTP/1.1\r\n"+toHost+"\r\n",
		get("X: "+long(40_000)+"\r\n"), get("X: "+long(1_500_000)+"\r\n"), get(long(40_000)+": y\r\n"), get(strings.Repeat("X: "+long(100)+"\r\n", 500)), get(strings.Repeat("X: y\r\n", 20_000)), get("X: "+long(1_500_000)), "GET "+long(1_500_000), long(1_500_000), long(70_000)+" @ID/1 HTTP/1.1\r\n"+toHost+"\r\n", "GET http://"+long(9000)+"@ID/1 HTTP/1.1\r\n"+toHost+"\r\n", "GET @ID/1 HTTP/1.1\r\nHost: "+long(40_000)+"\r\n\r\n", strings.Repeat("\r\n", 500_000)+"x", get("Cookie: "+long(40_000)+"\r\n"), "GET @ID/1 HTTP/1.1"+long(70_000)+"\r\n"+toHost+"\r\n",
	), append(numbered("large-good", rule, accept, one("GET @ID/1"), get("X: "+long(16_000)+"\r\n"), get(strings.Repeat("X-A: "+long(100)+"\r\n", 90)), get("Cookie: "+long(8000)+"\r\n")),
		requestCase{id: "large-target", rule: rule, verdict: accept, raw: "GET @ID/" + long(7000) + " HTTP/1.1\r\n" + toHost + "\r\n", want: one("GET @ID/" + long(7000))},
		requestCase{id: "large-body", rule: "D4.8", verdict: accept, raw: post("Content-Length: 900000\r\n", long(900_000)), want: one("POST @ID/1 " + long(900_000))},
		requestCase{id: "large-chunks", rule: "D4.9", verdict: accept, raw: post("Transfer-Encoding: chunked\r\n", strings.Repeat("4E20\r\n"+long(20_000)+"\r\n", 20)+"0\r\n\r\n"), want: one("POST @ID/1 " + long(400_000))},
		requestCase{id: "large-tiny-chunks", rule: "D4.9", verdict: accept, raw: post("Transfer-Encoding: chunked\r\n", strings.Repeat("1\r\nx\r\n", 3000)+"0\r\n\r\n"), want: one("POST @ID/1 " + long(3000))},
	)...)
}

func expectCases() []requestCase {
	const rule = "RFC 9110 §10.1.1"
	p := func(f string) string { return post("Content-Length: 5\r\n"+f+"\r\n", "hello") }
	out := numbered("expect-good", rule, accept, one("POST @ID/1 hello"), each([]string{"Expect: 100-continue", "expect: 100-Continue"}, p)...)
	out = append(out, numbered("expect-other", rule, either, one("POST @ID/1 hello"), each([]string{"Expect: x", "Expect:", "Expect: 100-continue, x", "Expect: 100-continue\r\nExpect: 100-continue", "Expect: 200-ok", "Expect: 100"}, p)...)...)
	out = append(out,
		requestCase{id: "expect-no-body", rule: rule, verdict: accept, raw: get("Expect: 100-continue\r\n"), want: one("GET @ID/1")},
		requestCase{id: "expect-empty-body", rule: rule, verdict: accept, raw: post("Content-Length: 0\r\nExpect: 100-continue\r\n", ""), want: one("POST @ID/1")},
		requestCase{id: "expect-chunked", rule: rule, verdict: accept, raw: post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", chunked5), want: one("POST @ID/1 hello")},
		requestCase{id: "expect-bad-length", rule: rule, verdict: refuse, raw: post("Content-Length: 5, 6\r\nExpect: 100-continue\r\n", "hello")},
		requestCase{id: "expect-conflict", rule: rule, verdict: refuse, raw: post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n", chunked5)},
	)
	for i := range out {
		out[i].never = []string{"expect:"}
	}
	return out
}

func connectionCases() []requestCase {
	const rule = "RFC 9110 §7.6.1"
	p := func(f string) string { return post("Content-Length: 5\r\n"+f+"\r\n", "hello") }
	out := numbered("connection-body", rule+": what is listed never changes the framing", either, one("POST @ID/1 hello"), each([]string{
		"Connection: Content-Length", "Connection: keep-alive, Content-Length", "Connection: Host", "Connection: content-length, host", "Connection: Transfer-Encoding", "Connection: Expect", "Connection: Connection",
	}, p)...)
	for i, f := range []struct{ field, never string }{
		{"Connection: X-A\r\nX-A: 1", "x-a:"}, {"Connection: x-a, x-b\r\nX-A: 1\r\nX-B: 2", "x-b:"}, {"Connection: X-A\r\nConnection: X-B\r\nX-B: 1", "x-b:"}, {"Connection: keep-alive\r\nKeep-Alive: timeout=5", "keep-alive:"}, {"TE: trailers\r\nConnection: TE", "te: gzip"}, {"TE: gzip", "te: gzip"},
		{"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "http2-settings"}, {"Upgrade: h2c\r\nConnection: Upgrade", "upgrade: h2c"}, {"Proxy-Connection: keep-alive", "proxy-connection"}, {"Upgrade: websocket", "upgrade: websocket"}, {"Proxy-Authorization: x\r\nConnection: Proxy-Authorization", "proxy-authorization"},
	} {
		out = append(out, requestCase{id: "connection-field-" + strconv.Itoa(i+1), rule: rule, verdict: either, raw: get(f.field + "\r\n"), want: one("GET @ID/1"), never: []string{f.never}})
	}
	return append(out,
		requestCase{id: "connection-h2c-body", rule: "RFC 9113 §3.1: h2c is no upgrade any more", verdict: either, raw: post("Content-Length: 5\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n", "hello"), want: one("POST @ID/1 hello"), never: []string{"upgrade: h2c"}},
		requestCase{id: "connection-keep-alive", rule: "RFC 9112 §9.3", verdict: accept, raw: get("Connection: keep-alive\r\n"), want: one("GET @ID/1")},
		requestCase{id: "connection-http10", rule: "RFC 9112 §9.3", verdict: either, raw: "GET @ID/1 HTTP/1.0\r\n" + toHost + "Connection: keep-alive\r\n\r\n", want: one("GET @ID/1")},
	)
}

func pipelineCases() []requestCase {
	const rule = "RFC 9112 §9.3.2"
	var many, wanted []string
	for i := range 60 {
		many = append(many, "GET @ID/"+strconv.Itoa(i)+" HTTP/1.1\r\n"+toHost+"\r\n")
		wanted = append(wanted, "GET @ID/"+strconv.Itoa(i))
	}
	inside := "GET @ID/smuggled HTTP/1.1\r\nHost: @HOST\r\n\r\n"
	// The length counts what stands in the place of words, so these have none inside.
	plain := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	n := strconv.Itoa(len(plain))
	out := []requestCase{
		{id: "pipeline-many", rule: rule, verdict: accept, raw: strings.Join(many, ""), want: wanted},
		{id: "pipeline-posts", rule: rule, verdict: accept, raw: post("Content-Length: 5\r\n", "hello") + post("Content-Length: 5\r\n", "world") + get(""), want: []string{"POST @ID/1 hello", "POST @ID/1 world", "GET @ID/1"}},
		{id: "pipeline-chunked", rule: rule, verdict: accept, raw: post("Transfer-Encoding: chunked\r\n", chunked5) + post("Transfer-Encoding: chunked\r\n", chunked5), want: []string{"POST @ID/1 hello", "POST @ID/1 hello"}},
		{id: "pipeline-bad-second", rule: rule, verdict: refuse, raw: get("") + get("X\r\n") + inside, want: one("GET @ID/1")},
		{id: "pipeline-bad-body", rule: rule, verdict: refuse, raw: get("") + post("Transfer-Encoding: chunked\r\n", "zz\r\n") + inside, want: one("GET @ID/1")},
		{id: "pipeline-request-in-body", rule: rule, verdict: accept, raw: post("Content-Length: "+n+"\r\n", plain), want: one("POST @ID/1 " + plain)},
		{id: "pipeline-request-in-chunk", rule: rule, verdict: accept, raw: post("Transfer-Encoding: chunked\r\n", strconv.FormatInt(int64(len(plain)), 16)+"\r\n"+plain+"\r\n0\r\n\r\n"), want: one("POST @ID/1 " + plain)},
		{id: "pipeline-no-length", rule: "RFC 9112 §6.3: a request without framing has no body", verdict: accept, raw: post("", "") + get(""), want: []string{"POST @ID/1", "GET @ID/1"}},
		{id: "pipeline-crlf-after-body", rule: "RFC 9112 §2.2", verdict: either, raw: post("Content-Length: 5\r\n", "hello\r\n") + get(""), want: []string{"POST @ID/1 hello", "GET @ID/1"}},
		{id: "pipeline-junk-after-body", rule: rule, verdict: refuse, raw: post("Content-Length: 5\r\n", "helloXX") + get("X y\r\n"), want: one("POST @ID/1 hello")},
	}
	for _, m := range []string{"GET", "DELETE", "PUT", "PATCH", "OPTIONS", "FOO"} {
		v := either // methods for which a body means nothing may be refused
		if m == "PUT" || m == "PATCH" {
			v = accept
		}
		id := "pipeline-body-" + strings.ToLower(m)
		out = append(out,
			requestCase{id: id, rule: "RFC 9110 §9.3: a body is a body whatever the method", verdict: v, raw: m + " @ID/1 HTTP/1.1\r\n" + toHost + "Content-Length: " + n + "\r\n\r\n" + plain, want: one(m + " @ID/1 " + plain)},
			requestCase{id: id + "-chunked", rule: "RFC 9110 §9.3", verdict: v, raw: m + " @ID/1 HTTP/1.1\r\n" + toHost + "Transfer-Encoding: chunked\r\n\r\n" + chunked5, want: one(m + " @ID/1 hello")},
		)
	}
	return out
}

func unfinishedCases() []requestCase {
	const rule = "RFC 9112 §8: what is not complete is no request"
	return numbered("unfinished", rule, refuse, nil,
		post("Content-Length: 100000\r\n", "hello"), post("Transfer-Encoding: chunked\r\n", "FFFF\r\nhello"), post("Content-Length: 100000\r\nExpect: 100-continue\r\n", "hel"), "GET @ID/1 HTTP/1.1\r\n"+toHost+"X: ", "GET @ID/1 HTT",
	)
}
