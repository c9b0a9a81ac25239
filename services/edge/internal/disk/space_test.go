// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"fmt"
	"testing"
)

// settled does what Run does, here and now.
func settled(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for !l.hasRoom() {
		l.evicting.Lock()
		evicted := l.evictOldest(t.Context(), true)
		l.evicting.Unlock()
		if !evicted {
			return
		}
	}
}

func fill(t testing.TB, l *Log, from, to, size int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := putOn(l, fmt.Sprint(i), i, size); err != nil {
			t.Fatal(err)
		}
		settled(t, l)
		if s := l.Stats(); s.Bytes > s.Limit {
			t.Fatalf("%d bytes, limit %d", s.Bytes, s.Limit)
		}
	}
}

func TestLimitCountsAllFiles(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(small(dir))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 600; i += 20 {
		fill(t, l, i, i+20, 7000)
		if n, s := sizeOf(t, dir), l.Stats(); n > s.Bytes || n > s.Limit {
			t.Fatalf("%d bytes in the directory, counted %d, limit %d", n, s.Bytes, s.Limit)
		}
	}
	if s := l.Stats(); s.Evicted == 0 || s.Objects < 150 {
		t.Errorf("stats = %+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n := sizeOf(t, dir); n > l.cfg.Limit {
		t.Errorf("%d bytes after the stop, limit %d", n, l.cfg.Limit)
	}
}

func TestSmallerLimit(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(small(dir))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 0, 300, 5000)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := small(dir)
	cfg.Limit /= 2
	l, err = Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n := sizeOf(t, dir); n > cfg.Limit {
		t.Errorf("%d bytes, limit %d", n, cfg.Limit)
	}
	l.load(t.Context())
	settled(t, l)
	for i := range 300 {
		if v := get(t, l, fmt.Sprint(i)); v >= 0 != (v == i) || v < 0 && i > 200 {
			t.Errorf("key %d: version %d", i, v)
		}
	}
	if r := l.Recovery(); r.Dropped == 0 || !r.Clean {
		t.Errorf("recovery = %+v", r)
	}
	fill(t, l, 300, 400, 5000)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsWantedStays(t *testing.T) {
	l, err := Open(small(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fill(t, l, 0, 10, 1000)
	for i := 10; i < 1500; i++ {
		fill(t, l, i, i+1, 4000)
		for wanted := range 5 {
			if get(t, l, fmt.Sprint(wanted)) != wanted {
				t.Fatalf("key %d is gone when %d is put", wanted, i)
			}
		}
	}
	for other := 5; other < 10; other++ {
		if get(t, l, fmt.Sprint(other)) != -1 {
			t.Errorf("key %d is still there, though nobody asked for it", other)
		}
	}
	if s := l.Stats(); s.Reinserted == 0 {
		t.Errorf("stats = %+v", s)
	}
}

// However much is wanted, a segment leaves at most a quarter of itself behind.
func TestWriteAmplificationIsBounded(t *testing.T) {
	for _, percent := range []int{0, 75, -1} {
		cfg := small(t.TempDir())
		cfg.ReinsertPercent = percent
		l, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			fill(t, l, i, i+1, 6000)
			for back := range 3 { // everything is wanted
				if r, ok := l.Get(t.Context(), fmt.Sprint(i-back)); ok {
					r.Release()
				}
			}
		}
		s := l.Stats()
		bound := s.EvictedSegments * cfg.SegmentBytes * int64(l.cfg.ReinsertPercent) / 100
		if s.ReinsertedBytes > bound || s.ReinsertedBytes < bound/2 {
			t.Errorf("%d percent: %d bytes written anew for %d segments, bound %d", percent, s.ReinsertedBytes, s.EvictedSegments, bound)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReinsertionAsksWhetherItIsAlive(t *testing.T) {
	cfg := small(t.TempDir())
	asked := map[string]Stamp{}
	cfg.Alive = func(r Record) (Stamp, bool) {
		asked[string(r.Key)] = r.Stamp
		if !bytes.HasPrefix(r.Head, append(r.Key, '#')) || r.Size != 4000 {
			t.Errorf("asked about %+v", r)
		}
		return Stamp{1, 1_000_000}, string(r.Key) != "3"
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fill(t, l, 0, 5, 4000)
	for i := 5; i < 600; i++ {
		for wanted := range 5 {
			_, _ = tryGet(t.Context(), l, fmt.Sprint(wanted))
		}
		fill(t, l, i, i+1, 4000)
	}
	for i := range 5 {
		if asked[fmt.Sprint(i)] == (Stamp{}) {
			t.Errorf("not asked about %d", i)
		}
		r, ok := l.Get(t.Context(), fmt.Sprint(i))
		if ok != (i != 3) {
			t.Errorf("key %d: %v", i, ok)
		}
		if ok {
			if r.Stamp() != (Stamp{1, 1_000_000}) {
				t.Errorf("key %d: stamp %v", i, r.Stamp())
			}
			r.Release()
		}
	}
}

// Who sends from a segment goes on when it is gone, is counted, and is told to let go
// when such segments take more than a twentieth.
func TestReadersOfUnlinkedSegments(t *testing.T) {
	dir := t.TempDir()
	cfg := small(dir)
	cfg.Limit = 40 * leastSegment // a twentieth is two segments
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var refs []*Ref
	next := 0
	for len(refs) < 4 { // one of each of four segments, with others between them
		fill(t, l, next, next+1, 10_000)
		r, ok := l.Get(t.Context(), fmt.Sprint(next))
		if !ok {
			t.Fatal("a miss")
		}
		if n := len(refs); n > 0 && refs[n-1].seg.seq+4 > r.seg.seq {
			r.Release()
		} else {
			refs = append(refs, r)
		}
		next++
	}
	isCut := func(r *Ref) bool {
		select {
		case <-r.Cut():
			return true
		default:
			return false
		}
	}
	for !refs[1].seg.unlinked {
		fill(t, l, next, next+1, 10_000)
		next++
	}
	if s := l.Stats(); s.Held < leastSegment || s.Held > 2*leastSegment || isCut(refs[0]) || isCut(refs[1]) {
		t.Errorf("two segments held: %+v", s)
	}
	for !refs[2].seg.unlinked {
		fill(t, l, next, next+1, 10_000)
		next++
	}
	if s := l.Stats(); !isCut(refs[0]) || isCut(refs[1]) || isCut(refs[2]) || s.Cut != 1 || s.Held < 2*leastSegment {
		t.Errorf("three segments held: %+v", s)
	}
	for i, r := range refs {
		p, err := r.Body(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, p.Length)
		if _, err := p.File.ReadAt(b, p.Offset); err != nil {
			t.Fatal(err)
		}
		var version int
		key := string(r.lead[headerBytes : headerBytes+r.h.keyLen])
		if _, err := fmt.Sscan(key, &version); err != nil || !bytes.Equal(b, bodyOf(key, version, 10_000)) {
			t.Errorf("reader %d gets other bytes than of %q", i, key)
		}
		r.Release()
	}
	if s := l.Stats(); s.Held != 0 {
		t.Errorf("all let go: %+v", s)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// Readers that never let go take the room of the cache, not more.
func TestReadersThatNeverLetGo(t *testing.T) {
	l, err := Open(small(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	var refs []*Ref
	for i := range 400 {
		_ = putOn(l, fmt.Sprint(i), i, 10_000) // there is no room in the end
		_ = l.Sync(t.Context())
		if r, ok := l.Get(t.Context(), fmt.Sprint(i)); ok {
			refs = append(refs, r)
		}
		if s := l.Stats(); s.Bytes > s.Limit {
			t.Fatalf("%d bytes, limit %d", s.Bytes, s.Limit)
		}
	}
	s := l.Stats()
	if s.Held == 0 || s.Lost+s.Dropped["no_room"] == 0 || s.State != "serving" {
		t.Errorf("stats = %+v", s)
	}
	for _, r := range refs {
		r.Release()
	}
	if s := l.Stats(); s.Held != 0 {
		t.Errorf("stats = %+v", s)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
