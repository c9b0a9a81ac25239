// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// requestCases are all cases about where requests end and what is one at all.
func requestCases() []requestCase {
	var all []requestCase
	for _, family := range []func() []requestCase{
		lengthCases, codingCases, conflictCases, chunkCases, trailerCases, lineCases, controlCases, startCases, targetCases, hostCases, fieldCases,
		largeCases, expectCases, connectionCases, pipelineCases, unfinishedCases,
	} {
		all = append(all, family()...)
	}
	return all
}

// Parts of cases.
const (
	smuggled = "GET @ID/smuggled HTTP/1.1\r\nHost: @HOST\r\n\r\n"
	toHost   = "Host: @HOST\r\n"
)

// post is a POST with these field lines, and what follows the head.
func post(fields, rest string) string {
	return "POST @ID/1 HTTP/1.1\r\n" + toHost + fields + "\r\n" + rest
}

// get is a GET with these field lines.
func get(fields string) string { return "GET @ID/1 HTTP/1.1\r\n" + toHost + fields + "\r\n" }

// numbered makes cases of one family out of values.
func numbered(family, rule string, v verdict, want []string, raws ...string) []requestCase {
	var out []requestCase
	for i, raw := range raws {
		out = append(out, requestCase{id: fmt.Sprintf("%s-%d", family, i+1), rule: rule, raw: raw, verdict: v, want: want})
	}
	return out
}

// each applies make to values.
func each(values []string, make func(string) string) []string {
	var out []string
	for _, v := range values {
		out = append(out, make(v))
	}
	return out
}

func one(w string) []string { return []string{w} }

func lengthCases() []requestCase {
	const rule = "RFC 9112 §6.3, RFC 9110 §8.6"
	hello := func(v string) string { return post("Content-Length:"+v+"\r\n", "hello") }
	good := one("POST @ID/1 hello")
	out := numbered("length-good", rule, accept, good, each([]string{" 5", "5", "\t5", " 5 ", "5\t", "  \t 5 \t "}, hello)...)
	out = append(out, numbered("length-zeros", rule, either, good, each([]string{" 05", " 0000000000000000000000005", " 5, 5", " 5,5", " 5,", " ,5"}, hello)...)...)
	out = append(out, numbered("length-bad", rule, refuse, nil, each([]string{
		" +5", " -5", " 5 5", " 5, 6", " 6, 5", " 0x5", " 5.0", " 5;", "", " ", " five", " \u0665", " 5\x00", " \x005", " 1e1", " 5e0", " 5_", " 5a", " a5",
		" 4294967301", " 18446744073709551621", " 9223372036854775813", " 99999999999999999999999", " -0", " +0", " 0b101", " 0o5", " 5\x0b", " \x0c5", " \xa05", " 5\xa0", " \"5\"", " 5\x7f", " (5)", " 5=5",
	}, hello)...)...)
	twice := func(second string) string { return post("Content-Length: 5\r\n"+second+"\r\n", "hello") }
	out = append(out, numbered("length-twice-same", rule, either, good, each([]string{"Content-Length: 5", "content-length: 5", "CONTENT-LENGTH:5"}, twice)...)...)
	out = append(out, numbered("length-twice", rule, refuse, nil, each([]string{
		"Content-Length: 6", "Content-Length: 0", "Content-Length: 4", "Content-Length:", "Content-Length: x", "content-length: 05, 6", "Content-Length: 55", "Content-Length: -5",
	}, twice)...)...)
	first := func(f string) string { return post(f+"\r\nContent-Length: 5\r\n", "hello") }
	out = append(out, numbered("length-first", rule, refuse, nil, each([]string{"Content-Length: 0", "Content-Length: 50", "Content-Length:", "Content-Length: +5"}, first)...)...)
	named := func(f string) string { return post(f+"\r\n", "hello") }
	out = append(out, numbered("length-name", "RFC 9112 §5.1", refuse, nil, each([]string{
		"Content-Length : 5", "Content-Length\t: 5", " Content-Length: 5", "\tContent-Length: 5", "Content-Length\x00: 5", "Content\x00-Length: 5", "Content-Length\r: 5", "Content-Length;: 5",
		"Content-Length\xa0: 5", "Content Length: 5", "\x0bContent-Length: 5", "Content-Length 5", "\xefContent-Length: 5", "\"Content-Length\": 5", "Content-Length\x0b: 5",
	}, named)...)...)
	// A field of another name is no length: the body is none.
	other := func(f string) string { return post(f+"\r\n", "") }
	return append(out, numbered("length-other-name", rule, accept, one("POST @ID/1"), each([]string{
		"Content_Length: 5", "ContentLength: 5", "X-Content-Length: 5", "Content-Length-: 5", "Content-Lengths: 5", "Content.Length: 5",
	}, other)...)...)
}

const chunked5 = "5\r\nhello\r\n0\r\n\r\n"

// codings are values of Transfer-Encoding that are not the one that an edge reads.
func codings() []string {
	return []string{
		" xchunked", " chunkedx", " chunked, identity", " identity", " identity, chunked", " gzip, chunked", " gzip", " chunked, gzip", " chunked, chunked", " \"chunked\"", " 'chunked'",
		" chunked;foo=bar", " chunked; q=1", " chunked;", "", " ", " \x0bchunked", " \x0cchunked", " \x00chunked", " chunked\x00", " chunked\x0b", " c hunked", " chun\tked", " chunke\xc4", " \xa0chunked", " chunked\xa0", " ch\xfcnked",
		" chunked chunked", " chunked,x", " x,chunked", " deflate, gzip, chunked", " compress", " trailers", " chunked=1", " 5", " chunk", " chunkedd", " \u212Aunked", " chunked\x7f", " \x01chunked", " chunked\x08", " chunked/1", " (chunked)", " chunked()",
	}
}

func codingCases() []requestCase {
	const rule = "RFC 9112 §6.1"
	body := func(v string) string { return post("Transfer-Encoding:"+v+"\r\n", chunked5) }
	good := one("POST @ID/1 hello")
	out := numbered("coding-good", rule, accept, good, each([]string{" chunked", "chunked", " Chunked", " CHUNKED", " cHuNkEd", "\tchunked", " chunked ", " \t chunked \t"}, body)...)
	out = append(out, numbered("coding-list", rule, either, good, each([]string{" , chunked", " chunked,", " ,chunked,", " ,,chunked"}, body)...)...)
	out = append(out, numbered("coding-bad", rule, refuse, nil, each(codings(), body)...)...)
	fields := func(f string) string { return post(f+"\r\n", chunked5) }
	out = append(out, numbered("coding-name-good", rule, accept, good, each([]string{"TRANSFER-ENCODING: chunked", "transfer-encoding: chunked", "tRANSFER-eNCODING: chunked"}, fields)...)...)
	out = append(out, numbered("coding-twice", rule, refuse, nil, each([]string{
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
	}, fields)...)...)
	out = append(out, numbered("coding-name", rule, refuse, nil, each([]string{
		"Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "\tTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding:\r\n\tchunked",
		"Transfer-Encoding\r\n : chunked", "Transfer-Encoding: chun\r\n ked", "Transfer-Encoding: chunked\r\n x", "X: y\r\n Transfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
		"Transfer-Encoding\x00: chunked", "\x00Transfer-Encoding: chunked", "Transfer\x00-Encoding: chunked", "Transfer-Encoding chunked", "X: y\x00\nTransfer-Encoding: chunked", "Transfer-Encoding:\nchunked", "Transfer-Encoding: \rchunked", "X: y\r\rTransfer-Encoding: chunked",
		"Transfer Encoding: chunked", "Transfer-Encoding\xa0: chunked", "\x0cTransfer-Encoding: chunked", "Transfer-Encoding\r: chunked", ": chunked\r\nTransfer-Encoding: chunked",
	}, fields)...)...)
	other := func(f string) string { return post(f+"\r\n", "") }
	out = append(out, numbered("coding-other-name", rule, accept, one("POST @ID/1"), each([]string{
		"Transfer_Encoding: chunked", "TransferEncoding: chunked", "X-Transfer-Encoding: chunked", "Transfer-Encodings: chunked", "Transfer-Coding: chunked",
	}, other)...)...)
	for i := range out {
		out[i].never = []string{"transfer-encoding: gzip", "transfer-encoding: identity"}
	}
	return append(out,
		requestCase{id: "coding-http10", rule: "RFC 9112 §6.1: in HTTP/1.0 the framing is faulty", verdict: refuse, raw: "POST @ID/1 HTTP/1.0\r\n" + toHost + "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n" + chunked5 + smuggled},
		requestCase{id: "coding-http10-length", rule: rule, verdict: refuse, raw: "POST @ID/1 HTTP/1.0\r\n" + toHost + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n" + chunked5 + smuggled},
	)
}

// conflictCases have a length and a coding: one peer may believe the one, the next the
// other.
func conflictCases() []requestCase {
	const rule = "RFC 9112 §6.1, §6.3: both at once"
	var raws []string
	for _, length := range []string{"0", "3", "5", "15", "100", "4, 4", "x"} {
		for _, order := range []string{"Content-Length: " + length + "\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: " + length + "\r\n"} {
			raws = append(raws, post(order, chunked5), post(order, "0\r\n\r\n"+smuggled))
		}
	}
	for _, v := range codings() {
		raws = append(raws, post("Content-Length: 5\r\nTransfer-Encoding:"+v+"\r\n", "hello"+smuggled))
	}
	for _, f := range []string{
		"Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
		"Transfer-Encoding\x00: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding\t:chunked",
	} {
		raws = append(raws, post("Content-Length: 5\r\n"+f+"\r\n", "0\r\n\r\n"+smuggled), post(f+"\r\nContent-Length: 5\r\n", "0\r\n\r\n"+smuggled))
	}
	raws = append(raws,
		"GET @ID/1 HTTP/1.1\r\n"+toHost+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled,
		"HEAD @ID/1 HTTP/1.1\r\n"+toHost+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled,
		"DELETE @ID/1 HTTP/1.1\r\n"+toHost+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled,
		"GET @ID/1 HTTP/1.1\r\n"+toHost+"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"+smuggled,
	)
	return numbered("conflict", rule, refuse, nil, raws...)
}

func chunkCases() []requestCase {
	const rule = "RFC 9112 §7.1"
	body := func(v string) string { return post("Transfer-Encoding: chunked\r\n", v) }
	good := one("POST @ID/1 hello")
	long := strings.Repeat("x", 70_000)
	out := numbered("chunk-good", rule, accept, good, each([]string{
		chunked5, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n",
		"5;ext\r\nhello\r\n0\r\n\r\n", "5;ext=1\r\nhello\r\n0\r\n\r\n", "5;ext=\"a b\"\r\nhello\r\n0\r\n\r\n", "5;a=1;b=2\r\nhello\r\n0;last\r\n\r\n",
	}, body)...)
	out = append(out, requestCase{id: "chunk-hex", rule: rule, verdict: accept, raw: body("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"), want: one("POST @ID/1 01234567890123456789a")})
	out = append(out, requestCase{id: "chunk-text", rule: rule, verdict: accept, raw: body("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), want: one("POST @ID/1 \r\n0\r\n\r\n")})
	out = append(out, numbered("chunk-odd", rule, either, good, each([]string{
		"05\r\nhello\r\n0\r\n\r\n", "0000000000000005\r\nhello\r\n0\r\n\r\n", "5 ;ext\r\nhello\r\n0\r\n\r\n", "5; ext\r\nhello\r\n0\r\n\r\n", "5;ext = 1\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n00\r\n\r\n", "5\r\nhello\r\n0000000000\r\n\r\n",
		"5;\r\nhello\r\n0\r\n\r\n", "5;;\r\nhello\r\n0\r\n\r\n", "5;=1\r\nhello\r\n0\r\n\r\n", "5;a=\"\xe4\"\r\nhello\r\n0\r\n\r\n", "5;ext=\"a\\\"b\"\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5\t\r\nhello\r\n0\r\n\r\n", "5;a=\"open\r\nhello\r\n0\r\n\r\n",
	}, body)...)...)
	out = append(out, numbered("chunk-bad", rule, refuse, nil, each([]string{
		"0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "\t5\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n",
		"5\r\nhello\r0\r\n\r\n", "5\rhello\r\n0\r\n\r\n", "\r\n5\r\nhello\r\n0\r\n\r\n", ";ext\r\nhello\r\n0\r\n\r\n", "\r\n\r\n", "g\r\nhello\r\n0\r\n\r\n", "5g\r\nhello\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFF\r\nhello", "10000000000000005\r\nhello\r\n0\r\n\r\n",
		"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5\r\nhello\r\n0\r\n\r\n", "8000000000000005\r\nhello\r\n0\r\n\r\n", "100000005\r\nhello\r\n0\r\n\r\n", "5;\x00\r\nhello\r\n0\r\n\r\n", "5;ext\nhello\r\n0\r\n\r\n", "5;ext\rX\r\nhello\r\n0\r\n\r\n", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
		"5;" + long + "\r\nhello\r\n0\r\n\r\n", strings.Repeat("0", 70_000) + "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n", "5\r\nhello\r\n0\r\r\n\r\n", "5\r\nhello\r\n-0\r\n\r\n", "5\r\nhello\r\n0x0\r\n\r\n", "5\r\nhello\r\n+0\r\n\r\n",
		"5 5\r\nhello\r\n0\r\n\r\n", "5,5\r\nhello\r\n0\r\n\r\n", "5.0\r\nhello\r\n0\r\n\r\n", "\x005\r\nhello\r\n0\r\n\r\n", "5\x00\r\nhello\r\n0\r\n\r\n", "\"5\"\r\nhello\r\n0\r\n\r\n", "5_0\r\nhello\r\n0\r\n\r\n", "5h\r\nhello\r\n0\r\n\r\n", "5\r\r\nhello\r\n0\r\n\r\n", "5;a\x0bb\r\nhello\r\n0\r\n\r\n", "5;a\x7f\r\nhello\r\n0\r\n\r\n",
		"4\r\nhello\r\n0\r\n\r\n", "6\r\nhello\r\n0\r\n\r\n", "2;\nxx\r\n4c\r\n0\r\n\r\n" + smuggled, "5\r\nhello\r\n0\r\n" + smuggled,
	}, body)...)...)
	return append(out, numbered("chunk-extension-bad", rule+".1", refuse, nil, each([]string{
		"5;", "5;;", "5;;a", "5;=1", "5;a=", "5;a=;b", "5;a=b=c", "5;a b", "5;a ", "5;a=\"open", "5;a=\"open\\\"", "5;a=\"b\"c", "5;\"a\"", "5;\xe4", "5;a=\"\n\"", "5;a=\"\\\r\"", "5;a\n", "5 ", "5;a=1,b", "5;(a)", "5;a:b", "5;\t",
	}, func(line string) string { return body(line + "\r\nhello\r\n0\r\n\r\n") })...)...)
}

func trailerCases() []requestCase {
	const rule = "RFC 9112 §7.1.2, D24.10"
	body := func(v string) string { return post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"+v+"\r\n") }
	good := one("POST @ID/1 hello")
	out := numbered("trailer-good", rule, accept, good, each([]string{"X-T: 1\r\n", "X-T: 1\r\nX-U: 2\r\n", "x:\r\n"}, body)...)
	out = append(out, numbered("trailer-odd", rule, either, good, each([]string{
		"Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n", "Host: other.test\r\n", "Connection: close\r\n", "Trailer: x\r\n", "Authorization: x\r\n", "X: \xe4\r\n",
	}, body)...)...)
	out = append(out, numbered("trailer-bad", rule, refuse, nil, each([]string{
		"no colon\r\n", " X: folded\r\n", "X: y\r\n folded\r\n", "X : y\r\n", "X: y\n", "X: y\r", "X\x00: y\r\n", "X: \x00\r\n", ": y\r\n", "X: " + strings.Repeat("y", 70_000) + "\r\n", strings.Repeat("X: y\r\n", 20_000), "X: a\rb\r\n", "\nX: y\r\n", "GET @ID/smuggled HTTP/1.1\r\n" + toHost,
	}, body)...)...)
	for i := range out {
		out[i].never = []string{"x-t:", "x-u:", "other.test"}
	}
	return out
}

func lineCases() []requestCase {
	const rule = "RFC 9112 §2.2"
	h := toHost
	return append(numbered("line-bad", rule, refuse, nil,
		"GET @ID/1 HTTP/1.1\n"+h+"\r\n", "GET @ID/1 HTTP/1.1\r\nHost: @HOST\n\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"\n", "GET @ID/1 HTTP/1.1\nHost: @HOST\n\n", "GET @ID/1 HTTP/1.1\r"+h+"\r\n", "GET @ID/1 HTTP/1.1\r\r\n"+h+"\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"\r\r\n",
		"GET @ID/1 HTTP/1.1\r\n"+h+"X: y\r\r\n\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"X: y\n\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"X: a\rb\r\n\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"X: y\n\rZ: 1\r\n\r\n", "GET @ID/1 HTTP/1.1\n\r\n"+h+"\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"X: y\r\n\n\r\n",
		"GET @ID/1 HTTP/1.1\r\n"+h+"X:\ry\r\n\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"X: y\r \r\n\r\n", "GET @ID/1\rHTTP/1.1\r\n"+h+"\r\n", "GET\r@ID/1 HTTP/1.1\r\n"+h+"\r\n", "GET @ID/1\nHTTP/1.1\r\n"+h+"\r\n", "\rGET @ID/1 HTTP/1.1\r\n"+h+"\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"X: a\n"+smuggled+"\r\n\r\n", "GET @ID/1 HTTP/1.1\r\n"+h+"X: a\n\n"+smuggled,
	), append(numbered("line-empty", rule+": an empty line before a request", accept, one("GET @ID/1"), "\r\n"+get("")),
		numbered("line-odd", rule, either, one("GET @ID/1"), "\n"+get(""), "\r\n\r\n"+get(""), "\r\n\r\n\r\n\r\n"+get(""), "\n\n"+get(""))...)...)
}

// controlCases put each control character where none may be.
func controlCases() []requestCase {
	var out []requestCase
	for c := range 256 {
		if c > 0x20 && c < 0x7f || c == '\r' || c == '\n' {
			continue
		}
		b := string([]byte{byte(c)})
		add := func(place, rule string, v verdict, raw string) {
			out = append(out, requestCase{id: fmt.Sprintf("control-%s-%02x", place, c), rule: rule, verdict: v, raw: raw, want: map[bool][]string{true: one("GET @ID/1"), false: nil}[v != refuse]})
		}
		if c >= 0x80 && c%16 > 1 { // two of sixteen will do
			continue
		}
		inValue := refuse
		if c >= 0x80 || c == ' ' || c == '\t' {
			inValue = either
		}
		add("value", "RFC 9110 §5.5", inValue, get("X: a"+b+"b\r\n"))
		add("name", "RFC 9110 §5.1", refuse, get("X"+b+"Y: a\r\n"))
		if c >= 0x80 {
			continue // in targets they pass (D4.12)
		}
		add("target", "RFC 9112 §3, D4.12", refuse, "GET @ID/1"+b+"x HTTP/1.1\r\n"+toHost+"\r\n")
		add("method", "RFC 9110 §9.1", refuse, "G"+b+"T @ID/1 HTTP/1.1\r\n"+toHost+"\r\n")
	}
	return out
}

func TestCorpus(t *testing.T) {
	id, seen := regexp.MustCompile(`^[a-z0-9-]+$`), map[string]bool{}
	for _, c := range requestCases() {
		if !id.MatchString(c.id) || seen[c.id] {
			t.Errorf("%s: not an id, or there twice", c.id)
		}
		if seen[c.id] = true; c.verdict == 0 || c.rule == "" {
			t.Errorf("%s: no verdict or rule", c.id)
		}
	}
	t.Logf("%d cases", len(seen))
}
