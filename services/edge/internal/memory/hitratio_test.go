// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/services/edge/internal/memory/hitratio"
)

// ours is the rule of this package over bare sizes, without segments.
func ours() hitratio.Rule {
	return hitratio.Rule{Name: "seafront", New: func(_ *hitratio.Trace, capacity int64) hitratio.Cache {
		c := &bare{shadows: newShadows(1 << 40)}
		c.prepare(modes()[0])
		c.capacity = capacity
		c.shadows.resize(capacity)
		return c
	}}
}

type bare struct {
	shadow
	shadows *shadows
}

// Request does what Get, and Put after a miss, do.
func (c *bare) Request(key int32, size int64) bool {
	hash := spread(uint64(key))
	_, hit := c.ids[hash]
	c.request(hash, uint32(size))
	pressed := c.order.bytes() > c.capacity/pressure
	if pressed && c.shadows.sampled(hash) && (!hit || c.shadows.news(hash, c.now.Load())) {
		if m, changed := c.shadows.request(hash, uint32(size)); changed {
			c.setMode(m)
		}
	}
	return hit
}

// spread makes a hash of a dense number.
func spread(x uint64) uint64 {
	x = (x + 1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// blockOf is the block of a record of size 1 in a Store under a trace.
const blockOf = 64

// filled is a real Store that has room for as many blocks as capacity says. It takes
// traces of unit size.
func filled(t testing.TB) hitratio.Rule {
	return hitratio.Rule{Name: "seafront, whole store", New: func(_ *hitratio.Trace, capacity int64) hitratio.Cache {
		s, err := New(Config{Limit: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		room := capacity * blockOf
		s.log = newLog(int(max(room/128, leastSegment)) &^ (alignment - 1))
		s.log.move = s.move
		for s.log.room() < room {
			s.log.most++
		}
		for int64(len(s.entries.chunks)*entriesInChunk) < 2*capacity { // entries are no part of what is compared
			if err := s.entries.grow(); err != nil {
				t.Fatal(err)
			}
		}
		s.limit = s.overhead() + int64(s.log.most)*int64(s.log.segmentSize)
		s.order.capacity = room
		s.shadows.resize(room)
		return &unit{s}
	}}
}

type unit struct{ *Store }

func (c *unit) Request(key int32, _ int64) bool {
	var k [8]byte
	binary.LittleEndian.PutUint64(k[:], uint64(key))
	if r, ok := c.Get(k[:]); ok {
		r.Release()
		return true
	}
	c.Set(k[:], blockOf-headSize-len(k), func([]byte) {})
	return false
}

// The bars: never more misses than LRU, in objects and in bytes, and at most one point
// more than S3-FIFO. A few hundredths are for the time that learning takes.
func TestRuleHoldsItsOwn(t *testing.T) {
	const point, learning = 0.01, 0.0025
	for _, trace := range hitratio.Generated(60_000) {
		for _, part := range []int64{20, 5} {
			capacity := trace.Bytes / part
			got := hitratio.Replay(trace, ours().New(trace, capacity))
			lru := hitratio.Replay(trace, hitratio.LRU().New(trace, capacity))
			s3 := hitratio.Replay(trace, hitratio.S3FIFO().New(trace, capacity))
			if got.Objects > lru.Objects+learning || got.Bytes > lru.Bytes+learning {
				t.Errorf("%s, 1/%d: misses %.4f, LRU %.4f", trace.Name, part, got, lru)
			}
			if got.Objects > s3.Objects+point {
				t.Errorf("%s, 1/%d: misses %.4f, S3-FIFO %.4f", trace.Name, part, got, s3)
			}
		}
	}
}

// A whole store does what its rule does.
func TestStoreFollowsTheRule(t *testing.T) {
	for _, trace := range []*hitratio.Trace{
		hitratio.Zipf(1, 0.9, 20_000, 100_000), hitratio.Stack(1, 0.8, 0.1, 100_000), hitratio.Scan(1, 10_000, 100_000),
	} {
		capacity := trace.Bytes / 10
		got := hitratio.Replay(trace, filled(t).New(trace, capacity))
		want := hitratio.Replay(trace, ours().New(trace, capacity))
		// Segments make its room a little larger than that of the rule.
		if d := got.Objects - want.Objects; d > 0.015 || d < -0.03 {
			t.Errorf("%s: misses %.4f, the rule %.4f", trace.Name, got.Objects, want.Objects)
		}
	}
}

// writeTrace writes a small trace with sizes, as text.
func writeTrace(t *testing.T, name string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	var text strings.Builder
	for i := range 5_000 {
		key := random.IntN(1 + random.IntN(500))
		fmt.Fprintf(&text, "%d %d %d\n", i, key, 100+key%7*50)
	}
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTraces compares the rules on the traces of a directory: run `make hitratio`.
// Without one it shows on a small trace of its own that the comparison works.
func TestTraces(t *testing.T) {
	dir := os.Getenv("SEAFRONT_TRACES")
	if dir == "" {
		dir = t.TempDir()
		writeTrace(t, filepath.Join(dir, "small.trace"))
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.IsDir() || filepath.Ext(name) == ".md" {
			continue
		}
		trace, err := hitratio.Open(name)
		if err != nil {
			t.Error(err)
			continue
		}
		read++
		t.Log("\n" + table(t, trace))
	}
	if read == 0 {
		t.Errorf("no trace in %s", dir)
	}
}

// table replays a trace by all rules.
func table(t *testing.T, trace *hitratio.Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d requests of %d objects, %d bytes\n\n", trace.Name, len(trace.Requests), trace.Objects, trace.Bytes)
	b.WriteString("| rule | 1 %: objects, bytes | 5 % | 20 % |\n|---|---|---|---|\n")
	rules := append(hitratio.Rules(), ours())
	if int64(trace.Objects) == trace.Bytes {
		rules = append(rules, filled(t))
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "| %s |", r.Name)
		for _, percent := range []int64{1, 5, 20} {
			m := hitratio.Replay(trace, r.New(trace, max(trace.Bytes*percent/100, 1)))
			fmt.Fprintf(&b, " %.4f, %.4f |", m.Objects, m.Bytes)
		}
		b.WriteString("\n")
	}
	return b.String()
}
