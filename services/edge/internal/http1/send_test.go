// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// pieces is a stream of given pieces and an end.
type pieces struct {
	pieces []exchange.Piece
	end    error
	closed atomic.Bool
}

func (p *pieces) Next(context.Context) (exchange.Piece, error) {
	if len(p.pieces) == 0 {
		return exchange.Piece{}, p.end
	}
	next := p.pieces[0]
	p.pieces = p.pieces[1:]
	return next, nil
}

func (p *pieces) Close() { p.closed.Store(true) }

func texts(size int64, end error, s ...string) exchange.Body {
	p := &pieces{end: end}
	for _, x := range s {
		p.pieces = append(p.pieces, exchange.Piece{Bytes: []byte(x)})
	}
	return exchange.Body{Stream: p, Size: size}
}

func TestAnswers(t *testing.T) {
	const get, get10 = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"
	body := exchange.Bytes([]byte("hello world"))
	stream := func(size int64) exchange.Body { return texts(size, io.EOF, "hello ", "world") }
	for _, tt := range []struct {
		name, request string
		answer        exchange.Answer
		want          string
	}{
		{"nothing is added", get, exchange.Answer{Status: 200, Body: body}, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"},
		{"D22.8: names as they are, lines first", get,
			exchange.Answer{Status: 404, Lines: []byte("ETag: \"x\"\r\nCache-Control: no-store\r\n"), Header: fields("date", "D", "X-cAsE", "1", "X-cAsE", "2"), Body: body},
			"HTTP/1.1 404 Not Found\r\nETag: \"x\"\r\nCache-Control: no-store\r\ndate: D\r\nX-cAsE: 1\r\nX-cAsE: 2\r\nContent-Length: 11\r\n\r\nhello world"},
		{"RFC 9112 §6.1: framing is the connection's", get,
			exchange.Answer{
				Status: 200, Body: body, Lines: []byte("A: 1\r\ncontent-length: 5\r\nTransfer-Encoding: gzip\r\nKeep-Alive: x\r\nB: 2\r\nUpgrade: w\r\nTrailer: T\r\n"),
				Header: fields("Connection", "close", "Content-Length", "7", "TRANSFER-ENCODING", "chunked", "Upgrade", "w"),
			},
			"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nContent-Length: 11\r\n\r\nhello world"},
		{"D22.11: HEAD keeps the length and has no body", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 200, Lines: []byte("Content-Length: 77\r\n")}, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n"},
		{"D22.11: HEAD, a length of its own", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 200, Header: fields("content-length", "78")}, "HTTP/1.1 200 OK\r\nContent-Length: 78\r\n\r\n"},
		{"D22.11: HEAD, the length of the body", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 200, Body: body}, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"},
		{"D22.11: HEAD, no length", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			exchange.Answer{Status: 200, Body: stream(-1)}, "HTTP/1.1 200 OK\r\n\r\n"},
		{"D22.10: 304 has neither length nor body", get,
			exchange.Answer{Status: 304, Header: fields("ETag", `"x"`, "Content-Length", "5"), Body: stream(11)}, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"},
		{"D22.10: 204", get, exchange.Answer{Status: 204, Body: body}, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"an empty body", get, exchange.Answer{Status: 200}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"RFC 9112 §4: a status that nobody knows", get, exchange.Answer{Status: 999}, "HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n"},
		{"a stream of known length", get, exchange.Answer{Status: 200, Body: stream(11)}, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"},
		{"a stream that is all there", get, exchange.Answer{Status: 200, Body: exchange.Chunks([][]byte{[]byte("hello "), []byte("world")}, 11)},
			"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"},
		{"an empty stream", get, exchange.Answer{Status: 200, Body: texts(0, io.EOF)}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"D17.3: a stream of unknown length", get,
			exchange.Answer{Status: 200, Header: fields("Transfer-Encoding", "gzip", "Content-Length", "3"), Body: stream(-1)},
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"},
		{"D17.3: nothing of unknown length", get, exchange.Answer{Status: 200, Body: texts(-1, io.EOF)},
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"RFC 9112 §6.3: HTTP/1.0 ends with the connection", get10, exchange.Answer{Status: 200, Body: stream(-1)},
			"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world"},
		{"RFC 9112 §9.3: HTTP/1.0 ends", get10, exchange.Answer{Status: 204}, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"},
		{"RFC 9112 §9.3: HTTP/1.0 goes on when it asks to", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", exchange.Answer{Status: 204},
			"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"},
		{"RFC 9112 §9.6: the viewer closes", "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n", exchange.Answer{Status: 204},
			"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"},
		{"the pipeline closes", get, exchange.Answer{Status: 414, Header: fields("Connection", "keep-alive"), Body: body, Close: true},
			"HTTP/1.1 414 Request URI Too Long\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world"},
		{"D4.6: 494 has its phrase", get, exchange.Answer{Status: 494, Body: body}, "HTTP/1.1 494 Request header too large\r\nContent-Length: 11\r\n\r\nhello world"},
		{"RFC 9110 §7.8: 426 says to what", get, exchange.Answer{Status: 426, Header: fields("Upgrade", "w")},
			"HTTP/1.1 426 Upgrade Required\r\nUpgrade: w\r\nContent-Length: 0\r\nConnection: Upgrade\r\n\r\n"},
		{"RFC 9110 §9.3.6: nothing follows CONNECT", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", exchange.Answer{Status: 403},
			"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				a := fresh(tt.answer)
				c, r := listen(t, secure, answers(a)).dial(t)
				say(t, c, tt.request)
				got := make([]byte, len(tt.want))
				n, err := io.ReadFull(r, got)
				if err != nil {
					t.Fatalf("%v after %q", err, got[:n])
				}
				if diff := cmp.Diff(tt.want, string(got)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
					t.Errorf("then %q, %v", rest, err)
				}
			}
		})
	}
}

// fresh is an answer whose stream nobody has read.
func fresh(a exchange.Answer) exchange.Answer {
	switch p := a.Body.Stream.(type) {
	case *pieces:
		a.Body.Stream = &pieces{pieces: slices.Clone(p.pieces), end: p.end}
	case *exchange.Pieces:
		c := slices.Clone(*p)
		a.Body.Stream = &c
	}
	return a
}

// Every body arrives, whatever its size and form, and the next answer behind it.
func TestBodiesOfAllSizes(t *testing.T) {
	const most = 1<<20 + 11
	whole := make([]byte, most)
	for i := range whole {
		whole[i] = byte(i * 7 / 3)
	}
	name := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(name, append([]byte("before"), whole...), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	forms := map[string]func(n int) exchange.Body{
		"bytes": func(n int) exchange.Body { return exchange.Bytes(whole[:n]) },
		"pieces": func(n int) exchange.Body {
			return exchange.Chunks(slices.Collect(slices.Chunk(whole[:n], 5000)), int64(n))
		},
		"stream": func(n int) exchange.Body {
			return exchange.Body{Stream: &pieces{pieces: cut(whole[:n], 70000), end: io.EOF}, Size: int64(n)}
		},
		"chunks": func(n int) exchange.Body {
			return exchange.Body{Stream: &pieces{pieces: cut(whole[:n], 300000), end: io.EOF}, Size: -1}
		},
		"file": func(n int) exchange.Body {
			return exchange.Body{Stream: &pieces{pieces: ranges(file, n, 400000), end: io.EOF}, Size: int64(n)}
		},
		"file by chunks": func(n int) exchange.Body {
			return exchange.Body{Stream: &readyPieces{pieces{pieces: ranges(file, n, 400000), end: io.EOF}}, Size: -1}
		},
		"file with its head": func(n int) exchange.Body {
			return exchange.Body{Stream: &readyPieces{pieces{pieces: ranges(file, n, 400000), end: io.EOF}}, Size: int64(n)}
		},
	}
	both(t, func(t *testing.T, secure bool) {
		var next atomic.Pointer[exchange.Body]
		var sent atomic.Int64
		s := listen(t, secure, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
			n, err := to.Send(ctx, &exchange.Answer{Status: 200, Body: *next.Load()})
			if err != nil {
				n = -1
			}
			sent.Store(n)
		})
		c, r := s.dial(t)
		for form, make := range forms {
			for _, n := range []int{1, 100, 3900, 4096, 16000, 16384, 65536, maxWrite, maxWrite + 1, most} {
				b := make(n)
				next.Store(&b)
				say(t, c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if got, err := readAnswer(r); err != nil || !bytes.Equal(got, whole[:n]) {
					t.Fatalf("%s of %d: %d bytes, %v", form, n, len(got), err)
				}
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if sent.Load() < 0 {
			t.Error("an answer that has arrived has failed")
		}
	})
}

// readyPieces does not wait.
type readyPieces struct{ pieces }

func (*readyPieces) Ready() bool { return true }

func cut(b []byte, size int) (out []exchange.Piece) {
	for p := range slices.Chunk(b, size) {
		out = append(out, exchange.Piece{Bytes: p})
	}
	return out
}

// ranges are those of a file behind "before".
func ranges(f *os.File, n, size int) (out []exchange.Piece) {
	for at := 0; at < n; at += size {
		out = append(out, exchange.Piece{File: f, Offset: int64(len("before") + at), Length: int64(min(size, n-at))})
	}
	return out
}

// Senders of one file do not disturb each other: its position is nobody's.
func TestFilesAreShared(t *testing.T) {
	const size = 600000
	whole := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	name := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(name, append([]byte("before"), whole...), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := listen(t, false, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
		_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Body{Stream: &pieces{pieces: ranges(file, size, 50000), end: io.EOF}, Size: size}})
	})
	var wg sync.WaitGroup
	for range 8 {
		c, r := s.dial(t)
		wg.Go(func() {
			for range 5 {
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if got, err := readAnswer(r); err != nil || !bytes.Equal(got, whole) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

var errOrigin = errors.New("origin broke off")

func TestBrokenAnswersAreSeenAsBroken(t *testing.T) {
	name := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(name, []byte("beforeabc"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, body := range map[string]func() exchange.Body{
		"known length":     func() exchange.Body { return texts(10, errOrigin, "abc") },
		"unknown length":   func() exchange.Body { return texts(-1, errOrigin, "abc") },
		"stream too short": func() exchange.Body { return texts(10, io.EOF, "abc") },
		"stream too long":  func() exchange.Body { return texts(5, io.EOF, "abc", "def") },
		"no byte":          func() exchange.Body { return texts(-1, errOrigin) },
		"file too short": func() exchange.Body {
			return exchange.Body{Stream: &pieces{pieces: ranges(file, 5, 5), end: io.EOF}, Size: 5}
		},
		"bytes too short": func() exchange.Body { return exchange.Body{Bytes: []byte("abc"), Size: 5} },
		"bytes too long":  func() exchange.Body { return exchange.Body{Bytes: []byte("abc"), Size: 2} },
	} {
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"} {
			both(t, func(t *testing.T, secure bool) {
				errs := make(chan error, 1)
				b := body()
				s := listen(t, secure, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
					_, err := to.Send(ctx, &exchange.Answer{Status: 200, Body: b})
					errs <- err
				})
				c, r := s.dial(t)
				say(t, c, request)
				got, broken := readAnswer(r)
				if broken == nil {
					t.Errorf("D17.12: %s: the viewer takes %q for whole", name, got)
				}
				if err := <-errs; err == nil {
					t.Errorf("D17.12: %s: Send takes the answer for whole", name)
				}
				if p, ok := b.Stream.(*pieces); ok && !p.closed.Load() {
					t.Errorf("%s: the stream is not closed", name)
				}
			})
		}
	}
}

func TestWhatIsNoAnswer(t *testing.T) {
	for name, h := range map[string]handler{
		"none":   func(context.Context, *exchange.Request, exchange.Sender) {},
		"panic":  func(context.Context, *exchange.Request, exchange.Sender) { panic("at the handler") },
		"100":    answers(exchange.Answer{Status: 100}),
		"1000":   answers(exchange.Answer{Status: 1000}),
		"tunnel": answers(exchange.Answer{Status: 101, Tunnel: &end{}}),
	} {
		c, r := listen(t, false, h).dial(t)
		say(t, c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if got, err := readAnswer(r); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
	twice := make(chan error, 1)
	c, r := listen(t, false, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
		_, _ = to.Send(ctx, &exchange.Answer{Status: 200})
		_, err := to.Send(ctx, &exchange.Answer{Status: 500})
		twice <- err
	}).dial(t)
	say(t, c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := readAnswer(r); err != nil || !errors.Is(<-twice, errTwice) {
		t.Errorf("answered twice: %v", err)
	}
}

// end is a tunnel that is over.
type end struct{}

func (end) Read([]byte) (int, error)    { return 0, io.EOF }
func (end) Write(b []byte) (int, error) { return len(b), nil }
func (end) Close() error                { return nil }

func TestInterimAnswers(t *testing.T) {
	h := func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
		err := errors.Join(
			to.Interim(103, fields("Link", "</a>", "Content-Length", "5")), to.Interim(102, nil),
			to.Interim(100, nil), to.Interim(101, nil), to.Interim(200, nil),
		)
		_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Header: fields("E", fmt.Sprint(err))})
		_ = to.Interim(103, header.Fields{})
	}
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n": "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nE: <nil>\r\nContent-Length: 0\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n": "HTTP/1.1 200 OK\r\nE: <nil>\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", // RFC 9110 §15.2
	} {
		if got := play(newServer(t, h), request); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPipelinedAnswersComeInOrder(t *testing.T) {
	var n int
	s := newServer(t, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		n++
		_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Bytes([]byte(req.Target + "\n"))})
	}, func(c *Config) { c.MaxRequests = 900 })
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
	}
	out := play(s, in.String())
	at := 0
	for i := range 900 {
		next := strings.Index(out[at:], fmt.Sprintf("/%d\n", i))
		if next < 0 {
			t.Fatalf("answer %d is not there or not in its place", i)
		}
		at += next
	}
	if n != 900 || strings.Count(out, "Connection: close\r\n") != 1 {
		t.Errorf("%d requests served, want as many as one connection may have", n)
	}
}

func TestDrainingEndsAConnectionWithItsAnswer(t *testing.T) {
	draining := false
	s := newServer(t, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
		_, _ = to.Send(ctx, &exchange.Answer{Status: 204})
		draining = true
	}, func(c *Config) { c.Draining = func() bool { return draining } })
	const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	if got, want := play(s, get+get+get), "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPeers(t *testing.T) {
	var got exchange.Request
	s := newServer(t, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		got = *req
		got.Own()
		_, _ = to.Send(ctx, &exchange.Answer{Status: 204})
	})
	c := &script{in: [][]byte{[]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")}}
	s.ServeConn(context.Background(), c, exchange.Peer{
		Address: viewerAddr, Secure: true, ServerName: "n", Fronts: func(host string) bool { return host == "h" },
	})
	if got.Viewer != viewerAddr || got.Scheme != "https" || got.ServerName != "n" || !got.Fronted {
		t.Errorf("D2.7: %+v", got)
	}
}

// A viewer that reads nothing is cut.
func TestStoppedReaderIsCut(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		errs := make(chan error, 1)
		s := listen(t, secure, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
			_, err := to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Bytes(make([]byte, 256<<20))})
			errs <- err
		}, func(c *Config) { c.StallTimeout = 100 * time.Millisecond })
		c, r := s.dial(t)
		say(t, c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if err := <-errs; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if _, err := readAnswer(r); err == nil {
			t.Error("the viewer takes the answer for whole")
		}
	})
}
