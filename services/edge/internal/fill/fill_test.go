// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gated is a body that gives a byte for each token.
type gated struct {
	gate chan byte
	fail error // at the end, instead of io.EOF
	ctx  context.Context
	took atomic.Int64
}

func (g *gated) Read(p []byte) (int, error) {
	select {
	case b, ok := <-g.gate:
		if !ok {
			if g.fail != nil {
				return 0, g.fail
			}
			return 0, io.EOF
		}
		p[0] = b
		g.took.Add(1)
		return 1, nil
	case <-g.ctx.Done():
		return 0, g.ctx.Err()
	}
}

// endless is a body of n bytes that counts what was read of it.
type endless struct {
	left int64
	took atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	e.left -= n
	e.took.Add(n)
	return int(n), nil
}

// pour is a Run that gives a body behind the head "head".
func pour(b Body, body io.Reader) Run[string] {
	return func(ctx context.Context, f *Fill[string]) error {
		if g, ok := body.(*gated); ok {
			g.ctx = ctx
		}
		f.Begin("head", b)
		_, _, err := f.Copy(ctx, body)
		return err
	}
}

func join(t *testing.T, g *Group[string], run Run[string]) *Reader[string] {
	t.Helper()
	r, err := g.Join(t.Context(), Place{Key: "key"}, run)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func drain(ctx context.Context, r *Reader[string]) ([]byte, error) {
	defer r.Close()
	var out []byte
	if _, err := r.Head(ctx, 0); err != nil {
		return nil, err
	}
	for {
		b, err := r.Next(ctx)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, b...)
	}
}

func TestEveryByteReachesEveryReaderAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[string](Config{})
		body := &gated{gate: make(chan byte)}
		run := pour(Body{Size: -1, Shared: true, Keep: 1 << 20}, body)
		readers := make([]*Reader[string], 50)
		for i := range readers {
			readers[i] = join(t, g, run)
		}
		for n := range 20 {
			body.gate <- byte(n)
			synctest.Wait()
			for i, r := range readers {
				b, err := r.Next(t.Context())
				if err != nil || len(b) != 1 || b[0] != byte(n) {
					t.Fatalf("D14.12: reader %d got %v, %v after byte %d", i, b, err, n)
				}
			}
		}
		close(body.gate)
		for _, r := range readers {
			if _, err := r.Next(t.Context()); err != io.EOF {
				t.Errorf("end: %v", err)
			}
			r.Close()
		}
		g.Close()
		if s := g.Stats(); s != (Stats{}) {
			t.Errorf("left over: %+v", s)
		}
	})
}

func TestLeaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[string](Config{})
		body := &gated{gate: make(chan byte)}
		run := pour(Body{Size: 1 << 30, Shared: true, Keep: 1 << 31}, body)
		leader, waiter := join(t, g, run), join(t, g, run)
		if !leader.Leader() || waiter.Leader() {
			t.Fatal("the first reader leads")
		}
		leader.Close()
		for range 3 {
			body.gate <- 'x'
			synctest.Wait()
			if b, err := waiter.Next(t.Context()); err != nil || string(b) != "x" {
				t.Fatalf("D14.12: waiter got %q, %v", b, err)
			}
		}
		waiter.Close()
		synctest.Wait()
		if s := g.Stats(); s != (Stats{}) {
			t.Errorf("D14.14: a fill that nobody wants goes on: %+v", s)
		}
		g.Close()
	})
}

func TestWorthFinishing(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name     string
		body     Body
		got      int64
		released bool
		want     bool
	}{
		{"D14.14: half is there", Body{Size: 10 * mib, Keep: 20 * mib, Shared: true}, 5 * mib, false, true},
		{"D14.14: less than half", Body{Size: 10 * mib, Keep: 20 * mib, Shared: true}, 5*mib - 1, false, false},
		{"D14.14: little is missing", Body{Size: mib - 1, Keep: 20 * mib, Shared: true}, 0, false, true},
		{"D14.14: length unknown", Body{Size: -1, Keep: 20 * mib, Shared: true}, mib, false, false},
		{"D14.14: not for the store", Body{Size: mib, Shared: true}, 0, false, false},
		{"a viewer that had enough", Body{Size: -1, Keep: 20 * mib, Shared: true}, 0, true, true},
		{"a viewer that had enough of what is not kept", Body{Size: -1, Shared: true}, 0, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGroup[string](Config{})
				rest := &gated{gate: make(chan byte)}
				var ended error
				r := join(t, g, func(ctx context.Context, f *Fill[string]) error {
					rest.ctx = ctx
					f.Begin("head", tt.body)
					_, _, ended = f.Copy(ctx, io.MultiReader(&endless{left: tt.got}, rest))
					return ended
				})
				if _, err := r.Head(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if tt.released {
					r.Release()
				} else {
					r.Close()
				}
				synctest.Wait()
				if got := g.Stats().Fills == 1; got != tt.want {
					t.Errorf("goes on: %v, want %v", got, tt.want)
				}
				g.Close()
				if ended == nil {
					t.Error("Close did not end a fill without readers")
				}
			})
		})
	}
}

func TestUnsharedReleasesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[string](Config{})
		begin := make(chan struct{})
		body := &gated{gate: make(chan byte)}
		run := func(ctx context.Context, f *Fill[string]) error {
			<-begin
			return pour(Body{Size: -1, Keep: 1 << 20}, body)(ctx, f)
		}
		leader, waiter := join(t, g, run), join(t, g, run)
		close(begin)
		if _, err := waiter.Head(t.Context(), 0); !errors.Is(err, ErrNotShared) {
			t.Errorf("D14.10: waiter: %v", err)
		}
		waiter.Close()
		if h, err := leader.Head(t.Context(), 0); err != nil || h != "head" {
			t.Errorf("leader: %q, %v", h, err)
		}
		other := join(t, g, pour(Body{Size: 0}, &endless{}))
		if !other.Leader() {
			t.Error("D14.10: joined an answer that is not shared")
		}
		other.Close()
		leader.Close()
		g.Close()
	})
}

func TestWaiterLosesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[string](Config{})
		run := func(ctx context.Context, _ *Fill[string]) error {
			<-ctx.Done()
			return ctx.Err()
		}
		leader, waiter := join(t, g, run), join(t, g, run)
		began := time.Now()
		if _, err := waiter.Head(t.Context(), 7*time.Second); !errors.Is(err, ErrLate) {
			t.Errorf("D14.13: %v", err)
		}
		if d := time.Since(began); d != 7*time.Second {
			t.Errorf("D14.13: waited %v", d)
		}
		waiter.Close()
		leader.Close()
		g.Close()
	})
}

func TestThousandJoinOneFill(t *testing.T) {
	g := NewGroup[string](Config{})
	want := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	var runs atomic.Int64
	start := make(chan struct{})
	run := func(ctx context.Context, f *Fill[string]) error {
		runs.Add(1)
		<-start
		return pour(Body{Size: int64(len(want)), Shared: true, Keep: 1 << 20}, bytes.NewReader(want))(ctx, f)
	}
	var wg sync.WaitGroup
	for range 1000 {
		r := join(t, g, run)
		wg.Go(func() {
			got, err := drain(t.Context(), r)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
	close(start)
	wg.Wait()
	g.Close()
	if n := runs.Load(); n != 1 {
		t.Errorf("D14.8: %d runs for 1000 readers", n)
	}
}

func TestWindow(t *testing.T) {
	const window, size = 512 << 10, 16 << 20
	setup := func(t *testing.T, keep int64) (*Group[string], *endless, Run[string]) {
		t.Helper()
		body := &endless{left: size}
		return NewGroup[string](Config{Window: window}), body, pour(Body{Size: -1, Shared: true, Keep: keep}, body)
	}
	t.Run("design 3.9: a lone reader slows the origin down", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, body, run := setup(t, 0)
			r := join(t, g, run)
			synctest.Wait()
			if took := body.took.Load(); took > window {
				t.Errorf("%d bytes taken from the origin, none from the reader", took)
			}
			if got, err := drain(t.Context(), r); err != nil || len(got) != size {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			g.Close()
		})
	})
	for name, keep := range map[string]int64{"not kept": 0, "longer than may be kept": 2 << 20} {
		t.Run("design 3.9: memory is bounded with one stopped reader, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _, run := setup(t, keep)
				begin := make(chan struct{})
				held := func(ctx context.Context, f *Fill[string]) error { <-begin; return run(ctx, f) }
				stopped, reader := join(t, g, held), join(t, g, held)
				close(begin)
				if _, err := stopped.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
				var got, most int64
				for {
					b, err := reader.Next(t.Context())
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					got += int64(len(b))
					most = max(most, g.Stats().Bytes)
				}
				if bound := max(keep, window) + 2*maxChunk; got != size || most > bound {
					t.Errorf("got %d bytes, held up to %d, bound %d", got, most, bound)
				}
				if _, err := stopped.Next(t.Context()); !errors.Is(err, ErrCut) {
					t.Errorf("stopped reader: %v", err)
				}
				stopped.Close()
				reader.Close()
				g.Close()
				if s := g.Stats(); s != (Stats{}) {
					t.Errorf("left over: %+v", s)
				}
			})
		})
	}
}

func TestBytesOfAllFillsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 4 * maxChunk
		g := NewGroup[string](Config{MaxBytes: most})
		var passed atomic.Int32
		begin := make(chan struct{}) // a fill that is ahead may take all that there is
		run := func() Run[string] {
			pour := pour(Body{Size: -1, Shared: true, Keep: 1 << 20, Passed: func() { passed.Add(1) }}, &endless{left: 1 << 20})
			return func(ctx context.Context, f *Fill[string]) error { <-begin; return pour(ctx, f) }
		}
		var readers []*Reader[string]
		for range 4 {
			r, err := g.Alone(t.Context(), run())
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
		}
		if _, err := g.Alone(t.Context(), run()); !errors.Is(err, ErrFull) {
			t.Errorf("design 3.9: a fifth fill: %v", err)
		}
		close(begin)
		synctest.Wait()
		if s := g.Stats(); s.Bytes > most {
			t.Errorf("%d bytes held, bound %d", s.Bytes, most)
		}
		for _, r := range readers {
			if got, err := drain(t.Context(), r); err != nil || len(got) != 1<<20 {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		}
		g.Close()
		if passed.Load() == 0 || g.Stats() != (Stats{}) {
			t.Errorf("passed %d, left over %+v", passed.Load(), g.Stats())
		}
	})
}

func TestOriginFailsMidway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[string](Config{})
		broken := errors.New("broken")
		body := &gated{gate: make(chan byte), fail: broken}
		run := pour(Body{Size: -1, Shared: true, Keep: 1 << 20}, body)
		a, b := join(t, g, run), join(t, g, run)
		body.gate <- 'x'
		close(body.gate)
		for _, r := range []*Reader[string]{a, b} {
			if got, err := drain(t.Context(), r); string(got) != "x" || !errors.Is(err, broken) {
				t.Errorf("D17.12: got %q, %v", got, err)
			}
		}
		g.Close()
	})
}

func TestKeptPieces(t *testing.T) {
	for _, size := range []int64{0, 1, minChunk, minChunk + 1, maxChunk, 3*maxChunk + 7} {
		for _, announced := range []bool{true, false} {
			g := NewGroup[string](Config{})
			b := Body{Size: -1, Shared: true, Keep: 1 << 20}
			if announced {
				b.Size = size
			}
			r := join(t, g, func(ctx context.Context, f *Fill[string]) error {
				f.Begin("head", b)
				pieces, whole, err := f.Copy(ctx, &endless{left: size})
				var n, room int64
				for _, p := range pieces {
					n, room = n+int64(len(p)), room+int64(cap(p))
				}
				// The allocator rounds up by an eighth at most.
				if !whole || n != size || room > size+size/8+64 {
					t.Errorf("%d bytes, announced %v: whole %v, %d bytes in %d", size, announced, whole, n, room)
				}
				return err
			})
			if got, err := drain(t.Context(), r); err != nil || int64(len(got)) != size {
				t.Errorf("got %d bytes of %d, %v", len(got), size, err)
			}
			g.Close()
		}
	}
}

func TestLongerThanAnnounced(t *testing.T) {
	g := NewGroup[string](Config{})
	r := join(t, g, pour(Body{Size: 5, Shared: true, Keep: 100}, &endless{left: 6}))
	if got, err := drain(t.Context(), r); err == nil || len(got) != 5 {
		t.Errorf("D17.12: got %d bytes, %v", len(got), err)
	}
	g.Close()
	if _, err := g.Join(t.Context(), Place{Key: "key"}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Join after Close: %v", err)
	}
}

func TestFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[string](Config{})
		at := func(began, fence int64) Place {
			return Place{Key: "key", Began: invalidation.Moment{Era: 1, Revision: began}, Fence: invalidation.Moment{Era: 1, Revision: fence}}
		}
		var bodies []*gated
		place := func(p Place) (*Reader[string], bool) {
			body := &gated{gate: make(chan byte)}
			r, err := g.Join(t.Context(), p, pour(Body{Size: -1, Shared: true, Keep: 100}, body))
			if err != nil {
				t.Fatal(err)
			}
			if r.Leader() {
				bodies = append(bodies, body)
			}
			return r, r.Leader()
		}
		old, _ := place(at(5, 0))
		joined, leads := place(at(9, 5))
		if leads {
			t.Error("D14.8: not joined although nothing is in between")
		}
		young, leads := place(at(10, 10))
		if !leads {
			t.Error("D25.15: joined a fill from below the fence")
		}
		again, leads := place(at(11, 10))
		if leads {
			t.Error("D14.8: the fill from above the fence is not joined")
		}
		p := at(11, 0)
		p.Began.Era, p.Fence.Era = 2, 2
		other, leads := place(p)
		if !leads {
			t.Error("C8.88: joined a fill of another era")
		}
		synctest.Wait()
		for i, b := range bodies {
			b.gate <- byte(i)
			close(b.gate)
		}
		for r, want := range map[*Reader[string]]byte{old: 0, joined: 0, young: 1, again: 1, other: 2} {
			if got, err := drain(t.Context(), r); err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("read %v, %v; want %v", got, err, want)
			}
		}
		g.Close()
	})
}
