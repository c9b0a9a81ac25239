// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// model is what a log may say of each key: every version that was put since the last
// removal that is durable. While nothing crashes only the last step counts.
type model struct {
	steps   map[string][]int // versions, -1 for a removal
	durable map[string]int   // how many of them end with a removal that is on disk
	begun   map[string]int   // how many of them were before the last crash
	exact   map[string]bool  // nothing has crashed since the last step
}

func (m *model) step(key string, version int) {
	m.steps[key] = append(m.steps[key], version)
	m.exact[key] = true
}

// synced makes the last removal of each key durable.
func (m *model) synced() {
	for key, steps := range m.steps {
		for i, v := range steps {
			if v < 0 && i >= m.begun[key] {
				m.durable[key] = max(m.durable[key], i+1)
			}
		}
	}
}

func (m *model) crashed() {
	clear(m.exact)
	for key, steps := range m.steps {
		m.begun[key] = len(steps)
	}
}

func (m *model) allows(key string, version int) bool {
	steps := m.steps[key]
	if version < 0 {
		return true // anything may be evicted or lost
	}
	if m.exact[key] {
		return steps[len(steps)-1] == version
	}
	for _, v := range steps[m.durable[key]:] {
		if v == version {
			return true
		}
	}
	return false
}

var errCrash = errors.New("the process has been killed")

// world is a log in a directory, and what is done to it.
type world struct {
	t   *rapid.T
	dir string
	fs  *flaky
	log *Log
	model
	left int // writes until the crash
	next int // version
}

func (w *world) open() {
	w.fs = newFlaky()
	w.left = rapid.IntRange(1, 60).Draw(w.t, "writes until the crash")
	mode := rapid.IntRange(0, 1).Draw(w.t, "torn")
	left := w.left
	w.fs.fault = func(op, _ string) error { // called under the lock of fs
		if op == "read" || op == "open" {
			return nil
		}
		if left--; left > 0 {
			return nil
		}
		if left == 0 && mode == 1 {
			return torn{errCrash}
		}
		return errCrash
	}
	cfg := small(w.dir)
	cfg.Limit, cfg.files = 18*leastSegment, w.fs
	l, err := Open(cfg)
	if err != nil {
		if errors.Is(err, errCrash) {
			w.open()
			return
		}
		w.t.Fatal(err)
	}
	w.log = l
}

// work does what Run does, as far as it gets.
func (w *world) work() {
	l, ctx := w.log, w.t.Context()
	l.writing.Lock()
	l.drain(ctx)
	l.writing.Unlock()
	_ = l.settleSealed(ctx)
	for !l.hasRoom() {
		l.evicting.Lock()
		evicted := l.evictOldest(ctx, true)
		l.evicting.Unlock()
		if !evicted {
			break
		}
	}
}

// crash leaves the log as it is, spoils what is not durable, and opens it again.
func (w *world) crash() {
	w.fs.fails(func(op, _ string) error {
		if op == "read" {
			return nil
		}
		return errCrash
	})
	w.log.state.CompareAndSwap(int32(serving), int32(out))
	if err := w.log.Close(); err != nil {
		w.t.Fatal(err)
	}
	seed := rapid.Uint64().Draw(w.t, "garbage")
	if seed%3 > 0 {
		w.spoil(rand.New(rand.NewPCG(seed, 1)))
	}
	w.crashed()
	w.open()
}

// spoil cuts off or garbles what was written last and not synced.
func (w *world) spoil(r *rand.Rand) {
	names, _ := filepath.Glob(filepath.Join(w.dir, "*"+segmentSuffix))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		from, known := w.fs.synced[name]
		if !known { // of an earlier life, and all there since
			continue
		}
		if n := int64(len(b)) - from; n > 0 {
			if at := from + r.Int64N(n); r.IntN(2) == 0 {
				b = b[:at]
			} else {
				for i := at; i < int64(len(b)); i += 1 + r.Int64N(64) {
					b[i] ^= byte(r.Uint32())
				}
			}
			if err := os.WriteFile(name, b, 0o600); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *world) check(key string) {
	version, err := tryGet(w.t.Context(), w.log, key)
	if err != nil {
		w.t.Fatal(err)
	}
	if !w.allows(key, version) {
		w.t.Fatalf("%s: version %d; steps %v, durable %d, exact %v", key, version, w.steps[key], w.durable[key], w.exact[key])
	}
}

func (w *world) do() {
	key := fmt.Sprint("key", rapid.IntRange(0, 12).Draw(w.t, "key"))
	switch what := rapid.IntRange(0, 19).Draw(w.t, "step"); {
	case what < 8:
		w.next++
		size := rapid.SampledFrom([]int{0, 10, 1000, 9000, 40_000}).Draw(w.t, "size")
		if putOn(w.log, key, w.next, size) == nil {
			w.step(key, w.next)
		} else {
			w.step(key, -1)
		}
	case what < 12:
		w.log.Delete(key)
		w.step(key, -1)
	case what < 14:
		w.work()
	case what < 16:
		if w.log.Sync(w.t.Context()) == nil {
			w.synced()
		}
	case what < 18:
		w.log.load(w.t.Context())
	case what < 19:
		w.crash()
	default:
		serves := w.log.state.Load() == int32(serving)
		if err := w.log.Close(); err == nil && serves && w.log.state.Load() == int32(closed) && !w.log.disowned && len(w.log.owed) == 0 {
			w.synced()
		}
		w.crashed()
		w.open()
	}
	w.check(key)
}

// TestLogIsItsModel does at random what can be done, with a crash at any write, and
// holds what is found against a list of what was done.
func TestLogIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "disk")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		w := &world{t: t, dir: dir, model: model{steps: map[string][]int{}, durable: map[string]int{}, begun: map[string]int{}, exact: map[string]bool{}}}
		w.open()
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			w.do()
		}
		w.crash()
		w.log.load(t.Context())
		for i := range 13 {
			w.check(fmt.Sprint("key", i))
		}
		w.log.state.CompareAndSwap(int32(serving), int32(out))
		if err := w.log.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
