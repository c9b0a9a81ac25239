// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
)

// unsteady is a body that gives its bytes in pieces of random size, now and then
// after a pause, and may break off. Each byte follows from its place.
type unsteady struct {
	ctx    context.Context
	random *rand.Rand
	size   int64
	at     int64
	fails  int64 // where it breaks off, -1 for nowhere
}

var errBroken = errors.New("broken off")

func byteAt(seed byte, at int64) byte { return seed + byte(at%251) }

func (u *unsteady) Read(p []byte) (int, error) {
	if u.random.IntN(4) == 0 {
		select {
		case <-time.After(time.Duration(u.random.IntN(1000)) * time.Millisecond):
		case <-u.ctx.Done():
			return 0, u.ctx.Err()
		}
	}
	if u.at == u.fails {
		return 0, errBroken
	}
	if u.at == u.size {
		return 0, io.EOF
	}
	end := u.size
	if u.fails >= 0 {
		end = min(end, u.fails)
	}
	n := min(int64(len(p)), end-u.at, 1+u.random.Int64N(maxChunk))
	for i := range n {
		p[i] = byteAt(byte(u.size), u.at+i)
	}
	u.at += n
	return int(n), nil
}

// answers is a Run for a random answer.
func answers(t *testing.T, seed uint64) Run[int64] {
	return func(ctx context.Context, f *Fill[int64]) error {
		random := rand.New(rand.NewPCG(seed, 1))
		if random.IntN(10) == 0 {
			return errBroken // without a head
		}
		body := &unsteady{ctx: ctx, random: random, size: random.Int64N(1 << 20), fails: -1}
		if random.IntN(4) == 0 {
			body.fails = random.Int64N(body.size + 1)
		}
		b := Body{Size: -1, Shared: random.IntN(4) > 0, Keep: random.Int64N(1 << 20)}
		if random.IntN(2) == 0 {
			b.Size = body.size
		}
		passed := 0
		b.Passed = func() { passed++ }
		f.Begin(body.size, b)
		pieces, whole, err := f.Copy(ctx, body)
		if got := bytes.Join(pieces, nil); whole && (int64(len(got)) != body.size || passed > 0) || passed > 1 {
			t.Errorf("kept %d bytes of %d, passed %d times", len(got), body.size, passed)
		}
		return err
	}
}

// view is a viewer that behaves at random: it may be slow, leave at any point, or
// have enough. What it gets has to be right up to where it ends.
func view(ctx context.Context, t *testing.T, random *rand.Rand, r *Reader[int64]) {
	defer r.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(20000))*time.Millisecond)
	defer cancel()
	size, err := r.Head(ctx, time.Duration(random.IntN(3000))*time.Millisecond)
	if err != nil {
		return
	}
	var at int64
	for {
		switch random.IntN(40) {
		case 0:
			r.Release()
			return
		case 1:
			return
		case 2:
			time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
		}
		b, err := r.Next(ctx)
		if err == io.EOF {
			if at != size {
				t.Errorf("%d bytes of %d", at, size)
			}
			return
		}
		if err != nil {
			return
		}
		for i := range b {
			if b[i] != byteAt(byte(size), at+int64(i)) {
				t.Errorf("wrong byte at %d of %d", at+int64(i), size)
				return
			}
		}
		at += int64(len(b))
	}
}

// TestStress: whatever origins and viewers do, in whatever order, every byte is the
// right one, the bound on bytes holds, and nothing is left.
func TestStress(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		synctest.Test(t, func(t *testing.T) {
			const most = 12 * maxChunk
			random := rand.New(rand.NewPCG(uint64(round), 2))
			g := NewGroup[int64](Config{MaxBytes: most, Window: 1 + random.Int64N(4*maxChunk)})
			var wg sync.WaitGroup
			for range 60 {
				time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
				if s := g.Stats(); s.Bytes > most || s.Bytes < s.Fills*maxChunk {
					t.Errorf("round %d: %+v, bound %d", round, s, most)
				}
				run, key := answers(t, random.Uint64()), cachekey.Key(rune('a'+random.IntN(4)))
				alone, own := random.IntN(5) == 0, rand.New(rand.NewPCG(random.Uint64(), 3))
				wg.Go(func() {
					place := func() (*Reader[int64], error) { return g.Join(t.Context(), Place{Key: key}, run) }
					if alone {
						place = func() (*Reader[int64], error) { return g.Alone(t.Context(), run) }
					}
					if r, err := place(); err == nil {
						view(t.Context(), t, own, r)
					} else if !errors.Is(err, ErrFull) && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
				})
			}
			if random.IntN(2) == 0 {
				wg.Wait()
			}
			g.Close()
			wg.Wait()
			if s := g.Stats(); s != (Stats{}) {
				t.Errorf("round %d: left over %+v", round, s)
			}
		})
	}
}
