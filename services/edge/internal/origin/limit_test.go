// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

func newLimits(most, queue int) *limits {
	return &limits{max: most, queue: queue, timeout: 10 * time.Second, gates: map[string]*gate{}}
}

func TestLimitQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(1, 3)
		if err := l.acquire(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if err := l.acquire(t.Context(), "b"); err != nil {
			t.Errorf("another origin has to wait: %v", err)
		}
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if err := l.acquire(t.Context(), "a"); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				l.release("a")
			})
			synctest.Wait()
		}
		e := wantKind(t, l.acquire(t.Context(), "a"), Overloaded)
		if e.Status() != 503 {
			t.Errorf("D22.13: beyond the queue: status %d", e.Status())
		}
		if active, queued := l.count(); active != 2 || queued != 3 {
			t.Errorf("%d active, %d queued", active, queued)
		}
		l.release("a")
		wg.Wait()
		l.release("b")
		if !slices.Equal(order, []int{0, 1, 2}) {
			t.Errorf("order = %v, want first come first served", order)
		}
		if len(l.gates) != 0 {
			t.Errorf("%d gates are left", len(l.gates))
		}
	})
}

func TestLimitEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		ctx  time.Duration
		want Kind
		at   time.Duration
	}{
		{"D22.13: queue time-out", time.Minute, Overloaded, 10 * time.Second},
		{"the caller leaves", time.Second, Canceled, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimits(1, 1)
				_ = l.acquire(t.Context(), "a")
				ctx, cancel := context.WithTimeout(t.Context(), tt.ctx)
				defer cancel()
				began := time.Now()
				wantKind(t, l.acquire(ctx, "a"), tt.want)
				if got := time.Since(began); got != tt.at {
					t.Errorf("after %v, want %v", got, tt.at)
				}
				l.release("a")
				if len(l.gates) != 0 {
					t.Errorf("%d gates are left", len(l.gates))
				}
			})
		})
	}
}

// TestLimitNever: at no time are more slots out than there are, and in the end
// none is lost, whatever callers do at the same moments.
func TestLimitNever(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 3).Draw(rt, "max")
		queue := rapid.IntRange(0, 4).Draw(rt, "queue")
		type caller struct{ come, stay, patience int }
		callers := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) caller {
			second := rapid.IntRange(0, 12)
			return caller{second.Draw(rt, "come"), second.Draw(rt, "stay"), second.Draw(rt, "patience")}
		}), 1, 12).Draw(rt, "callers")
		synctest.Test(t, func(t *testing.T) {
			l := newLimits(most, queue)
			var mu sync.Mutex
			var held, worst int
			var wg sync.WaitGroup
			for _, c := range callers {
				wg.Go(func() {
					time.Sleep(time.Duration(c.come) * time.Second)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(c.patience)*time.Second)
					defer cancel()
					if l.acquire(ctx, "a") != nil {
						return
					}
					mu.Lock()
					held++
					worst = max(worst, held)
					mu.Unlock()
					time.Sleep(time.Duration(c.stay) * time.Second)
					mu.Lock()
					held--
					mu.Unlock()
					l.release("a")
				})
			}
			wg.Wait()
			if worst > most || len(l.gates) != 0 {
				t.Errorf("%d slots out of %d, %d gates left", worst, most, len(l.gates))
			}
		})
	})
}

// TestSlotHeldByBody: a request counts until its body is closed (design 3.9).
func TestSlotHeldByBody(t *testing.T) {
	bubble(t, Config{MaxConcurrent: 1, MaxQueue: -1}, func(p *peer) { p.answer(hello, hello) },
		func(t *testing.T, c *Client, o *snapshot.Origin, _ *pipes) {
			res, err := c.Fetch(t.Context(), get(o))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Fetch(t.Context(), get(o))
			if e := wantKind(t, err, Overloaded); e.Attempts != 0 || e.Detail() != "CapacityExceeded" {
				t.Errorf("%+v", e)
			}
			other := *o
			other.Name = "origins/other"
			mustFetch(t, c, get(&other))
			_ = res.Body.Close()
			mustFetch(t, c, get(o))
		})
}
