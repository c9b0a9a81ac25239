// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

// A fill whose body is spilled goes on for readers who were cut, and ends with the last.
func TestReadersBehindKeepAFillGoing(t *testing.T) {
	for _, stays := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			const size = 16 << 20
			var spilled int
			g := NewGroup[string](Config{Window: 512 << 10})
			begin := make(chan struct{})
			body := &endless{left: size}
			run := pour(Body{Size: -1, Shared: true, Spill: func(b []byte) error { spilled += len(b); return nil }}, body)
			var ended bool
			held := func(ctx context.Context, f *Fill[string]) error {
				<-begin
				err := run(ctx, f)
				ended = ctx.Err() != nil
				return err
			}
			slow, fast := join(t, g, held), join(t, g, held)
			close(begin)
			for n := 0; n < 2<<20; {
				b, err := fast.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				n += len(b)
			}
			if _, err := slow.Next(t.Context()); !errors.Is(err, ErrCut) {
				t.Fatalf("design 3.9: the slow reader: %v", err)
			}
			if !stays {
				slow.Close()
				slow.Close()
			}
			fast.Close()
			synctest.Wait()
			if ended == stays || stays && spilled != size {
				t.Errorf("design 3.9: reader behind stays: %v; fill ended: %v; %d bytes spilled", stays, ended, spilled)
			}
			slow.Close()
			g.Close()
			if s := g.Stats(); s != (Stats{}) {
				t.Errorf("left over: %+v", s)
			}
			if _, err := slow.Next(t.Context()); errors.Is(err, io.EOF) {
				t.Error("a reader that was cut has the whole body")
			}
		})
	}
}
