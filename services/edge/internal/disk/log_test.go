// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPutGetDelete(t *testing.T) {
	l := start(t, small(t.TempDir()))
	defer l.close()
	for _, size := range []int{0, 1, 7, 8, 1000, 40_000} {
		key := fmt.Sprint("key", size)
		if get(t, l.Log, key) != -1 {
			t.Fatalf("%s: there before it was put", key)
		}
		l.put(key, 1, size)
		if got := get(t, l.Log, key); got != 1 {
			t.Errorf("%s: at once: version %d", key, got)
		}
		l.sync()
		if got := get(t, l.Log, key); got != 1 {
			t.Errorf("%s: from its file: version %d", key, got)
		}
		l.put(key, 2, size/2)
		if got := get(t, l.Log, key); got != 2 {
			t.Errorf("%s: replaced: version %d", key, got)
		}
		l.Delete(key)
		if got := get(t, l.Log, key); got != -1 {
			t.Errorf("%s: deleted: version %d", key, got)
		}
	}
	if s := l.Stats(); s.Objects != 0 || s.RecordBytes != 0 || s.Puts != 12 || s.Removals != 6 {
		t.Errorf("stats = %+v", s)
	}
}

func TestLargestRecord(t *testing.T) {
	l := start(t, Config{Dir: t.TempDir(), Limit: 32 << 20})
	defer l.close()
	key := strings.Repeat("k", MaxKey)
	head, body := bytes.Repeat([]byte("h"), MaxHead), bytes.Repeat([]byte("b"), MaxBody)
	if err := l.Put(key, Stamp{1, 1}, head, body); err != nil {
		t.Fatal(err)
	}
	l.sync()
	r, ok := l.Get(t.Context(), key)
	if !ok {
		t.Fatal("a miss")
	}
	defer r.Release()
	got, err := r.Append(t.Context(), []byte("before"))
	if err != nil || !bytes.Equal(r.Head(), head) || !bytes.Equal(got, append([]byte("before"), body...)) {
		t.Errorf("something else comes back: %v", err)
	}
	for name, err := range map[string]error{
		"key":  l.Put(key+"k", Stamp{}, nil),
		"head": l.Put("k", Stamp{}, append(head, 'h')),
		"body": l.Put("k", Stamp{}, nil, body, []byte("b")),
	} {
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("a larger %s: %v", name, err)
		}
	}
	if n := l.Stats().Dropped["too_large"]; n != 3 {
		t.Errorf("%d dropped", n)
	}
}

func TestWhatIsNotStoredReplacesAllTheSame(t *testing.T) {
	l := start(t, small(t.TempDir()))
	defer l.close()
	l.put("k", 1, 10)
	if err := l.Put("k", Stamp{}, nil, make([]byte, leastSegment)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if got := get(t, l.Log, "k"); got != -1 {
		t.Errorf("version %d is still there", got)
	}
}

func TestReadAt(t *testing.T) {
	l := start(t, small(t.TempDir()))
	defer l.close()
	for _, written := range []bool{false, true} {
		l.put("k", 1, 1000)
		if written {
			l.sync()
		}
		r, ok := l.Get(t.Context(), "k")
		if !ok {
			t.Fatal("a miss")
		}
		body := bodyOf("k", 1, 1000)
		for _, tt := range []struct{ at, n, want int }{{0, 1000, 1000}, {10, 5, 5}, {990, 20, 10}, {1000, 1, 0}, {-1, 1, 0}} {
			b := make([]byte, tt.n)
			n, err := r.ReadAt(t.Context(), b, int64(tt.at))
			if n != tt.want || (n < tt.n) != (err == io.EOF) || n > 0 && !bytes.Equal(b[:n], body[tt.at:tt.at+n]) {
				t.Errorf("ReadAt(%d, %d) = %d, %v", tt.n, tt.at, n, err)
			}
		}
		r.Release()
	}
}

func TestGetEndsWithItsContext(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Readers, cfg.Verifiers = 1, 1
	l := start(t, cfg)
	l.put("k", 1, 1000)
	l.close()
	l = start(t, cfg)
	defer l.close()
	<-l.Loaded()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	l.readers <- struct{}{}
	if _, ok := l.Get(ended, "k"); ok {
		t.Error("found without reading")
	}
	<-l.readers
	r, ok := l.Get(t.Context(), "k")
	if !ok {
		t.Fatal("a miss")
	}
	defer r.Release()
	l.verifiers <- struct{}{}
	if _, err := r.Body(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Body: %v", err)
	}
	<-l.verifiers
	for range 3 {
		if _, err := r.Body(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := l.Stats().Verified; n != 1 {
		t.Errorf("checked %d times", n)
	}
}

func TestCleanStop(t *testing.T) {
	dir := t.TempDir()
	l := start(t, small(dir))
	for i := range 100 {
		l.put(fmt.Sprint(i), i, 100*i%5000)
	}
	l.Delete("7")
	l.put("8", 1000, 50)
	l.close()
	if _, err := os.Stat(filepath.Join(dir, snapshotName)); err != nil {
		t.Fatal(err)
	}
	if l.Resuming() {
		t.Error("an empty log resumes")
	}
	opened, err := Open(small(dir))
	if err != nil {
		t.Fatal(err)
	}
	if !opened.Resuming() {
		t.Error("what has an index to read does not resume")
	}
	l = run(t, opened)
	defer l.close()
	<-l.Loaded()
	if r := l.Recovery(); !r.Clean || r.Scanned != 0 || r.Dropped != 0 || r.Loading || l.Resuming() {
		t.Errorf("recovery = %+v", r)
	}
	if _, err := os.Stat(filepath.Join(dir, snapshotName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the index is still there: %v", err)
	}
	for i := range 100 {
		want := i
		switch i {
		case 7:
			want = -1
		case 8:
			want = 1000
		}
		if got := get(t, l.Log, fmt.Sprint(i)); got != want {
			t.Errorf("key %d: version %d, want %d", i, got, want)
		}
	}
}

func TestNothingIsWrittenBecauseOfAStart(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		l := start(t, small(dir))
		<-l.Loaded()
		l.close()
	}
	if files := segmentFiles(t, dir); len(files) != 0 {
		t.Errorf("segments: %q", files)
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	l := start(t, small(dir))
	defer l.close()
	if _, err := Open(small(dir)); err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second one: %v", err)
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no directory", Config{Limit: 1 << 30}, "no directory"},
		{"too small", Config{Dir: dir, Limit: 31 << 20}, "too small"},
		{"negative", Config{Dir: dir, Limit: -1}, "too small"},
		{"small segments", Config{Dir: dir, Limit: 1 << 30, SegmentBytes: 1000}, "segments of 1000 bytes"},
		{"large segments", Config{Dir: dir, Limit: 1 << 40, SegmentBytes: 2 << 30}, "segments of"},
		{"few segments", Config{Dir: dir, Limit: 1 << 30, SegmentBytes: 128 << 20}, "too small"},
		{"many segments", Config{Dir: dir, Limit: 2 << 30, SegmentBytes: 64 << 10}, "at most"},
		{"reinsertion", Config{Dir: dir, Limit: 1 << 30, ReinsertPercent: 76}, "at most 75"},
		{"no place", Config{Dir: filepath.Join(dir, "file", "x"), Limit: 1 << 30}, "not a directory"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, tt := range []struct{ limit, segment int64 }{
		{32 << 20, 2 << 20}, {1 << 30, 32 << 20}, {10 << 30, 64 << 20}, {1 << 40, 1 << 30}, {10 << 40, 1 << 30},
	} {
		c, err := Config{Dir: dir, Limit: tt.limit}.withDefaults()
		if err != nil || c.SegmentBytes != tt.segment {
			t.Errorf("limit %d: segments of %d, %v", tt.limit, c.SegmentBytes, err)
		}
	}
}

func TestClosed(t *testing.T) {
	l := start(t, small(t.TempDir()))
	l.put("k", 1, 5000)
	l.sync()
	r, ok := l.Get(t.Context(), "k")
	if !ok {
		t.Fatal("a miss")
	}
	l.close()
	if err := putOn(l.Log, "k", 2, 10); !errors.Is(err, ErrClosed) {
		t.Errorf("Put: %v", err)
	}
	if got := get(t, l.Log, "k"); got != -1 {
		t.Errorf("Get: version %d", got)
	}
	l.Delete("k")
	p, err := r.Body(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, p.Length)
	if _, err := p.File.ReadAt(b, p.Offset); err != nil || !bytes.Equal(b, bodyOf("k", 1, 5000)) {
		t.Errorf("what is held after the stop: %v", err)
	}
	r.Release()
}

func TestBusy(t *testing.T) {
	cfg := small(t.TempDir())
	cfg.Limit, cfg.BufferBytes = 64<<20, leastBuffer
	l, err := Open(cfg) // nobody writes
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	for i := range 1000 {
		err := putOn(l, fmt.Sprint(i), 1, 30_000)
		if err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		if err == nil {
			stored++
		}
	}
	s := l.Stats()
	if s.Queued > leastBuffer || stored < 100 || s.Dropped["busy"] != int64(1000-stored) {
		t.Errorf("%d stored, %+v", stored, s)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range stored {
		if got := get(t, l, fmt.Sprint(i)); got != 1 {
			t.Fatalf("key %d: version %d", i, got)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestTogether lets everybody do everything at once, for the race detector.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	cfg := small(dir)
	cfg.Limit = 4 << 20
	for range 2 {
		l := start(t, cfg)
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 1500 {
					key := fmt.Sprint(w, "/", i%97)
					switch {
					case i%11 == 0:
						l.Delete(key)
					case i%3 == 0:
						_ = putOn(l.Log, key, i, i*37%20_000) // may be busy
					default:
						if _, err := tryGet(t.Context(), l.Log, fmt.Sprint(i%4, "/", i%97)); err != nil {
							t.Error(err)
						}
					}
					if i%500 == 0 {
						_ = l.Range(t.Context(), func(Record) bool { return true })
						_ = l.Stats()
						if err := l.Sync(t.Context()); err != nil {
							t.Error(err)
						}
						l.Oldest(1)
					}
				}
			})
		}
		wg.Wait()
		if s := l.Stats(); s.Bytes > cfg.Limit || s.Faults != 0 || s.FailedChecks != 0 {
			t.Errorf("stats = %+v", s)
		}
		l.close()
		if n := sizeOf(t, dir); n > cfg.Limit {
			t.Errorf("%d bytes in the directory, limit %d", n, cfg.Limit)
		}
	}
}

func TestOldestAndSweep(t *testing.T) {
	dir := t.TempDir()
	l := start(t, small(dir))
	if got := l.Oldest(1); got != math.MaxInt64 {
		t.Errorf("of nothing: %d", got)
	}
	for i := 10; i < 60; i++ {
		l.put(fmt.Sprint(i), i, 3000)
	}
	if err := l.Put("other", Stamp{Era: 2, Revision: 5}, nil); err != nil {
		t.Fatal(err)
	}
	if a, b, c := l.Oldest(1), l.Oldest(2), l.Oldest(3); a != 10 || b != 5 || c != math.MaxInt64 {
		t.Errorf("oldest = %d, %d, %d", a, b, c)
	}
	seen := 0
	at := Stamp{Era: 1, Revision: 100}
	err := l.Sweep(t.Context(), at, func(r Record) bool {
		seen++
		if seen == 1 {
			l.put("late", 50, 100)
		}
		if string(r.Key) == "other" {
			return r.Stamp == Stamp{Era: 2, Revision: 5}
		}
		if string(r.Key) == "late" {
			return true
		}
		var key, version int
		if _, err := fmt.Sscanf(string(r.Head), "%d#%d", &key, &version); err != nil || fmt.Sprint(key) != string(r.Key) || r.Stamp.Revision != int64(version) {
			t.Errorf("record %+v", r)
		}
		return key%2 == 0
	})
	if err != nil || seen < 51 {
		t.Fatalf("%d seen, %v", seen, err)
	}
	check := func() {
		t.Helper()
		for i := 10; i < 60; i++ {
			r, ok := l.Get(t.Context(), fmt.Sprint(i))
			if ok != (i%2 == 0) {
				t.Errorf("key %d: %v", i, ok)
			}
			if ok {
				if r.Stamp() != at {
					t.Errorf("key %d: stamp %v", i, r.Stamp())
				}
				r.Release()
			}
		}
		r, ok := l.Get(t.Context(), "late")
		if !ok {
			t.Fatal("what was put meanwhile is gone")
		}
		if got := r.Stamp(); got.Revision != 50 && got != at {
			t.Errorf("stamp of what was put meanwhile: %v", got)
		}
		r.Release()
		if got := l.Oldest(1); got > 50 && got != 100 {
			t.Errorf("oldest = %d", got)
		}
	}
	check()
	l.sync()
	l.kill()
	l = start(t, small(dir))
	<-l.Loaded()
	check()
	l.close()
	l = start(t, small(dir))
	<-l.Loaded()
	check()
	l.close()
}

func TestSweepWhileLoading(t *testing.T) {
	dir := t.TempDir()
	l := start(t, small(dir))
	l.put("k", 1, 10)
	l.close()
	again, err := Open(small(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Range(t.Context(), nil); !errors.Is(err, ErrLoading) {
		t.Errorf("Range: %v", err)
	}
	if got := again.Oldest(1); got != math.MinInt64 {
		t.Errorf("oldest = %d", got)
	}
}
