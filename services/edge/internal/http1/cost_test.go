// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// browser is a request as browsers send it.
const browser = "GET /assets/app-3f9a1c.js?v=12 HTTP/1.1\r\nHost: d111111abcdef8.cdn.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n" +
	"Accept: */*\r\nAccept-Language: en-GB,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: https://www.example.com/index.html\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nConnection: keep-alive\r\nIf-None-Match: \"0123456789\"\r\n\r\n"

func TestHitsDoNotAllocate(t *testing.T) {
	for _, size := range []int{0, 1 << 10, 10 << 10, 100 << 10} {
		for _, request := range []string{get, browser} {
			h := newHit(size)
			s := listen(t, false, h.Serve)
			c, _ := s.dial(t)
			raw, answer := []byte(request), make([]byte, len(h.wire))
			ask := func() {
				if _, err := c.Write(raw); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					t.Fatal(err)
				}
			}
			ask()
			if got := string(answer); got != h.wire {
				t.Fatalf("answer %q, want %q", got, h.wire)
			}
			if n := testing.AllocsPerRun(500, ask); n > 0 && !raceDetector {
				t.Errorf("a hit of %d bytes costs %v allocations", size, n)
			}
		}
	}
}

// hit is a stored object.
type hit struct {
	answer      exchange.Answer
	lines, body []byte
	wire        string
}

func newHit(size int) *hit {
	h := &hit{
		lines: []byte("Content-Type: text/javascript\r\nETag: \"0123456789\"\r\nCache-Control: max-age=3600\r\nContent-Length: " + strconv.Itoa(size) + "\r\n"),
		body:  []byte(strings.Repeat("x", size)),
	}
	h.answer.Header = fields("Age", "12", "X-Cache", "Hit from seafront")
	h.wire = "HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nETag: \"0123456789\"\r\nCache-Control: max-age=3600\r\nAge: 12\r\n" +
		"X-Cache: Hit from seafront\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n" + string(h.body)
	return h
}

// Serve answers one request at a time.
func (h *hit) Serve(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
	h.answer.Status, h.answer.Lines, h.answer.Body = 200, h.lines, exchange.Bytes(h.body)
	_, _ = to.Send(ctx, &h.answer)
}

func BenchmarkParse(b *testing.B) {
	lim := limits{head: DefaultMaxHeaderBytes, url: DefaultMaxURLBytes, fields: DefaultMaxFields, body: DefaultMaxBodyBytes, scheme: "http"}
	in := []byte(browser)
	var m message
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if headEnd(in, 0) != len(in) || parse(in, lim, &m) != 0 {
			b.Fatal("not parsed")
		}
	}
}

func BenchmarkHit(b *testing.B) {
	for _, secure := range []bool{false, true} {
		b.Run(fmt.Sprintf("TLS=%v", secure), func(b *testing.B) {
			h := newHit(1 << 10)
			c, _ := listen(b, secure, h.Serve).dial(b)
			raw, answer := []byte(browser), make([]byte, len(h.wire))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(raw); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestIdleConnectionsAreSmall holds what a connection costs while it waits for its next
// request, both ends of it, since they are in one process here: the far end is a bare
// socket. SEAFRONT_IDLE is another number of them.
func TestIdleConnectionsAreSmall(t *testing.T) {
	n := 300
	if v := os.Getenv("SEAFRONT_IDLE"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	both(t, func(t *testing.T, secure bool) {
		h := newHit(1 << 10)
		s := listen(t, secure, h.Serve)
		answer := make([]byte, len(h.wire))
		before := inUse()
		for range n {
			c, _ := s.dial(t)
			say(t, c, browser)
			if _, err := io.ReadFull(c, answer); err != nil {
				t.Fatal(err)
			}
		}
		each := (inUse() - before) / uint64(n)
		t.Logf("%d bytes for both ends of an idle connection", each)
		// A bar for 100,000 is 2 GB; the viewers here are a part of it.
		if most := map[bool]uint64{false: 20 << 10, true: 50 << 10}[secure]; each > most && !raceDetector {
			t.Errorf("an idle connection costs %d bytes, at most %d", each, most)
		}
	})
}

// inUse is the memory of heap and stacks after collection.
func inUse() uint64 {
	for range 3 { // stacks shrink by half at a time
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
