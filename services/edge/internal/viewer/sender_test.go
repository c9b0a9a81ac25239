// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// pieces is a stream of given pieces and an end.
type pieces struct {
	pieces [][]byte
	end    error
}

func (p *pieces) Next(context.Context) (exchange.Piece, error) {
	if len(p.pieces) == 0 {
		return exchange.Piece{}, p.end
	}
	next := p.pieces[0]
	p.pieces = p.pieces[1:]
	return exchange.Piece{Bytes: next}, nil
}

func (p *pieces) Close() {}

func TestAnswers(t *testing.T) {
	body := exchange.Bytes([]byte("hello world"))
	stream := func(size int64) exchange.Body {
		return exchange.Body{Stream: &pieces{pieces: [][]byte{[]byte("hello "), []byte("world")}, end: io.EOF}, Size: size}
	}
	for _, tt := range []struct {
		name, request string
		answer        exchange.Answer
		want          string
	}{
		{
			"nothing is added", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 200, Body: body},
			"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
		},
		{
			"D22.8: names as they are, all lines", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 404, Header: fields("date", "D", "X-cAsE", "1", "X-cAsE", "2", "content-type", "t"), Body: body},
			"HTTP/1.1 404 Not Found\r\nContent-Length: 11\r\nContent-Type: t\r\nDate: D\r\nX-cAsE: 1\r\nX-cAsE: 2\r\n\r\nhello world",
		},
		{
			"D22.11: HEAD keeps the length and has no body", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 200, Header: fields("Content-Length", "77")},
			"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n",
		},
		{
			"D22.11: HEAD, the length of the body", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 200, Body: body},
			"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
		},
		{
			"D22.10: 304 has neither length nor body", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 304, Header: fields("ETag", `"x"`, "Content-Length", "5")},
			"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
		},
		{
			"D22.10: 204", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", exchange.Answer{Status: 204, Body: body},
			"HTTP/1.1 204 No Content\r\n\r\n",
		},
		{
			"an empty body", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", exchange.Answer{Status: 200},
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		},
		{
			"a stream of known length", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", exchange.Answer{Status: 200, Body: stream(11)},
			"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
		},
		{
			"D17.3: a stream of unknown length", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 200, Header: fields("Transfer-Encoding", "gzip", "Content-Length", "3"), Body: stream(-1)},
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
		},
		{
			"D17.3: HTTP/1.0 ends with the connection", "GET / HTTP/1.0\r\n\r\n", exchange.Answer{Status: 200, Body: stream(-1)},
			"HTTP/1.0 200 OK\r\n\r\nhello world",
		},
		{
			"the pipeline closes", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 414, Header: fields("Connection", "keep-alive"), Body: body, Close: true},
			"HTTP/1.1 414 Request URI Too Long\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhello world",
		},
		{
			"D4.6: 494 has its phrase, and the connection ends", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 494, Header: fields("Server", "S", "Content-Length", "1"), Body: body, Close: true},
			"HTTP/1.1 494 Request header too large\r\nServer: S\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world",
		},
		{
			"a body that nobody reads ends the connection", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n",
			exchange.Answer{Status: 403, Body: body},
			"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhello world",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, answer(tt.answer))
			c, r := dial(t, s.http)
			if _, err := io.WriteString(c, tt.request); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(tt.want))
			if n, err := io.ReadFull(r, got); err != nil {
				t.Fatalf("%v after %q", err, got[:n])
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			s.stop()
			if rest, _ := io.ReadAll(r); len(rest) > 0 {
				t.Errorf("more follows: %q", rest)
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	s := serve(t, answer(exchange.Answer{Status: 200, Body: exchange.Bytes([]byte("x"))}))
	c, r := dial(t, s.http)
	for range 3 {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("D22.9: %v", err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "x" || err != nil {
			t.Errorf("body %q, %v", b, err)
		}
	}
}

// net/http forgets Transfer-Encoding on HTTP/1.0, so what it takes for the next request
// may be the body of this one.
func TestNothingFollowsOnHTTP10(t *testing.T) {
	served := make(chan string, 2)
	s := serve(t, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		served <- req.Target
		_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Bytes([]byte("x"))})
	})
	c, r := dial(t, s.http)
	const body = "GET /smuggled HTTP/1.0\r\n\r\n"
	if _, err := io.WriteString(c, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || strings.Count(string(got), "HTTP/1.0 200 OK") != 1 {
		t.Errorf("RFC 9112 6.1: %q, %v; want one answer and the end", got, err)
	}
	close(served)
	for target := range served {
		if target != "/1" {
			t.Errorf("RFC 9112 6.1: %q is served", target)
		}
	}
}

// gate is a stream that gives its bytes one at a time, each when it is told to.
type gate struct {
	bytes chan byte
}

func (g *gate) Next(ctx context.Context) (exchange.Piece, error) {
	select {
	case b, ok := <-g.bytes:
		if !ok {
			return exchange.Piece{}, io.EOF
		}
		return exchange.Piece{Bytes: []byte{b}}, nil
	case <-ctx.Done():
		return exchange.Piece{}, ctx.Err()
	}
}

func (g *gate) Close() {}

func TestEachByteIsSentAtOnce(t *testing.T) {
	for _, proto := range []string{"http", "https"} {
		for _, size := range []int64{3, -1} {
			t.Run(fmt.Sprint(proto, " size ", size), func(t *testing.T) {
				g := &gate{bytes: make(chan byte)}
				s := serve(t, answer(exchange.Answer{Status: 200, Body: exchange.Body{Stream: g, Size: size}}))
				res, err := s.client(t).Get(proto + "://x.cdn.test/") // the head comes before any byte
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if want := map[string]int{"http": 1, "https": 2}[proto]; res.ProtoMajor != want {
					t.Errorf("D1.1: protocol %s", res.Proto)
				}
				for _, b := range []byte("abc") {
					g.bytes <- b
					var got [1]byte
					if _, err := io.ReadFull(res.Body, got[:]); err != nil || got[0] != b {
						t.Fatalf("design 3.9: got %q, %v before the next byte exists, want %q", got, err, b)
					}
				}
				close(g.bytes)
				if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
					t.Errorf("end: %q, %v", rest, err)
				}
			})
		}
	}
}

var errOrigin = errors.New("origin broke off")

func TestBrokenAnswersAreSeenAsBroken(t *testing.T) {
	for name, body := range map[string]func() exchange.Body{
		"known length": func() exchange.Body {
			return exchange.Body{Stream: &pieces{[][]byte{[]byte("abc")}, errOrigin}, Size: 10}
		},
		"unknown length": func() exchange.Body {
			return exchange.Body{Stream: &pieces{[][]byte{[]byte("abc")}, errOrigin}, Size: -1}
		},
		"stream too short": func() exchange.Body {
			return exchange.Body{Stream: &pieces{[][]byte{[]byte("abc")}, io.EOF}, Size: 10}
		},
		"stream too long": func() exchange.Body {
			return exchange.Body{Stream: &pieces{[][]byte{[]byte("abc"), []byte("def")}, io.EOF}, Size: 4}
		},
		"no byte": func() exchange.Body { return exchange.Body{Stream: &pieces{nil, errOrigin}, Size: -1} },
	} {
		errs := make(chan error, 10)
		s := serve(t, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
			_, err := to.Send(ctx, &exchange.Answer{Status: 200, Body: body()})
			errs <- err
		})
		for _, url := range []string{"http://x.cdn.test/", "https://x.cdn.test/"} {
			t.Run("D17.12: "+name+" "+url, func(t *testing.T) {
				res, err := s.client(t).Get(url)
				if err == nil {
					defer res.Body.Close()
					var got []byte
					got, err = io.ReadAll(res.Body)
					if name == "stream too long" && string(got) == "abcd" {
						err = io.ErrUnexpectedEOF // the viewer has what was announced
					}
				}
				if err == nil {
					t.Error("the viewer takes the answer for whole")
				}
				if <-errs == nil {
					t.Error("Send takes the answer for whole")
				}
			})
		}
		t.Run("D17.12: "+name+" HTTP/1.0", func(t *testing.T) {
			c, r := dial(t, s.http)
			if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err == nil && !strings.Contains(string(got), "Content-Length: ") { // who knows the length can tell
				t.Errorf("the connection ends in order after %q", got)
			}
			<-errs
		})
	}
}

func TestUnansweredRequestIsCut(t *testing.T) {
	s := serve(t, func(context.Context, *exchange.Request, exchange.Sender) {})
	if res, err := s.client(t).Get("http://x.cdn.test/"); err == nil {
		_ = res.Body.Close()
		t.Errorf("a request without an answer gets %s", res.Status)
	}
}

func TestStoppedReaderIsCut(t *testing.T) {
	for _, proto := range []string{"http", "https"} {
		t.Run(proto, func(t *testing.T) {
			errs := make(chan error, 1)
			endless := exchange.Chunks(slices.Repeat([][]byte{make([]byte, 1<<20)}, 256), 256<<20)
			s := serve(t, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
				_, err := to.Send(ctx, &exchange.Answer{Status: 200, Body: endless})
				errs <- err
			}, func(c *Config) { c.StallTimeout = 200 * time.Millisecond })
			res, err := s.client(t).Get(proto + "://x.cdn.test/")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if err := <-errs; err == nil {
				t.Error("all bytes went to a viewer that reads nothing")
			}
			if _, err := io.Copy(io.Discard, res.Body); err == nil {
				t.Error("the viewer takes the answer for whole")
			}
		})
	}
}
