// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// echo answers with the body.
func echo(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	if !req.HasBody {
		_, _ = to.Send(ctx, &exchange.Answer{Status: 204})
		return
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		_, _ = to.Send(ctx, &exchange.Answer{Status: 400})
		return
	}
	_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: exchange.Bytes(b)})
}

func TestBodies(t *testing.T) {
	large := strings.Repeat("0123456789", 50000)
	both(t, func(t *testing.T, secure bool) {
		c, r := listen(t, secure, handler(echo)).dial(t)
		for _, b := range []string{"x", "hello", large} {
			for _, raw := range []string{
				fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(b), b),
				fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n%s\r\n%x\r\n%s\r\n0\r\nA: b\r\n\r\n", b[:1], len(b), b),
			} {
				want := b
				if strings.Contains(raw, "chunked") {
					want = b[:1] + b
				}
				say(t, c, raw)
				if got, err := readAnswer(r); err != nil || string(got) != want {
					t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
				}
			}
		}
	})
}

// A head that fills its buffer leaves no room for chunks in it.
func TestChunksBehindLargeHeads(t *testing.T) {
	s := newServer(t, echo)
	for n := smallBuffer - 200; n < smallBuffer+200; n += 7 {
		const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nA: \r\n\r\n"
		raw := strings.Replace(head, "A: ", "A: "+strings.Repeat("a", n-len(head)), 1)
		if got := play(s, raw, "3\r\nabc\r\n", "2\r\nde\r\n0\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\nabcde") {
			t.Errorf("behind a head of %d bytes: %q", n, got)
		}
	}
}

func TestContinue(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
	both(t, func(t *testing.T, secure bool) {
		c, r := listen(t, secure, handler(echo)).dial(t)
		for range 2 {
			say(t, c, head)
			hear(t, r, "HTTP/1.1 100 Continue\r\n\r\n") // D4.10: comes before the body
			say(t, c, "abc")
			hear(t, r, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
		}
	})
	// RFC 9110 §10.1.1: a refusal comes without it, and ends the connection, since nobody
	// knows whether the body follows.
	c, r := listen(t, false, answers(exchange.Answer{Status: 403})).dial(t)
	say(t, c, head)
	hear(t, r, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	// HTTP/1.0 does not know it.
	if got := play(newServer(t, echo), "POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"); strings.Contains(got, "100 Continue") {
		t.Errorf("HTTP/1.0 gets %q", got)
	}
}

// What nobody reads is read if it is little, and ends the connection if it is not. The
// answer arrives in any case.
func TestUnreadBodies(t *testing.T) {
	const next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, tt := range []struct {
		name, head, body string
		keeps            bool
	}{
		{"little", "Content-Length: 1000", strings.Repeat("a", 1000), true},
		{"as much as there may be", fmt.Sprintf("Content-Length: %d", maxDrain), strings.Repeat("a", maxDrain), true},
		{"too much", fmt.Sprintf("Content-Length: %d", maxDrain+1), strings.Repeat("a", maxDrain+1), false},
		{"much too much", "Content-Length: 1000000000", strings.Repeat("a", 200<<10), false},
		{"chunks", "Transfer-Encoding: chunked", "5\r\nabcde\r\n0\r\n\r\n", true},
		{"too many chunks", "Transfer-Encoding: chunked", strings.Repeat("1000\r\n"+strings.Repeat("a", 4096)+"\r\n", 20) + "0\r\n\r\n", false},
		{"bad chunks", "Transfer-Encoding: chunked", "x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, secure bool) {
				c, r := listen(t, secure, answers(exchange.Answer{Status: 403, Body: exchange.Bytes([]byte("no"))})).dial(t)
				say(t, c, "POST / HTTP/1.1\r\nHost: h\r\n"+tt.head+"\r\n\r\n"+tt.body)
				if got, err := readAnswer(r); err != nil || string(got) != "no" {
					t.Fatalf("answer %q, %v", got, err)
				}
				_, _ = io.WriteString(c, next) // may fail on an ended connection
				got, err := readAnswer(r)
				if kept := err == nil && string(got) == "no"; kept != tt.keeps {
					t.Errorf("the connection goes on: %v, want %v", kept, tt.keeps)
				}
			})
		})
	}
}

func TestTooLargeBodies(t *testing.T) {
	var failed error
	s := newServer(t, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		_, failed = io.ReadAll(req.Body)
		_, _ = to.Send(ctx, &exchange.Answer{Status: 413})
	}, func(c *Config) { c.MaxBodyBytes = 4 })
	got := play(s, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n")
	if !errors.Is(failed, exchange.ErrBodyTooLarge) || statuses(got) != "413" || !strings.Contains(got, "Connection: close") {
		t.Errorf("D4.8: %v, answer %q", failed, got)
	}
	if got := statuses(play(s, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde")); got != "413" {
		t.Errorf("D4.8: %s", got)
	}
}

func TestBrokenOffBodies(t *testing.T) {
	for _, head := range []string{"Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n9\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
		var r recorder
		play(newServer(t, r.Serve), "POST / HTTP/1.1\r\nHost: h\r\n"+head)
		if len(r.got) != 1 || !strings.HasSuffix(r.got[0], `body="abc" (unexpected EOF)`) {
			t.Errorf("%q: %q", head, r.got)
		}
	}
}

// A body may be read by another goroutine while the answer goes out; one that reads on
// after it harms nobody.
func TestAnswerBeforeTheEndOfABody(t *testing.T) {
	over := make(chan error, 1)
	s := listen(t, false, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		started := make(chan struct{})
		go func() {
			b := make([]byte, 10)
			if _, err := io.ReadFull(req.Body, b[:3]); err != nil {
				t.Error(err)
			}
			close(started)
			_, err := req.Body.Read(b)
			over <- err
		}()
		<-started
		_, _ = to.Send(ctx, &exchange.Answer{Status: 200})
	})
	c, r := s.dial(t)
	say(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
	if _, err := readAnswer(r); err != nil {
		t.Fatal(err)
	}
	if err := <-over; err == nil {
		t.Error("the body goes on after its request")
	}
}

// pipe serves one end of a pipe, inside a bubble of time.
func pipe(t *testing.T, h handler, change ...func(*Config)) (viewer net.Conn, s *Server, over <-chan struct{}) {
	t.Helper()
	s = newServer(t, h, change...)
	viewer, over = join(t, s)
	return viewer, s, over
}

// join is another connection of s.
func join(t *testing.T, s *Server) (viewer net.Conn, over <-chan struct{}) {
	t.Helper()
	viewer, edge := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.ServeConn(t.Context(), edge, exchange.Peer{})
	}()
	return viewer, ended
}

func TestSlowBodies(t *testing.T) {
	for name, feed := range map[string]func(c net.Conn) error{
		"nothing comes": func(net.Conn) error { return nil },
		"a byte each second": func(c net.Conn) error {
			for range 1000 {
				time.Sleep(time.Second)
				if _, err := c.Write([]byte("a")); err != nil {
					return nil
				}
			}
			return errors.New("all bytes were taken")
		},
		"much, and then nothing": func(c net.Conn) error {
			_, err := c.Write(bytes.Repeat([]byte("a"), 1<<20))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, over := pipe(t, echo)
				say(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
				begun := time.Now()
				fed := make(chan error, 1)
				go func() { fed <- feed(c) }()
				if got, err := readAnswer(bufio.NewReader(c)); err != nil || len(got) > 0 {
					t.Errorf("answer %q, %v", got, err)
				}
				if took := time.Since(begun); took > DefaultBodyTimeout+time.Second {
					t.Errorf("the edge waited for %v", took)
				}
				_ = c.Close()
				<-over
				if err := <-fed; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A slow viewer that keeps to the least rate is served.
func TestSteadyBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, over := pipe(t, echo, func(c *Config) { c.MinBodyRate = 100 })
		say(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
		for range 1000 {
			time.Sleep(time.Second)
			say(t, c, strings.Repeat("a", 100))
		}
		if got, err := readAnswer(bufio.NewReader(c)); err != nil || len(got) != 100000 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		_ = c.Close()
		<-over
	})
}
