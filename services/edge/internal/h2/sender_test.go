// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// pieces is a stream that ends with err; wait, when set, goes before each piece but
// the first.
type pieces struct {
	left   []exchange.Piece
	err    error
	wait   func()
	begun  bool
	closed int
}

func (p *pieces) Next(context.Context) (exchange.Piece, error) {
	if p.wait != nil && p.begun {
		p.wait()
	}
	p.begun = true
	if len(p.left) == 0 {
		return exchange.Piece{}, p.err
	}
	next := p.left[0]
	p.left = p.left[1:]
	return next, nil
}

func (p *pieces) Close() { p.closed++ }

func texts(err error, of ...string) *pieces {
	p := &pieces{err: err}
	for _, s := range of {
		p.left = append(p.left, exchange.Piece{Bytes: []byte(s)})
	}
	return p
}

func TestAnswers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	content := strings.Repeat("0123456789", 20000)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, tt := range []struct {
		name, method string
		answer       exchange.Answer
		header       string
		body         string
	}{
		{"D22.8: names in lower case, prepared lines first", "GET", exchange.Answer{
			Status: 200, Lines: []byte("ETag: \"x\"\r\nSet-Cookie: a\r\n"), Header: header.Fields{{Name: "Age", Value: "7"}, {Name: "X-Cache", Value: "Hit"}},
			Body: exchange.Bytes([]byte("hello")),
		}, `200 age=7 etag="x" set-cookie=a x-cache=Hit content-length=5`, "hello"},
		{"D17.3: fields of a connection", "GET", exchange.Answer{
			Status: 200, Body: exchange.Bytes([]byte("x")),
			Header: header.Fields{
				{Name: "transfer-encoding", Value: "chunked"}, {Name: "Connection", Value: "close"}, {Name: "Keep-Alive", Value: "5"}, {Name: "proxy-connection", Value: "x"},
				{Name: "Upgrade", Value: "x"}, {Name: "Trailer", Value: "x"}, {Name: "Content-Length", Value: "77"},
			},
		}, `200 content-length=1`, "x"},
		{"D22.11: HEAD", "HEAD", exchange.Answer{Status: 200, Body: exchange.Bytes([]byte("hello"))}, `200 content-length=5`, ""},
		{"D22.11: HEAD of a stream, its length in the header", "HEAD", exchange.Answer{
			Status: 200, Header: header.Fields{{Name: "content-length", Value: "9"}}, Body: exchange.Body{Stream: texts(io.EOF), Size: -1},
		}, `200 content-length=9`, ""},
		{"D22.10: 304", "GET", exchange.Answer{Status: 304, Header: header.Fields{{Name: "Content-Length", Value: "5"}}}, `304`, ""},
		{"D22.10: 204", "GET", exchange.Answer{Status: 204}, `204`, ""},
		{"empty", "GET", exchange.Answer{Status: 200}, `200 content-length=0`, ""},
		{"unknown status", "GET", exchange.Answer{Status: 999, Body: exchange.Bytes([]byte("x"))}, `999 content-length=1`, "x"},
		{"D17.1: stream of unknown length", "GET", exchange.Answer{Status: 200, Body: exchange.Body{Stream: texts(io.EOF, "a", "bc"), Size: -1}}, `200`, "abc"},
		{"stream of known length", "GET", exchange.Answer{Status: 200, Body: exchange.Body{Stream: texts(io.EOF, "a", "bc"), Size: 3}}, `200 content-length=3`, "abc"},
		{"large", "GET", exchange.Answer{Status: 200, Body: exchange.Bytes([]byte(content))}, `200 content-length=200000`, content},
		{"range of a file", "GET", exchange.Answer{Status: 206, Body: exchange.Body{
			Stream: &pieces{err: io.EOF, left: []exchange.Piece{{File: f, Offset: 5, Length: 150000}, {Bytes: []byte("end")}}}, Size: 150003,
		}}, `206 content-length=150003`, content[5:150005] + "end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type result struct {
					sent int64
					err  error
				}
				done := make(chan result, 1)
				v := connect(t, newServer(t, handler(func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
					n, err := to.Send(ctx, &tt.answer)
					done <- result{n, err}
				})), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
				if err := v.WriteWindowUpdate(0, 1<<20); err != nil {
					t.Fatal(err)
				}
				v.ask(1, true, append([]string{":method", tt.method}, request()[2:]...)...)
				head, body, code := v.answer()
				line := head.status()
				for _, f := range head.header[1:] {
					line += " " + f.Name + "=" + f.Value
				}
				if line != tt.header || body != tt.body || code != http2.ErrCodeNo {
					t.Errorf("%s, %d bytes, %v\nwant %s, %d bytes", line, len(body), code, tt.header, len(tt.body))
				}
				if r := <-done; r.err != nil || r.sent != int64(len(tt.body)) {
					t.Errorf("sent %d, %v", r.sent, r.err)
				}
				if s, ok := tt.answer.Body.Stream.(*pieces); ok && s.closed == 0 {
					t.Error("the stream is left open")
				}
			})
		})
	}
}

var errOrigin = errors.New("origin broke off")

func TestBrokenAnswersAreReset(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer *exchange.Answer
	}{
		{"known length", &exchange.Answer{Status: 200, Body: exchange.Body{Stream: texts(errOrigin, "abc"), Size: 10}}},
		{"unknown length", &exchange.Answer{Status: 200, Body: exchange.Body{Stream: texts(errOrigin, "abc"), Size: -1}}},
		{"too short", &exchange.Answer{Status: 200, Body: exchange.Body{Stream: texts(io.EOF, "abc"), Size: 10}}},
		{"too long", &exchange.Answer{Status: 200, Body: exchange.Body{Stream: texts(io.EOF, "abc", "def"), Size: 4}}},
		{"no byte", &exchange.Answer{Status: 200, Body: exchange.Body{Stream: texts(errOrigin), Size: -1}}},
		{"bytes that are not as many as said", &exchange.Answer{Status: 200, Body: exchange.Body{Bytes: []byte("abc"), Size: 4}}},
		{"status that cannot be", &exchange.Answer{Status: 101}},
		{"no answer", nil},
	} {
		t.Run("D17.12: "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := true
				v := connect(t, newServer(t, handler(func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
					if !broken {
						hello(ctx, req, to)
						return
					}
					if broken = false; tt.answer == nil {
						return
					}
					if _, err := to.Send(ctx, tt.answer); err == nil {
						t.Error("Send takes the answer for whole")
					}
				})))
				v.ask(1, true, request()...)
				if _, body, code := v.answer(); code == http2.ErrCodeNo {
					t.Errorf("the viewer takes %q for whole", body)
				}
				v.ask(3, true, request()...)
				if head, _, _ := v.answer(); head.status() != "200" {
					t.Errorf("the next request gets %+v", head)
				}
			})
		})
	}
}

func TestInterimAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := connect(t, newServer(t, handler(func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
			for _, status := range []int{100, 101, 103} { // two that are not passed on
				if err := to.Interim(status, header.Fields{{Name: "Link", Value: "</a>"}, {Name: "connection", Value: "x"}}); err != nil {
					t.Error(err)
				}
			}
			hello(ctx, req, to)
		})))
		v.ask(1, true, request()...)
		e, _ := v.next()
		if d := cmp.Diff(header.Fields{{Name: ":status", Value: "103"}, {Name: "link", Value: "</a>"}}, e.header); d != "" {
			t.Error(d)
		}
		head, body, _ := v.answer()
		if head.status() != "200" || head.header.Has("link") || body != "hello" {
			t.Errorf("%+v %q", head, body)
		}
	})
}

// CVE-2019-9517: an answer that the viewer's window does not let through ends after the
// stall time, and not before.
func TestStarvedAnswersAreReset(t *testing.T) {
	big := []byte(strings.Repeat("x", 200000))
	for name, body := range map[string]func() exchange.Body{
		"small":        func() exchange.Body { return exchange.Bytes([]byte("hello")) },
		"bytes":        func() exchange.Body { return exchange.Bytes(big) },
		"stream":       func() exchange.Body { return exchange.Body{Stream: texts(io.EOF, string(big)), Size: -1} },
		"small stream": func() exchange.Body { return exchange.Body{Stream: texts(io.EOF, "hello"), Size: 5} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan error, 1)
				v := connect(t, newServer(t, handler(func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
					_, err := to.Send(ctx, &exchange.Answer{Status: 200, Body: body()})
					over <- err
				})), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
				began := time.Now()
				v.ask(1, true, request()...)
				head, _, code := v.answer()
				if d := time.Since(began); head.status() != "200" || code != http2.ErrCodeInternal || d < DefaultStallTimeout/2 || d > DefaultStallTimeout {
					t.Errorf("%+v, reset %v after %v", head, code, d)
				}
				if err := <-over; err == nil && name != "small" { // which is left to x/net
					t.Error("Send takes the answer for sent")
				}
			})
		})
	}
}

// A viewer that takes something again and again is not cut, and neither is one whose
// origin is slow.
func TestSlowAnswersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := texts(io.EOF, "a", "b", "c")
		slow.wait = func() { time.Sleep(10 * DefaultStallTimeout) }
		v := connect(t, newServer(t, handler(func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
			if req.Target == "/slow" {
				_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Body{Stream: slow, Size: 3}}) // the viewer's side is looked at
				return
			}
			always(exchange.Answer{Status: 200, Body: exchange.Bytes(make([]byte, 300000))})(ctx, req, to)
		})))
		v.ask(1, true, append(request()[:6], ":path", "/slow")...)
		if _, body, code := v.answer(); body != "abc" || code != http2.ErrCodeNo {
			t.Errorf("slow origin: %q, %v", body, code)
		}
		if err := v.WriteWindowUpdate(0, 1<<20); err != nil {
			t.Fatal(err)
		}
		v.ask(3, true, request()...)
		var got int
		for e, open := v.next(); !e.end; e, open = v.next() {
			if !open || e.kind == http2.FrameRSTStream {
				t.Fatalf("cut after %d bytes", got)
			}
			if got += len(e.data); len(e.data) > 0 && got < 300000 {
				time.Sleep(DefaultStallTimeout / 10)
				_ = v.WriteWindowUpdate(3, uint32(len(e.data))) // the last ones come when all is sent
			}
		}
		if got != 300000 {
			t.Errorf("%d bytes", got)
		}
	})
}

// The viewer that resets or leaves ends the context of its request.
func TestLeavingEndsTheContext(t *testing.T) {
	for name, leave := range map[string]func(v *viewer){
		"reset":  func(v *viewer) { _ = v.WriteRSTStream(1, http2.ErrCodeCancel) }, // the handler tells
		"closed": func(v *viewer) { _ = v.conn.Close() },                           // the handler tells
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan error, 1)
				v := connect(t, newServer(t, handler(func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
					watched, stop := to.Watch(ctx)
					defer stop()
					<-watched.Done()
					over <- watched.Err()
				})))
				v.ask(1, true, request()...)
				leave(v)
				if err := <-over; err == nil {
					t.Error("no error")
				}
			})
		})
	}
}

func TestDrainingEndsConnectionsWithTheirAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := connect(t, newServer(t, hello, func(c *Config) { c.Draining = func() bool { return true } }))
		v.ask(1, true, request()...)
		head, body, _ := v.answer()
		if head.status() != "200" || body != "hello" || head.header.Has("connection") {
			t.Errorf("%+v %q", head, body)
		}
		if code, _ := v.farewell(); code != http2.ErrCodeNo {
			t.Errorf("closed with %v", code)
		}
	})
}

func TestShutdown(t *testing.T) {
	for _, ends := range []bool{true, false} {
		t.Run(fmt.Sprintf("answer in time %v", ends), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, handler(func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
					select {
					case <-time.After(5 * time.Second):
					case <-ctx.Done():
						return
					}
					hello(ctx, req, to)
				}))
				busy, idle := connect(t, s), connect(t, s)
				busy.ask(1, true, request()...)
				synctest.Wait()
				grace := 10 * time.Second
				if !ends {
					grace = time.Second
				}
				ctx, cancel := context.WithTimeout(t.Context(), grace)
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- s.Shutdown(ctx) }()
				if code, told := idle.farewell(); code != http2.ErrCodeNo || ends && !told {
					t.Errorf("idle: GOAWAY %v, told %v", code, told)
				}
				if ends {
					if head, body, _ := busy.answer(); head.status() != "200" || body != "hello" {
						t.Errorf("busy: %+v %q", head, body)
					}
				}
				busy.farewell()
				if err := <-done; (err == nil) != ends {
					t.Errorf("Shutdown: %v", err)
				}
				late, over := serve(t, s)
				<-over
				if _, err := late.Read(make([]byte, 1)); err == nil {
					t.Error("a connection after Shutdown is served")
				}
			})
		})
	}
}
