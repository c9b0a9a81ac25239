// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// dripping is a body that gives a byte each second, without end unless ctx has one.
type dripping struct{ ctx context.Context }

func (d *dripping) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = 'x'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func drip(b Body) Run[string] {
	return func(ctx context.Context, f *Fill[string]) error {
		f.Begin("head", b)
		_, _, err := f.Copy(ctx, &dripping{ctx})
		return err
	}
}

// TestUnreadFillsEnd: a viewer that needs no more must not leave an origin request
// behind that never ends: each holds one of the origin's slots.
func TestUnreadFillsEnd(t *testing.T) {
	for name, b := range map[string]Body{
		"D14.14: a viewer that had enough, length unknown":  {Size: -1, Shared: true, Keep: 1 << 20},
		"D14.14: a viewer that had enough, length known":    {Size: 1 << 19, Shared: true, Keep: 1 << 20},
		"D14.14: a viewer that had enough, others may come": {Size: -1, Shared: true, Keep: 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGroup[string](Config{})
				defer g.Close()
				r := join(t, g, drip(b))
				if _, err := r.Head(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				r.Release()
				time.Sleep(unreadTime - 2*time.Second)
				if g.Stats().Fills != 1 {
					t.Error("ended too early")
				}
				// A new reader makes it wanted again, from the time it leaves.
				join(t, g, nil).Release()
				time.Sleep(unreadTime - 2*time.Second)
				if g.Stats().Fills != 1 {
					t.Error("ended too early after another reader")
				}
				time.Sleep(4 * time.Second)
				if s := g.Stats(); s != (Stats{}) {
					t.Errorf("still under way without a reader: %+v", s)
				}
			})
		})
	}
}

// TestCloseEndsWithTheReaders: whatever a fill is worth, Close does not wait for the
// origin once the last reader is gone.
func TestCloseEndsWithTheReaders(t *testing.T) {
	for name, leave := range map[string]func(*Reader[string]){
		"closed": (*Reader[string]).Close, "released": (*Reader[string]).Release,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGroup[string](Config{})
				began := time.Now()
				r := join(t, g, drip(Body{Size: 1 << 10, Shared: true, Keep: 1 << 20}))
				if _, err := r.Head(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				closed := make(chan struct{})
				go func() { g.Close(); close(closed) }()
				synctest.Wait()
				leave(r)
				<-closed
				if d := time.Since(began); d != 0 {
					t.Errorf("Close waited %v for an origin that nobody waits for", d)
				}
			})
		})
	}
}

// TestSmallWindow: who waits for more is never cut, whatever the window.
func TestSmallWindow(t *testing.T) {
	const size = 1 << 20
	g := NewGroup[string](Config{Window: 1})
	r := join(t, g, pour(Body{Size: -1, Shared: true}, &endless{left: size}))
	if got, err := drain(t.Context(), r); err != nil || len(got) != size {
		t.Errorf("design 3.9: a lone reader got %d bytes, %v", len(got), err)
	}
	g.Close()
}

// TestStoppedReadersLeaveRoom: viewers that take nothing of what is not kept cannot
// use up what other fills need to begin and to be kept.
func TestStoppedReadersLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[string](Config{MaxBytes: 64 * maxChunk, Window: 16 * maxChunk})
		var stopped []*Reader[string]
		for range 8 {
			r, err := g.Alone(t.Context(), pour(Body{Size: -1}, &endless{left: 1 << 30}))
			if err != nil {
				t.Fatal(err)
			}
			stopped = append(stopped, r)
		}
		synctest.Wait()
		const size = 8 * maxChunk
		kept := false
		r, err := g.Alone(t.Context(), func(ctx context.Context, f *Fill[string]) (err error) {
			f.Begin("head", Body{Size: size, Keep: size})
			_, kept, err = f.Copy(ctx, &endless{left: size})
			return err
		})
		if err != nil {
			t.Fatalf("design 3.9: a fill beside stopped readers: %v, %+v", err, g.Stats())
		}
		if got, err := drain(t.Context(), r); err != nil || len(got) != size || !kept {
			t.Errorf("design 3.9: got %d bytes, %v, kept %v", len(got), err, kept)
		}
		for _, r := range stopped {
			if b, err := r.Next(t.Context()); err != nil || len(b) == 0 {
				t.Errorf("a stopped reader goes on: %d bytes, %v", len(b), err)
			}
			r.Close()
		}
		g.Close()
		if s := g.Stats(); s != (Stats{}) {
			t.Errorf("left over: %+v", s)
		}
	})
}
