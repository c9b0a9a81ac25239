// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"context"
	"testing"
	"testing/synctest"
)

// Goroutines are used again, and no more than some of them wait.
func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := workers{tasks: make(chan func())}
		for _, tasks := range []int{1, mostIdle + 10, mostIdle, 0} {
			gate, done := make(chan struct{}), make(chan struct{}, tasks)
			for range tasks {
				w.do(func() { <-gate; done <- struct{}{} })
			}
			close(gate)
			for range tasks {
				<-done
			}
			synctest.Wait()
			if n := w.idle.Load(); n > mostIdle {
				t.Errorf("%d goroutines wait after %d tasks", n, tasks)
			}
		}
		if n := w.idle.Load(); n != mostIdle {
			t.Errorf("%d goroutines wait, want %d", n, mostIdle)
		}
		w.stop()
		w.wait()
	})
}

// BenchmarkSmallFill shows what it saves to use goroutines again.
func BenchmarkSmallFill(b *testing.B) {
	g := NewGroup[string](Config{})
	defer g.Close()
	ctx := context.Background()
	body := []byte("hello")
	run := func(ctx context.Context, f *Fill[string]) error {
		deep(64)
		f.Begin("head", Body{Size: 5, Keep: 10, Arrived: body, Whole: true})
		_, _, err := f.Copy(ctx, nil)
		return err
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := g.Alone(ctx, run)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Head(ctx, 0); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// deep uses as much of a stack as asking an origin does, some KiB.
//
//go:noinline
func deep(n int) byte {
	var room [100]byte
	room[n] = byte(n)
	if n > 0 {
		room[0] = deep(n - 1)
	}
	return room[n/2] + room[0]
}
