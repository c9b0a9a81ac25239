// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// A request that is accepted, as describe writes it.
func TestAccepted(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"D5: the target byte for byte", "GET //a/../b%2fc%2Fd%7E;?x=%20&y%zz HTTP/1.1\r\nHost: H.test:80\r\nB: 2\r\nA: 1\r\nb: 3\r\n\r\n",
			`GET //a/../b%2fc%2Fd%7E;?x=%20&y%zz host="H.test:80" 1.1 B="2" A="1" b="3"`},
		{"D1.1: HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", `GET / host="" 1.0`},
		{"D4.12: bytes above ASCII", "GET /\xff\xc3\xa9 HTTP/1.1\r\nHost: h\r\nA: \xff\r\n\r\n", "GET /\xff\xc3\xa9 host=\"h\" 1.1 A=\"\\xff\""},
		{"D4.1: unknown method", "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", `BREW /pot host="h" 1.1`},
		{"RFC 9110 §2.5: a later minor version", "GET / HTTP/1.7\r\nHost: h\r\n\r\n", `GET / host="h" 1.1`},
		{"RFC 9112 §2.2: empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", `GET / host="h" 1.1`},
		{"RFC 9112 §3.2.1: query only", "GET /?a HTTP/1.1\r\nHost: h\r\n\r\n", `GET /?a host="h" 1.1`},
		{"RFC 9112 §3.2.2: absolute form", "GET http://other.test/a?b=c HTTP/1.1\r\nHost: h.test\r\n\r\n", `GET /a?b=c host="other.test" 1.1`},
		{"RFC 9112 §3.2.2: without a path", "GET HTTP://other.test:81?b HTTP/1.1\r\nHost: h.test\r\n\r\n", `GET /?b host="other.test:81" 1.1`},
		{"RFC 9112 §3.2.2: with nothing", "GET https://other.test HTTP/1.1\r\nHost:\r\n\r\n", `GET / host="other.test" 1.1`},
		{"RFC 9112 §3.2.3: authority form", "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n", `CONNECT h.test:443 host="h.test:443" 1.1`},
		{"RFC 9112 §3.2.4: asterisk form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", `OPTIONS * host="h" 1.1`},
		{"RFC 9112 §3.2.4: of an absolute one", "OPTIONS http://o.test HTTP/1.1\r\nHost: h\r\n\r\n", `OPTIONS * host="o.test" 1.1`},
		{"RFC 3986 §3.2.2: an address for Host", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n", `GET / host="[2001:db8::1]:8080" 1.1`},
		{"RFC 9112 §5.1: white space around values", "GET / HTTP/1.1\r\nhost:\t h \t\r\nA:\r\nB:x\ty \r\n\r\n", `GET / host="h" 1.1 A="" B="x\ty"`},
		{"RFC 9112 §6.2: a body by length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", `POST / host="h" 1.1 Content-Length="3" body="abc"`},
		{"RFC 9110 §8.6: zeros before a length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 003\r\n\r\nabc", `POST / host="h" 1.1 Content-Length="3" body="abc"`},
		{"D4.4: an empty body", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", `GET / host="h" 1.1 Content-Length="0"`},
		{"RFC 9112 §7.1: a body by chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
			`POST / host="h" 1.1 Transfer-Encoding="Chunked" body="abc0123456789"`},
		{"RFC 9112 §6.2: HTTP/1.0 with a length", "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\na", `POST / host="" 1.0 Content-Length="1" body="a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r recorder
			out := play(newServer(t, r.Serve), tt.raw)
			if statuses(out) != "200" {
				t.Errorf("answer %q", out)
			}
			if diff := cmp.Diff([]string{tt.want}, r.got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRefused is the corpus of what has no place on a connection. Each is followed by
// another request, which must never be served: nobody can say where it begins.
func TestRefused(t *testing.T) {
	const next = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	line := func(l string) string { return l + "\r\nHost: h\r\n\r\n" }
	with := func(f string) string { return "GET / HTTP/1.1\r\nHost: h\r\n" + f + "\r\n\r\n" }
	post := func(f, body string) string {
		return "POST / HTTP/1.1\r\nHost: h\r\n" + f + "\r\n\r\n" + body
	}
	long := strings.Repeat("a", 9000)
	for _, tt := range []struct {
		name, raw string
		want      exchange.Reason
	}{
		{"RFC 9112 §2.2: bare LF in the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", exchange.BadLineEnd},
		{"RFC 9112 §2.2: bare LF after a field", "GET / HTTP/1.1\r\nHost: h\n\r\n", exchange.BadLineEnd},
		{"RFC 9112 §2.2: bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", exchange.BadLineEnd},
		{"RFC 9112 §2.2: bare LF only", "GET / HTTP/1.1\nHost: h\n\n", exchange.BadLineEnd},
		{"RFC 9112 §2.2: bare CR in a value", with("A: b\rContent-Length: 5"), exchange.ControlByte},
		{"RFC 9112 §2.2: bare CR in a name", with("A\rB: b"), exchange.BadFieldName},
		{"RFC 9112 §2.2: CR CR LF", with("A: b\r"), exchange.ControlByte},
		{"RFC 9112 §2.2: too many empty lines", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", exchange.BadLine},
		{"RFC 9112 §2.2: an empty line with LF", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", exchange.BadLineEnd},
		{"RFC 9112 §2.2: white space before the request", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", exchange.BadLine},
		{"RFC 9112 §2.2: white space before the first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", exchange.Folded},
		{"RFC 9112 §2.3: HTTP/0.9", "GET /\r\n\r\n", exchange.BadLine},
		{"RFC 9112 §2.3: HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", exchange.UnknownVersion},
		{"RFC 9112 §2.3: HTTP/3.0", line("GET / HTTP/3.0"), exchange.UnknownVersion},
		{"RFC 9112 §2.3: HTTP/0.9 by name", line("GET / HTTP/0.9"), exchange.UnknownVersion},
		{"RFC 9112 §2.3: lower case", line("GET / http/1.1"), exchange.BadVersion},
		{"RFC 9112 §2.3: two digits", line("GET / HTTP/1.10"), exchange.BadVersion},
		{"RFC 9112 §2.3: no minor version", line("GET / HTTP/1"), exchange.BadVersion},
		{"RFC 9112 §2.3: no name", line("GET / 1.1"), exchange.BadVersion},
		{"RFC 9112 §3: two spaces", line("GET  / HTTP/1.1"), exchange.BadLine},
		{"RFC 9112 §3: a space in the target", line("GET /a b HTTP/1.1"), exchange.BadVersion},
		{"RFC 9112 §3: a space at the end", line("GET / HTTP/1.1 "), exchange.BadVersion},
		{"RFC 9112 §3: a tab", line("GET\t/\tHTTP/1.1"), exchange.BadLine},
		{"RFC 9112 §3.1: an empty method", line("  / HTTP/1.1"), exchange.BadLine},
		{"RFC 9112 §3.1: no token", line("G(T / HTTP/1.1"), exchange.BadMethod},
		{"RFC 9112 §3.2: no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: two of them", with("Host: h"), exchange.BadHost},
		{"RFC 9112 §3.2: two on HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: g\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: an empty one", "GET / HTTP/1.1\r\nHost:\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: with a user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: with a space", "GET / HTTP/1.1\r\nHost: h g\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: with a fragment", "GET / HTTP/1.1\r\nHost: h#g\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: beyond ASCII", "GET / HTTP/1.1\r\nHost: h\xe9\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: a port that is none", "GET / HTTP/1.1\r\nHost: h:8x\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: a port out of range", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: a port only", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: behind a bracket", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2: brackets without address", "GET / HTTP/1.1\r\nHost: [h]\r\n\r\n", exchange.BadHost},
		{"RFC 9112 §3.2.2: a user", line("GET http://u:p@h/ HTTP/1.1"), exchange.BadTarget},
		{"RFC 9112 §3.2.2: no authority", line("GET http:///a HTTP/1.1"), exchange.BadTarget},
		{"RFC 9112 §3.2.2: another scheme", line("GET ftp://h/a HTTP/1.1"), exchange.BadTarget},
		{"RFC 9112 §3.2.3: not for GET", line("GET h.test:443 HTTP/1.1"), exchange.BadTarget},
		{"RFC 9112 §3.2.3: without a port", line("CONNECT h.test HTTP/1.1"), exchange.BadTarget},
		{"RFC 9112 §3.2.4: not for GET", line("GET * HTTP/1.1"), exchange.BadTarget},
		{"D4.12: a fragment", line("GET /a#b HTTP/1.1"), exchange.BadTarget},
		{"D4.12: a control byte", line("GET /a\x01 HTTP/1.1"), exchange.BadTarget},
		{"D4.12: DEL", line("GET /\x7f HTTP/1.1"), exchange.BadTarget},
		{"D4.12: NUL", line("GET /\x00 HTTP/1.1"), exchange.BadTarget},
		{"D4.12: a tab", line("GET /a\tb HTTP/1.1"), exchange.BadTarget},
		{"RFC 9112 §5: no colon", with("A"), exchange.BadFieldName},
		{"RFC 9112 §5: an empty name", with(": b"), exchange.BadFieldName},
		{"RFC 9112 §5: no token", with("A(: b"), exchange.BadFieldName},
		{"RFC 9112 §5: beyond ASCII", with("A\xe9: b"), exchange.BadFieldName},
		{"RFC 9112 §5.1: a space before the colon", with("Content-Length : 5"), exchange.BadFieldName},
		{"RFC 9112 §5.1: a tab before the colon", with("Transfer-Encoding\t: chunked"), exchange.BadFieldName},
		{"RFC 9112 §5.2: a folded line", with("A: b\r\n c"), exchange.Folded},
		{"RFC 9112 §5.2: folded by a tab", with("A:\r\n\tchunked"), exchange.Folded},
		{"RFC 9110 §5.5: NUL in a value", with("A: b\x00c"), exchange.ControlByte},
		{"RFC 9110 §5.5: a control byte in a value", with("A: \x0b"), exchange.ControlByte},
		{"RFC 9110 §5.5: DEL in a value", with("A: 1234567\x7f"), exchange.ControlByte},
		{"RFC 9112 §6.1: length and coding", post("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), exchange.LengthAndCoding},
		{"RFC 9112 §6.1: coding and length", post("Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n"), exchange.LengthAndCoding},
		{"RFC 9112 §6.1: coding and no length", post("Transfer-Encoding: chunked\r\nContent-Length: 0", "0\r\n\r\n"), exchange.LengthAndCoding},
		{"RFC 9112 §6.1: HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", exchange.BadCoding},
		{"RFC 9112 §6.1: twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: chunked twice", post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: not at the end", post("Transfer-Encoding: chunked, gzip", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: another at first", post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), exchange.UnknownCoding},
		{"RFC 9112 §6.1: another", post("Transfer-Encoding: identity", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: almost", post("Transfer-Encoding: xchunked", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: quoted", post("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: with a parameter", post("Transfer-Encoding: chunked;a=b", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: an empty element", post("Transfer-Encoding: ,chunked", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: an empty value", post("Transfer-Encoding:", "0\r\n\r\n"), exchange.BadCoding},
		{"RFC 9112 §6.1: a vertical tab", post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"), exchange.ControlByte},
		{"D4.11: two lengths", post("Content-Length: 0\r\nContent-Length: 5", "12345"), exchange.BadLength},
		{"D4.11: the same length twice", post("Content-Length: 0\r\nContent-Length: 0", ""), exchange.BadLength},
		{"RFC 9110 §8.6: a list", post("Content-Length: 0, 0", ""), exchange.BadLength},
		{"RFC 9110 §8.6: a sign", post("Content-Length: +5", "12345"), exchange.BadLength},
		{"RFC 9110 §8.6: negative", post("Content-Length: -5", "12345"), exchange.BadLength},
		{"RFC 9110 §8.6: hexadecimal", post("Content-Length: 0x5", "12345"), exchange.BadLength},
		{"RFC 9110 §8.6: empty", post("Content-Length:", "12345"), exchange.BadLength},
		{"RFC 9110 §8.6: a space inside", post("Content-Length: 1 2", "12345"), exchange.BadLength},
		{"RFC 9110 §8.6: overflow", post("Content-Length: 18446744073709551616", ""), exchange.BadLength},
		{"RFC 9110 §8.6: overflow of the sign", post("Content-Length: 9223372036854775808", ""), exchange.BadLength},
		{"D4.8: too long a body", post("Content-Length: 68719476737", ""), exchange.BodyTooLarge},
		{"RFC 9110 §10.1.1: unknown expectation", post("Expect: a-miracle\r\nContent-Length: 1", "1"), exchange.UnknownExpectation},
		{"D4.6: too long a URL", line("GET /" + long + " HTTP/1.1"), exchange.URLTooLong},
		{"D4.6: by its host", "GET /" + long[:8000] + " HTTP/1.1\r\nHost: " + long[:190] + "\r\n\r\n", exchange.URLTooLong},
		{"D4.6: a URL without end", "GET /" + long, exchange.URLTooLong},
		{"D4.6: too large a head", with("A: " + strings.Repeat("a", 33000)), exchange.HeadTooLarge},
		{"D4.6: a head without end", "GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 40000), exchange.HeadTooLarge},
		{"D4.6: too many fields", with("A: b" + strings.Repeat("\r\nA: b", 256)), exchange.HeadTooLarge},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", exchange.ControlByte},
		{"an incomplete head with a bare LF", "GET / HTTP/1.1\r\nA: b\nB", exchange.BadLineEnd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r recorder
			var refused refusals
			s := newServer(t, r.Serve, func(c *Config) { c.Refuser = &refused })
			out := play(s, tt.raw, next)
			if len(r.got) > 0 {
				t.Errorf("served %q", r.got)
			}
			if len(refused) != 1 || refused[0].Why != tt.want {
				t.Fatalf("got %+v, want %s", refused, tt.want)
			}
			line, rest, _ := strings.Cut(out, "\r\n")
			if want := string(appendStatus(nil, tt.want.Status())); line+"\r\n" != want || !strings.Contains(rest, "Connection: close\r\n") {
				t.Errorf("answer %q, want %q and the end", out, want)
			}
		})
	}
}

// refusals remembers what was refused.
type refusals []exchange.Refusal

func (r *refusals) Refuse(ctx context.Context, why *exchange.Refusal, to exchange.Sender) {
	known := *why
	known.Request.Own()
	*r = append(*r, known)
	exchange.Plain{}.Refuse(ctx, why, to)
}

// TestRefusalsTellWhatIsKnown: the second request on a connection, so that nothing of
// the first may be left.
func TestRefusalsTellWhatIsKnown(t *testing.T) {
	const before = "GET /before HTTP/1.1\r\nHost: before.test\r\n\r\n"
	long := strings.Repeat("a", 9000)
	for _, tt := range []struct{ name, raw, want, protocol string }{
		{"nothing", "\x16\x03\x01", "  ", "1.1"},
		{"a URL without end", "GET /" + long, "  ", "1.1"},
		{"no method", "G(T / HTTP/1.0\r\n\r\n", "  ", "1.1"},
		{"a bad target", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "GET  ", "1.1"},
		{"a bad version", "GET /a HTTP/2.0\r\nHost: h\r\n\r\n", "GET  /a", "1.1"},
		{"a bad field", "GET /a HTTP/1.0\r\nA : b\r\n\r\n", "GET  /a", "1.0"},
		{"no host", "GET /a HTTP/1.1\r\n\r\n", "GET  /a", "1.1"},
		{"a long URL", "GET /" + long + " HTTP/1.1\r\nHost: h\r\n\r\n", "GET h /" + long, "1.1"},
		{"an absolute target", "PUT http://h:80/a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 68719476737\r\n\r\n", "PUT h:80 /a?b", "1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var refused refusals
			s := newServer(t, answers(exchange.Answer{Status: 200}), func(c *Config) { c.Refuser = &refused })
			if out := play(s, before, tt.raw); !strings.HasPrefix(out, "HTTP/1.1 200 OK\r\n") || len(refused) != 1 {
				t.Fatalf("%q, refused %v", out, refused)
			}
			r := refused[0].Request
			if got := r.Method + " " + r.Host + " " + r.Target; got != tt.want || r.Scheme != "http" {
				t.Errorf("got %.60q, want %.60q", got, tt.want)
			}
			if got := fmt.Sprintf("%d.%d", r.Major, r.Minor); got != tt.protocol {
				t.Errorf("protocol %s, want %s", got, tt.protocol)
			}
		})
	}
}

func TestRefusedHeadHasNoBody(t *testing.T) {
	s := newServer(t, answers(exchange.Answer{Status: 200}))
	out := play(s, "HEAD /a HTTP/1.1\r\nHost: h\r\nContent-Length: 68719476737\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 413 ") || !strings.HasSuffix(out, "\r\n\r\n") {
		t.Errorf("%q", out)
	}
}

func TestLimitsAreExact(t *testing.T) {
	s := newServer(t, answers(exchange.Answer{Status: 200}))
	head := func(n int) string {
		const rest = "GET / HTTP/1.1\r\nHost: h\r\nA: \r\n"
		return rest[:len(rest)-2] + strings.Repeat("a", n-len(rest)) + "\r\n\r\n"
	}
	url := func(n int) string {
		return "GET /" + strings.Repeat("a", n-len("http://h/")) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	}
	for _, tt := range []struct{ name, raw, want string }{
		{"D4.5: the largest head", head(DefaultMaxHeaderBytes), "200"},
		{"D4.5: one byte more", head(DefaultMaxHeaderBytes + 1), "494"},
		{"D4.5: the longest URL", url(DefaultMaxURLBytes), "200"},
		{"D4.5: one byte more", url(DefaultMaxURLBytes + 1), "414"},
	} {
		for _, size := range []int{1 << 20, 1000, 7} {
			if got := statuses(play(s, portions(tt.raw, size)...)); got != tt.want {
				t.Errorf("%s in portions of %d: %s, want %s", tt.name, size, got, tt.want)
			}
		}
	}
}

func portions(s string, size int) (out []string) {
	for len(s) > size {
		out = append(out, s[:size])
		s = s[size:]
	}
	return append(out, s)
}
