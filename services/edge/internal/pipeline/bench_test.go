// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/accesslog"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange/exchangetest"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// discard is an adapter without a wire.
type discard struct{ exchangetest.Silent }

func (discard) Send(ctx context.Context, a *exchange.Answer) (n int64, err error) {
	return exchangetest.Read(ctx, a.Body, func([]byte) {})
}

// nowhere takes everything.
type nowhere struct{}

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }

// hitEdge has one object, metrics as in production, and a log that is written and
// thrown away.
func hitEdge(tb testing.TB) (*edge, *exchange.Request) { return hitEdgeOf(tb, nil) }

// hitEdgeOf is hitEdge by another cache policy, with more fields in question and answer.
func hitEdgeOf(tb testing.TB, policy *configv1.CachePolicy, pairs ...string) (*edge, *exchange.Request) {
	e := newEdge(tb, options{
		policy: policy,
		meter:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
		change: func(c *Config) {
			c.Events = accesslog.New(accesslog.Config{To: nowhere{}}) // lines are made, and left out when the room is full
			c.Sample = func() bool { return false }
		},
	})
	fields := append([]string{"Content-Type", "text/html", "ETag", `"1"`, "Cache-Control", "max-age=3600"}, pairs...)
	e.origin.says(text(200, strings.Repeat("x", 1024), fields...))
	r := ask("/index.html", "User-Agent", "Browser/1", "Accept", "*/*", "Accept-Encoding", "gzip, br")
	e.Serve(tb.Context(), r, discard{})
	waitStored(e)
	e.Serve(tb.Context(), r, discard{})
	return e, r
}

func BenchmarkHit(b *testing.B) {
	e, r := hitEdge(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		e.Serve(ctx, r, discard{})
	}
}

// BenchmarkMiss is one viewer that asks for something else each time.
func BenchmarkMiss(b *testing.B) {
	e, r := hitEdge(b)
	ctx := b.Context()
	var target []byte
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		target = strconv.AppendInt(append(target[:0], "/index/"...), int64(n), 10)
		cold := *r
		cold.Target = string(target)
		e.Serve(ctx, &cold, discard{})
	}
}

// BenchmarkCollapse is 100 viewers at one cold key: their answers from one origin
// request.
func BenchmarkCollapse(b *testing.B) {
	e, r := hitEdge(b)
	body := strings.Repeat("x", 64<<10)
	e.origin.set(func(*origin.Request) page {
		time.Sleep(time.Millisecond)
		return text(200, body)
	})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		cold := *r
		cold.Target = "/" + strconv.Itoa(n)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { e.Serve(b.Context(), &cold, discard{}) })
		}
		wg.Wait()
	}
	b.ReportMetric(float64(len(e.origin.requests())-1)/float64(n), "origin-requests/op")
}

// TestHitBudget holds what a hit may allocate: style rule 19. The log line is part of
// it; the bytes on the wire are the adapter's.
func TestHitBudget(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates on its own; the budget holds without it")
		return
	}
	raw, err := os.ReadFile("testdata/budget.txt")
	if err != nil {
		t.Fatal(err)
	}
	name, value, _ := strings.Cut(strings.TrimSpace(string(raw)), " ")
	budget, err := strconv.ParseFloat(value, 64)
	if err != nil || name != "hit-allocs" {
		t.Fatalf("testdata/budget.txt: %q", raw)
	}
	for name, tt := range map[string]struct {
		pairs  []string
		method string
		status int
	}{
		"whole":                     {status: 200},
		"If-None-Match":             {[]string{"If-None-Match", `"1"`}, "", 304},
		"If-None-Match, of several": {[]string{"If-None-Match", `"0", "1"`}, "", 304},
		"HEAD":                      {nil, "HEAD", 200},
		"range":                     {[]string{"Range", "bytes=10-19"}, "", 206},
		"range, If-Range":           {[]string{"Range", "bytes=-5", "If-Range", `"1"`}, "", 206},
	} {
		t.Run(name, func(t *testing.T) {
			e, r := hitEdge(t)
			r.Header = append(r.Header, fieldsOf(tt.pairs...)...)
			if tt.method != "" {
				r.Method = tt.method
			}
			if g := e.do(r); g.status != tt.status || g.xcache() != "Hit" {
				t.Fatalf("%d %s, want %d", g.status, g.xcache(), tt.status)
			}
			if got := testing.AllocsPerRun(1000, func() { e.Serve(t.Context(), r, discard{}) }); got > budget {
				t.Errorf("a hit allocates %v times, the budget is %v", got, budget)
			}
		})
	}
	t.Run("variant", func(t *testing.T) {
		e, r := hitEdgeOf(t, rfc9111(), "Vary", "Accept, User-Agent")
		if g := e.do(r); g.xcache() != "Hit" {
			t.Fatalf("%d %s", g.status, g.xcache())
		}
		if got := testing.AllocsPerRun(1000, func() { e.Serve(t.Context(), r, discard{}) }); got > budget {
			t.Errorf("a hit allocates %v times, the budget is %v", got, budget)
		}
	})
}
