// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// stream is several requests, good and, at the end, perhaps not.
func stream(t *rapid.T) string {
	var b strings.Builder
	body := rapid.StringMatching(`[a-z\r\n0:;]{0,40}`)
	for i := range rapid.IntRange(1, 5).Draw(t, "requests") {
		fmt.Fprintf(&b, "%sPOST /%d HTTP/1.%d\r\nHost: h\r\nX: %s\r\n",
			rapid.SampledFrom([]string{"", "\r\n"}).Draw(t, "empty"), i, rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "minor"),
			rapid.StringMatching(`[ -~]{0,50}`).Draw(t, "value"))
		content := body.Draw(t, "body")
		if rapid.Bool().Draw(t, "chunked") {
			b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
			for len(content) > 0 {
				n := rapid.IntRange(1, len(content)).Draw(t, "chunk")
				fmt.Fprintf(&b, "%x%s\r\n%s\r\n", n, rapid.SampledFrom([]string{"", ";a=b", " ;c"}).Draw(t, "extension"), content[:n])
				content = content[n:]
			}
			b.WriteString("0\r\n" + rapid.SampledFrom([]string{"", "T: r\r\n", "T: r\r\nU:\r\n"}).Draw(t, "trailer") + "\r\n")
			continue
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(content), content)
	}
	b.WriteString(rapid.SampledFrom([]string{"", "GET /\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n", "\x00", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"}).Draw(t, "end"))
	return b.String()
}

// The same bytes are the same requests, however they come.
func TestSplitsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := stream(rt)
		var whole, split recorder
		outWhole := play(newServer(t, whole.Serve), in)
		var parts []string
		for rest := in; rest != ""; {
			n := rapid.IntRange(1, min(len(rest), 60)).Draw(rt, "portion")
			parts = append(parts, rest[:n])
			rest = rest[n:]
		}
		outSplit := play(newServer(t, split.Serve), parts...)
		if diff := cmp.Diff(whole.got, split.got); diff != "" {
			rt.Errorf("%q: (-whole +split):\n%s", in, diff)
		}
		if outWhole != outSplit {
			rt.Errorf("%q: whole %q, split %q", in, outWhole, outSplit)
		}
	})
}

// FuzzAgainstNetHTTP: what this parser and net/http's both take is the same to both.
func FuzzAgainstNetHTTP(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST http://a/b?c HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\nabcGET",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n0\r\nT: x\r\n\r\nnext",
		"OPTIONS * HTTP/1.1\r\nhost:[::1]\r\nA:\tb \r\n\r\n",
		"CONNECT h:1 HTTP/1.0\r\n\r\n",
		"\r\nGET /%zz?#x HTTP/1.1\r\nHost: h\r\nConnection: close, upgrade\r\nUpgrade: w\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	lim := limits{head: DefaultMaxHeaderBytes, url: DefaultMaxURLBytes, fields: DefaultMaxFields, body: DefaultMaxBodyBytes, scheme: "http"}
	f.Fuzz(func(t *testing.T, in []byte) {
		skip, why := leading(in)
		if why != 0 {
			return
		}
		end := headEnd(in[skip:], 0)
		_ = flaw(in[skip:], 0, lim)
		if end == 0 {
			return
		}
		head := bytes.Clone(in[skip : skip+end])
		var m message
		if parse(head, lim, &m) != 0 {
			return
		}
		if !bytes.Equal(head, in[skip:skip+end]) {
			t.Fatal("the parser writes to its input")
		}
		r := bufio.NewReader(bytes.NewReader(in[skip:]))
		req, err := http.ReadRequest(r)
		if err != nil {
			return // stricter in its own way
		}
		compare(t, &m, req)
		rest := in[skip+end:]
		body, left, err := content(&m, rest)
		theirs, theirErr := io.ReadAll(req.Body)
		if err != nil {
			return // incomplete, or stricter
		}
		if theirErr != nil {
			if m.length == chunkedLength {
				return // its bound on extensions
			}
			t.Fatalf("net/http fails on a body that is whole: %v", theirErr)
		}
		if !bytes.Equal(body, theirs) {
			t.Errorf("body %q, net/http %q", body, theirs)
		}
		if after, _ := io.ReadAll(r); !bytes.Equal(left, after) && !bytes.HasPrefix(after, left) {
			t.Errorf("next request begins with %q, net/http's with %q", left, after)
		}
	})
}

// content reads the body of m off b.
func content(m *message, b []byte) (body, rest []byte, err error) {
	if m.length >= 0 {
		if m.length > int64(len(b)) {
			return nil, nil, io.ErrUnexpectedEOF
		}
		return b[:m.length], b[m.length:], nil
	}
	var d chunked
	body = make([]byte, len(b))
	n, used, err := d.decode(body, b)
	if err == nil && !d.done() {
		err = io.ErrUnexpectedEOF
	}
	return body[:n], b[used:], err
}

func compare(t *testing.T, m *message, req *http.Request) {
	t.Helper()
	// Of an absolute form net/http keeps the target as it was.
	if m.Method != req.Method || m.Target != req.RequestURI && !strings.Contains(req.RequestURI, "://") {
		t.Errorf("%s %q, net/http %s %q", m.Method, m.Target, req.Method, req.RequestURI)
	}
	if m.Method != "CONNECT" && m.Host != req.Host {
		t.Errorf("host %q, net/http %q", m.Host, req.Host)
	}
	if m.length != req.ContentLength {
		t.Errorf("length %d, net/http %d", m.length, req.ContentLength)
	}
	if m.Minor != min(req.ProtoMinor, 1) {
		t.Errorf("minor version %d, net/http %d", m.Minor, req.ProtoMinor)
	}
	got := http.Header{}
	for _, f := range m.Header {
		if !strings.EqualFold(f.Name, "Transfer-Encoding") && !strings.EqualFold(f.Name, "Content-Length") {
			got.Add(f.Name, f.Value)
		}
	}
	want := req.Header.Clone()
	want.Del("Content-Length")
	delete(got, "Trailer") // net/http takes it away from chunked requests
	delete(want, "Trailer")
	delete(got, "Pragma") // net/http may add Cache-Control to it
	delete(want, "Pragma")
	if _, ok := got["Cache-Control"]; !ok {
		delete(want, "Cache-Control")
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("header (-got +net/http):\n%s", diff)
	}
	if m.persists == req.Close && m.Method != "CONNECT" && m.Minor > 0 && !slices.Contains(req.Header["Connection"], "keep-alive") {
		t.Errorf("persists %v, net/http closes %v", m.persists, req.Close)
	}
}

// FuzzChunked: any split decodes alike; nothing is invented.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\nx", "00a;b=\"c\"\r\n0123456789\r\n0\r\nA: b\r\n\r\n", "3\nabc", "-1\r\n", "ffffffffffffffff\r\n"} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		size := int(step)%7 + 1
		var whole, split chunked
		a := make([]byte, len(in))
		n, used, err := whole.decode(a, in)
		var b []byte
		at := 0
		var splitErr error
		buf := make([]byte, size)
		for at < len(in) && !split.done() && splitErr == nil {
			var put, took int
			put, took, splitErr = split.decode(buf, in[at:min(at+size, len(in))])
			b, at = append(b, buf[:put]...), at+took
		}
		if !bytes.Equal(a[:n], b) || used != at || !errors.Is(splitErr, err) || whole.done() != split.done() {
			t.Errorf("whole %q %d %v, split %q %d %v", a[:n], used, err, b, at, splitErr)
		}
	})
}

func TestBadChunks(t *testing.T) {
	for _, tt := range []struct{ name, body string }{
		{"RFC 9112 §7.1: no size", "\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: a sign", "+3\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: a prefix", "0x3\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: an underscore", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: a space before", " 3\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: a space after", "3 \r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: bare LF after the size", "3\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: bare CR after the size", "3\rabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: bare LF after the data", "3\r\nabc\n0\r\n\r\n"},
		{"RFC 9112 §7.1: data longer than the size", "3\r\nabcd\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: data shorter than the size", "4\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: overflow", "10000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: overflow of the sign", "8000000000000000\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1: a size without end", strings.Repeat("0", 17) + "\r\n\r\n"},
		{"RFC 9112 §7.1.1: LF in an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1.1: CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1.1: NUL in an extension", "3;\x00\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1.1: a long extension", "3;" + strings.Repeat("a", 256) + "\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 §7.1.1: many extensions", strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\nx\r\n", 90) + "0\r\n\r\n"},
		{"RFC 9112 §7.1.2: a trailer without colon", "0\r\nA\r\n\r\n"},
		{"RFC 9112 §7.1.2: a folded trailer", "0\r\nA: b\r\n c\r\n\r\n"},
		{"RFC 9112 §7.1.2: white space before the colon", "0\r\nA : b\r\n\r\n"},
		{"RFC 9112 §7.1.2: a control byte in a trailer", "0\r\nA: \x01\r\n\r\n"},
		{"RFC 9112 §7.1.2: bare LF after a trailer", "0\r\nA: b\n\r\n"},
		{"RFC 9110 §6.5.1: a host behind a body", "0\r\nX: GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"RFC 9110 §6.5.1: a length behind a body", "0\r\ncontent-length: 5\r\n\r\n"},
		{"RFC 9110 §6.5.1: a coding behind a body", "0\r\nA: b\r\nTRANSFER-Encoding: chunked\r\n\r\n"},
		{"RFC 9112 §7.1.2: too large a trailer", "0\r\nA: " + strings.Repeat("b", maxTrailers) + "\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const head, next = "POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
			var r recorder
			out := play(newServer(t, r.Serve), head+tt.body+next)
			if len(r.got) != 1 || !strings.Contains(r.got[0], "at fault") || !strings.Contains(out, "Connection: close\r\n") {
				t.Errorf("served %q, answered %q", r.got, out)
			}
			// Nobody reads it: the same holds.
			n := 0
			s := newServer(t, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
				n++
				_, _ = to.Send(ctx, &exchange.Answer{Status: 200})
			})
			play(s, head+tt.body+next)
			if n != 1 {
				t.Errorf("%d requests are served", n)
			}
		})
	}
}
