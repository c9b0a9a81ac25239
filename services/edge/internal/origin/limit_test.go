// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// equalLimits are limits without a share of one viewer.
func equalLimits(most, queue int) *limits { return newLimits(most, queue, most, 10*time.Second) }

var nobody netip.Addr

func TestLimitQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := equalLimits(1, 3)
		if err := l.acquire(t.Context(), "a", nobody); err != nil {
			t.Fatal(err)
		}
		if err := l.acquire(t.Context(), "b", nobody); err != nil {
			t.Errorf("another origin has to wait: %v", err)
		}
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if err := l.acquire(t.Context(), "a", nobody); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				l.release("a", nobody)
			})
			synctest.Wait()
		}
		e := wantKind(t, l.acquire(t.Context(), "a", nobody), Overloaded)
		if e.Status() != 503 {
			t.Errorf("D22.13: beyond the queue: status %d", e.Status())
		}
		if active, queued := l.count(); active != 2 || queued != 3 {
			t.Errorf("%d active, %d queued", active, queued)
		}
		l.release("a", nobody)
		wg.Wait()
		l.release("b", nobody)
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
				l := equalLimits(1, 1)
				_ = l.acquire(t.Context(), "a", nobody)
				ctx, cancel := context.WithTimeout(t.Context(), tt.ctx)
				defer cancel()
				began := time.Now()
				wantKind(t, l.acquire(ctx, "a", nobody), tt.want)
				if got := time.Since(began); got != tt.at {
					t.Errorf("after %v, want %v", got, tt.at)
				}
				l.release("a", nobody)
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
		share := rapid.IntRange(1, 3).Draw(rt, "share")
		type caller struct{ come, stay, patience, viewer int }
		callers := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) caller {
			second := rapid.IntRange(0, 12)
			return caller{second.Draw(rt, "come"), second.Draw(rt, "stay"), second.Draw(rt, "patience"), rapid.IntRange(0, 2).Draw(rt, "viewer")}
		}), 1, 12).Draw(rt, "callers")
		synctest.Test(t, func(t *testing.T) {
			l := newLimits(most, queue, share, 10*time.Second)
			viewers := []netip.Addr{nobody, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
			var mu sync.Mutex
			var held, worst int
			shares := make([]int, len(viewers))
			var wg sync.WaitGroup
			for _, c := range callers {
				wg.Go(func() {
					time.Sleep(time.Duration(c.come) * time.Second)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(c.patience)*time.Second)
					defer cancel()
					if l.acquire(ctx, "a", viewers[c.viewer]) != nil {
						return
					}
					mu.Lock()
					held++
					worst = max(worst, held)
					if shares[c.viewer]++; c.viewer > 0 && shares[c.viewer] > share {
						t.Errorf("a viewer has %d slots of %d", shares[c.viewer], share)
					}
					mu.Unlock()
					time.Sleep(time.Duration(c.stay) * time.Second)
					mu.Lock()
					held--
					shares[c.viewer]--
					mu.Unlock()
					l.release("a", viewers[c.viewer])
				})
			}
			wg.Wait()
			if worst > most || len(l.gates) != 0 || l.spare != nil && len(l.spare.shares)+len(l.spare.queue) != 0 {
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

// TestViewerShare: one viewer has no more than its share of slots and queue, and
// others get what it leaves.
func TestViewerShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(4, 4, 0, 10*time.Second)
		greedy := sharer(netip.MustParseAddr("2001:db8::1"))
		other := sharer(netip.MustParseAddr("192.0.2.1"))
		var wg sync.WaitGroup
		got := make([]bool, 2)
		for range 2 {
			if err := l.acquire(t.Context(), "a", greedy); err != nil {
				t.Fatal(err)
			}
		}
		for i := range got {
			wg.Go(func() {
				if err := l.acquire(t.Context(), "a", greedy); err != nil {
					t.Error(err)
				}
				got[i] = true
			})
			synctest.Wait()
		}
		if got[0] || got[1] {
			t.Error("more slots than its share")
		}
		wantKind(t, l.acquire(t.Context(), "a", sharer(netip.MustParseAddr("2001:db8::2:1"))), Overloaded) // the same /64
		for range 2 {
			if err := l.acquire(t.Context(), "a", other); err != nil {
				t.Errorf("another viewer waits behind: %v", err)
			}
		}
		l.release("a", other)
		synctest.Wait()
		if got[0] || got[1] {
			t.Error("a slot of another viewer went to one that has its share")
		}
		if err := l.acquire(t.Context(), "a", nobody); err != nil {
			t.Errorf("a request without a viewer: %v", err)
		}
		l.release("a", greedy)
		synctest.Wait()
		if !got[0] || got[1] {
			t.Errorf("its next ones have turns %v, want the first only", got)
		}
		l.release("a", greedy)
		wg.Wait()
		for _, who := range []netip.Addr{greedy, greedy, other, nobody} {
			l.release("a", who)
		}
		if len(l.gates) != 0 || len(l.spare.shares) != 0 {
			t.Errorf("left: %d gates, shares %v", len(l.gates), l.spare.shares)
		}
	})
}

func TestSharer(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"fe80::1%eth0", "fe80::"},
	} {
		if got := sharer(netip.MustParseAddr(tt.in)); got != netip.MustParseAddr(tt.want) {
			t.Errorf("sharer(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
	if sharer(netip.Addr{}).IsValid() {
		t.Error("nobody has a share")
	}
}
