// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// sending is a request with a body; length -1 is unknown.
func sending(o *snapshot.Origin, method string, body io.Reader, length int64) *Request {
	r := get(o)
	r.Method, r.Body, r.Length = method, body, length
	return r
}

// TestBodySent: an independent reader sees the method, the framing and the bytes, and
// the connection goes on.
func TestBodySent(t *testing.T) {
	long := strings.Repeat("0123456789", 20000)
	for _, tt := range []struct {
		name, method, body string
		length             int64
	}{
		{"D4.9: known length", "POST", "hello", 5},
		{"D4.9: unknown length", "PUT", "hello", -1},
		{"D4.9: long, known length", "PATCH", long, int64(len(long))},
		{"D4.9: long, unknown length", "DELETE", long, -1},
		{"unknown length, nothing comes", "POST", "", -1},
		{"a GET with a body, where the policy lets it pass", "GET", "hello", 5},
		{"any token", "M-SEARCH", "hello", 5},
		{"more than announced is not sent", "POST", "hello!", 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.body
			if tt.length >= 0 {
				want = tt.body[:tt.length]
			}
			type seen struct {
				req  *http.Request
				body string
			}
			asked := make(chan seen, 2)
			o := serve(t, func(p *peer) {
				for {
					req, err := http.ReadRequest(p.in)
					if err != nil {
						return
					}
					b, err := io.ReadAll(req.Body)
					if err != nil {
						t.Errorf("body at the origin: %v", err)
					}
					asked <- seen{req, string(b)}
					p.reply(hello)
				}
			})
			c := newTestClient(t, Config{})
			r := sending(o, tt.method, strings.NewReader(tt.body), tt.length)
			r.Header = fieldsOf("Expect: 100-continue", "Content-Length: 99", "Transfer-Encoding: gzip", "Trailer: X", "X-A: b")
			if _, body := mustFetch(t, c, r); body != "hello" {
				t.Errorf("answer %q", body)
			}
			got := <-asked
			if got.req.Method != tt.method || got.body != want || got.req.ContentLength != tt.length {
				t.Errorf("%s with %d bytes, announced %d", got.req.Method, len(got.body), got.req.ContentLength)
			}
			if h := got.req.Header; h.Get("Expect") != "" || h.Get("X-A") != "b" || got.req.Trailer != nil {
				t.Errorf("D4.10, D24.10: header %v, trailer %v", h, got.req.Trailer)
			}
			if res, _ := mustFetch(t, c, get(o)); !res.Reused {
				t.Error("the connection is not kept")
			}
		})
	}
}

func TestNoBodySent(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		body         io.Reader
		want         string
	}{
		{"RFC 9110 §8.6: POST announces that there is none", "POST", nil, "Content-Length: 0\r\n"},
		{"PUT", "PUT", nil, "Content-Length: 0\r\n"},
		{"a body of length 0 is none", "PATCH", strings.NewReader("x"), "Content-Length: 0\r\n"},
		{"DELETE announces nothing", "DELETE", nil, ""},
		{"OPTIONS announces nothing", "OPTIONS", nil, ""},
		{"nor does an unknown method", "PURGE", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := sending(&snapshot.Origin{Host: "o.test", HTTPPort: 80}, tt.method, tt.body, 0)
			got, err := r.appendHead(nil)
			want := tt.method + " /a HTTP/1.1\r\nHost: o.test\r\nConnection: Keep-Alive\r\n" + tt.want + "\r\n"
			if err != nil || string(got) != want {
				t.Errorf("%v, %q", err, got)
			}
		})
	}
}

// TestUploadStreams: the origin gets bytes while the viewer still holds back others,
// and may answer in pieces meanwhile (D4.9).
func TestUploadStreams(t *testing.T) {
	for _, length := range []int64{10, -1} {
		t.Run(fmt.Sprint("D4.9: length ", length), func(t *testing.T) {
			o := serve(t, func(p *peer) {
				req, err := http.ReadRequest(p.in)
				if err != nil {
					return
				}
				p.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
				_, _ = io.Copy(p, req.Body)
			})
			c := newTestClient(t, Config{})
			pr, pw := io.Pipe()
			res, err := c.Fetch(t.Context(), sending(o, "POST", pr, length))
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 5)
			for _, part := range []string{"first", "other"} {
				if _, err := io.WriteString(pw, part); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != part {
					t.Fatalf("got %q, %v, want %q", b, err, part)
				}
			}
			_ = pw.Close()
			if n, err := res.Body.Read(b); n != 0 || err != io.EOF {
				t.Errorf("got %d bytes, %v", n, err)
			}
			_ = res.Body.Close()
		})
	}
}

// TestEarlyAnswer: an origin that answers with an error before it has the body gets no
// more of it; the answer is delivered and the connection ends.
func TestEarlyAnswer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after func(*peer)
	}{
		{"RFC 9112 §9.5: it reads on", (*peer).hang},
		{"RFC 9112 §9.5: it closes", func(*peer) {}},
		{"RFC 9112 §9.5: it closes its side", func(p *peer) { _ = p.Conn.(*net.TCPConn).CloseWrite(); p.hang() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := serve(t, func(p *peer) {
				p.request()
				p.reply("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
				tt.after(p)
			})
			c := newTestClient(t, Config{})
			pr, pw := io.Pipe() // nothing is ever written
			defer func() { _ = pw.Close() }()
			res, body := mustFetch(t, c, sending(o, "POST", pr, -1))
			if res.Status != 413 || body != "big" {
				t.Errorf("%d %q", res.Status, body)
			}
			if got := c.Stats(); got != (Stats{}) {
				t.Errorf("stats = %+v", got)
			}
			if _, err := pw.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("the body is not closed: %v", err)
			}
		})
	}
}

// TestAnswerBehindABrokenWrite: an origin that answers and closes without reading what
// is sent has answered.
func TestAnswerBehindABrokenWrite(t *testing.T) {
	bubble(t, Config{}, func(p *peer) {
		p.request()
		p.reply("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
		<-time.After(time.Hour) // takes nothing
	}, func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
		res, _ := mustFetch(t, c, sending(o, "POST", strings.NewReader("hello"), 5))
		if res.Status != 401 || c.Stats() != (Stats{}) {
			t.Errorf("%d, %+v", res.Status, c.Stats())
		}
	})
}

// brokenBody gives some bytes, then an error.
type brokenBody struct {
	first io.Reader
	err   error
}

func (b *brokenBody) Read(p []byte) (int, error) {
	n, err := b.first.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

// TestBodyBreaksOff: the origin sees an incomplete request, never a whole one.
func TestBodyBreaksOff(t *testing.T) {
	gone := errors.New("viewer is gone")
	for _, tt := range []struct {
		name   string
		body   io.Reader
		length int64
	}{
		{"the viewer leaves, length known", &brokenBody{strings.NewReader("he"), gone}, 5},
		{"the viewer leaves, length unknown", &brokenBody{strings.NewReader("he"), gone}, -1},
		{"at once", &brokenBody{strings.NewReader(""), gone}, -1},
		{"shorter than announced", strings.NewReader("he"), 5},
		{"a panic", readerFunc(func([]byte) (int, error) { panic("broken") }), 5},
		{"nothing, for ever", readerFunc(func([]byte) (int, error) { return 0, nil }), 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			incomplete := make(chan error, 1)
			o := serve(t, func(p *peer) {
				req, err := http.ReadRequest(p.in)
				if err != nil {
					return
				}
				_, err = io.Copy(io.Discard, req.Body)
				incomplete <- err
			})
			c := newTestClient(t, Config{})
			_, err := c.Fetch(t.Context(), sending(o, "POST", tt.body, tt.length))
			if e := wantKind(t, err, Upload); e.Attempts != 1 || e.Status() != 400 {
				t.Errorf("%+v", e)
			}
			if err := <-incomplete; err == nil {
				t.Error("the origin took it for whole")
			}
			if got := c.Stats(); got != (Stats{}) {
				t.Errorf("stats = %+v", got)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestBodyBreaksOffDuringTheAnswer: an answer whose request broke off is not whole.
func TestBodyBreaksOffDuringTheAnswer(t *testing.T) {
	o := serve(t, func(p *peer) {
		p.request()
		p.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		p.hang()
	})
	pr, pw := io.Pipe()
	res, err := newTestClient(t, Config{}).Fetch(t.Context(), sending(o, "POST", pr, -1))
	if err != nil {
		t.Fatal(err)
	}
	_ = pw.CloseWithError(errors.New("viewer is gone"))
	_, err = io.ReadAll(res.Body)
	wantKind(t, err, Upload)
	_ = res.Body.Close()
}

// TestUploadRoundTrip: any body, read in any pieces, arrives as it is.
func TestUploadRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 70000)).Draw(rt, "parts")
		body := bytes.Join(parts, nil)
		length := int64(-1)
		if rapid.Bool().Draw(rt, "known") && len(body) > 0 {
			length = int64(len(body))
		}
		synctest.Test(t, func(t *testing.T) {
			p := &pipes{script: func(p *peer) {
				req, err := http.ReadRequest(p.in)
				if err != nil {
					return
				}
				b, err := io.ReadAll(req.Body)
				if err != nil || !bytes.Equal(b, body) {
					t.Errorf("%d bytes of %d, %v", len(b), len(body), err)
				}
				p.reply(hello)
			}}
			c := NewClient(Config{Dial: p.dial})
			mustFetch(t, c, sending(originAt(80), "POST", &inParts{parts: parts}, length))
			c.Close()
			p.wg.Wait()
		})
	})
}

// inParts reads like a connection on which parts arrive.
type inParts struct{ parts [][]byte }

func (r *inParts) Read(p []byte) (int, error) {
	if len(r.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.parts[0])
	if r.parts[0] = r.parts[0][n:]; len(r.parts[0]) == 0 {
		r.parts = r.parts[1:]
	}
	return n, nil
}

// TestInterimComesFirst: interim answers are told before Fetch returns, also while the
// body is on its way.
func TestInterimComesFirst(t *testing.T) {
	o := serve(t, func(p *peer) {
		p.request()
		p.reply("HTTP/1.1 102 Processing\r\n\r\n")
		_, _ = io.ReadFull(p.in, make([]byte, 5))
		p.reply(hello)
	})
	pr, pw := io.Pipe()
	r := sending(o, "POST", pr, 5)
	var got []int
	r.Interim = func(status int, _ header.Fields) {
		got = append(got, status)
		go func() { _, _ = io.WriteString(pw, "hello") }()
	}
	res, body := mustFetch(t, newTestClient(t, Config{}), r)
	if res.Status != 200 || body != "hello" || len(got) != 1 || got[0] != 102 {
		t.Errorf("%d %q after %v", res.Status, body, got)
	}
}

// TestUploadOverTLS: bodies go out while the answer comes in, over TLS as well, and the
// connection goes on.
func TestUploadOverTLS(t *testing.T) {
	o, pool := secure(t, "localhost", &tls.Config{}, func(p *peer) {
		for {
			req, err := http.ReadRequest(p.in)
			if err != nil {
				return
			}
			p.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			w := httputil.NewChunkedWriter(p)
			if _, err := io.Copy(w, req.Body); err != nil {
				return
			}
			_ = w.Close()
			p.reply("\r\n")
		}
	})
	o.RootCAs = pool
	c := newTestClient(t, Config{})
	long := strings.Repeat("0123456789", 100000)
	for i, length := range []int64{-1, int64(len(long)), -1} {
		res, body := mustFetch(t, c, sending(o, "POST", strings.NewReader(long), length))
		if body != long || res.Reused != (i > 0) {
			t.Errorf("%d bytes came back, reused %v", len(body), res.Reused)
		}
	}
}
