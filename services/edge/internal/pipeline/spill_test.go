// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange/exchangetest"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// resting is a viewer that rests after each piece, or leaves after its first.
type resting struct {
	got
	rest   time.Duration
	leaves bool
}

func (v *resting) Send(ctx context.Context, a *exchange.Answer) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v.status = a.Status
	var b strings.Builder
	n, err := exchangetest.Read(ctx, a.Body, func(p []byte) {
		b.Write(p)
		time.Sleep(v.rest)
		if v.leaves {
			cancel()
		}
	})
	v.body, v.err = b.String(), err
	return n, err
}

// Viewers who wait for one fill get the whole body each at its own pace: who falls behind
// what the fill holds reads what was stored meanwhile.
func TestSlowViewersReadBehindTheFill(t *testing.T) {
	body := strings.Repeat(content(1<<20+7), 14)
	for _, tt := range []struct {
		value   string
		chunked bool // without a length, which is also to be known by who waits for the rest
	}{{"", false}, {"bytes=3000000-12999999", false}, {"", true}} {
		for _, tag := range []string{`W/"1"`, `"1"`} {
			t.Run(fmt.Sprint(tt.value, " of ", tag, " chunked ", tt.chunked), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := newEdge(t, options{bytes: 256 << 20})
					e.origin.set(func(*origin.Request) page {
						time.Sleep(time.Second) // all have come
						p := text(200, body, "ETag", tag)
						p.chunked = tt.chunked
						return p
					})
					viewers := []*resting{{}, {rest: time.Second}, {rest: time.Minute}, {leaves: true}}
					var wg sync.WaitGroup
					for _, v := range viewers {
						wg.Go(func() { e.Serve(t.Context(), ask("/", "Range", tt.value), v) })
					}
					wg.Wait()
					for i, v := range viewers[:3] {
						ok := v.status == 200 && v.body == body || v.status == 206 && v.body == body[3_000_000:13_000_000]
						if !ok || v.err != nil {
							t.Errorf("design 3.9: viewer %d: %d, %d bytes, %v", i, v.status, len(v.body), v.err)
						}
					}
					if n := len(e.origin.requests()); n != 1 {
						t.Errorf("D14.8: %d requests to the origin", n)
					}
					e.want("afterwards", e.get("/"), 200, "Hit", body, 0)
					if s := e.fills.Stats(); s.Fills != 0 || s.Bytes != 0 {
						t.Errorf("design 3.9: left over: %+v", s)
					}
				})
			})
		}
	}
}

// A body that announced no length: who is behind gets to its end as well, unless nobody
// knows where that is or has what is missing.
func TestBehindABodyOfUnknownLength(t *testing.T) {
	body := strings.Repeat(content(1<<20+7), 14)
	for _, tt := range []struct {
		name  string
		tag   string
		bytes int64
		fail  error
		whole bool
	}{
		{"stored", `W/"1"`, 256 << 20, nil, true},
		{"too long to be stored: the rest is fetched", `"1"`, 96 << 20, nil, true},
		{"too long to be stored, and no validator", `W/"1"`, 96 << 20, nil, false},
		{"D17.12: broken off", `"1"`, 256 << 20, io.ErrUnexpectedEOF, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEdge(t, options{bytes: tt.bytes})
				e.origin.set(func(r *origin.Request) page {
					if r.Header.Has("Range") {
						return ranged(&body, &tt.tag)(r)
					}
					time.Sleep(time.Second) // all have come
					p := text(200, "", "ETag", tt.tag)
					p.body, p.length = io.Reader(strings.NewReader(body)), -1
					if tt.fail != nil {
						p.body = &breaking{body, tt.fail}
					}
					return p
				})
				viewers := []*resting{{}, {rest: time.Minute}}
				var wg sync.WaitGroup
				for _, v := range viewers {
					wg.Go(func() { e.Serve(t.Context(), ask("/"), v) })
				}
				wg.Wait()
				if v := viewers[0]; v.body != body || (v.err == nil) != (tt.fail == nil) {
					t.Errorf("the fast one: %d bytes, %v", len(v.body), v.err)
				}
				if v := viewers[1]; !strings.HasPrefix(body, v.body) || (v.err == nil) != tt.whole || (v.body == body) != tt.whole {
					t.Errorf("design 3.9: the slow one: %d of %d bytes, %v", len(v.body), len(body), v.err)
				}
			})
		})
	}
}
