// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a writer whose state tests can set and read.
type sink struct {
	mu     sync.Mutex // guards the rest
	all    bytes.Buffer
	writes int
	take   int // bytes to take before failing; below zero all
	hold   chan struct{}
}

func newSink() *sink { return &sink{take: -1} }

var errFull = errors.New("disk is full")

func (s *sink) Write(p []byte) (int, error) {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.take >= 0 && s.take < len(p) {
		n := s.take
		s.all.Write(p[:n])
		s.take = 0
		return n, errFull
	}
	s.all.Write(p)
	return len(p), nil
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

func (s *sink) state() (bytes, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Len(), s.writes
}

// running runs a Log in a bubble until the test is over.
func running(t *testing.T, cfg Config, shards int, test func(*Log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLog(cfg, shards)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := l.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		test(l)
		cancel()
		wg.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func event(path string) *Event {
	return &Event{Time: time.Now(), Method: "GET", Host: "a.test", Path: path, Protocol: "HTTP/1.1", Status: 200, Outcome: "hit", Result: "Hit"}
}

func TestFlush(t *testing.T) {
	t.Run("after a second", func(t *testing.T) {
		to := newSink()
		running(t, Config{To: to}, 1, func(l *Log) {
			l.Append(event("/1"))
			l.Append(event("/2"))
			time.Sleep(time.Second - 1)
			if n, _ := to.state(); n != 0 {
				t.Errorf("%d bytes before", n)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if _, writes := to.state(); writes != 1 || strings.Count(to.text(), "\n") != 2 {
				t.Errorf("%d writes: %s", writes, to.text())
			}
		})
	})
	t.Run("at 64 KiB", func(t *testing.T) {
		to := newSink()
		running(t, Config{To: to}, 1, func(l *Log) {
			for sent := 0; sent < enough; sent += len(line(event("/1"))) {
				l.Append(event("/1"))
			}
			synctest.Wait()
			if n, writes := to.state(); n < enough || writes != 1 {
				t.Errorf("%d bytes in %d writes", n, writes)
			}
		})
	})
	t.Run("at the end", func(t *testing.T) {
		to := newSink()
		running(t, Config{To: to}, 4, func(l *Log) {
			for range 100 {
				l.Append(event("/1"))
			}
		})
		if got := strings.Count(to.text(), "\n"); got != 100 {
			t.Errorf("%d lines", got)
		}
	})
}

// TestSlowWriter: requests go on, what finds no room is counted, and nothing that was
// taken is lost.
func TestSlowWriter(t *testing.T) {
	to := newSink()
	var dropped int64
	running(t, Config{To: to}, 2, func(l *Log) {
		const many = 20000
		to.hold = make(chan struct{}) // of the bubble
		for range many {
			l.Append(event("/" + strings.Repeat("a", 100)))
		}
		synctest.Wait()
		if dropped = l.Counts().Dropped; dropped == 0 {
			t.Error("nothing is dropped")
		}
		close(to.hold)
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		c := l.Counts()
		if lines := int64(strings.Count(to.text(), "\n")); c.Written != lines || c.Written+c.Dropped != many || c.Lost != 0 {
			t.Errorf("%+v, %d lines", c, lines)
		}
		l.Append(event("/after"))
	})
	if !strings.HasSuffix(to.text(), "}\n") || !strings.Contains(to.text(), "/after") {
		t.Error("the log does not go on")
	}
}

// TestWriterThatStops: it does not keep the program from ending.
func TestWriterThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newSink()
		to.hold = make(chan struct{})
		l := newLog(Config{To: to}, 1)
		l.Append(event("/"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := l.Run(ctx)
		if got := time.Since(began); err == nil || got != time.Minute+DefaultGrace {
			t.Errorf("ended after %v: %v", got, err)
		}
		if err := l.Close(); err == nil {
			t.Error("closed while it is written")
		}
		close(to.hold)
	})
}

// TestFailingWriter: what cannot be written is counted and told once, and a line that
// was cut does not spoil the next.
func TestFailingWriter(t *testing.T) {
	to := newSink()
	var told bytes.Buffer
	log := slog.New(slog.NewTextHandler(&told, nil))
	running(t, Config{To: to, Log: log}, 1, func(l *Log) {
		one := len(line(event("/1")))
		step := func(take int) {
			to.mu.Lock()
			to.take = take
			to.mu.Unlock()
			l.Append(event("/1"))
			l.Append(event("/2"))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		step(one + 10)
		if c := l.Counts(); c != (Counts{Written: 1, Lost: 1}) {
			t.Errorf("cut: %+v", c)
		}
		step(0)
		if c := l.Counts(); c != (Counts{Written: 1, Lost: 3}) {
			t.Errorf("refused: %+v", c)
		}
		step(-1)
		if c := l.Counts(); c != (Counts{Written: 3, Lost: 3}) {
			t.Errorf("written again: %+v", c)
		}
	})
	var whole int
	for l := range strings.Lines(to.text()) {
		if json.Valid([]byte(l)) {
			whole++
		}
	}
	if whole != 3 {
		t.Errorf("%d whole lines in %s", whole, to.text())
	}
	if got := told.String(); strings.Count(got, "level=ERROR") != 1 || strings.Count(got, "level=INFO") != 1 || !strings.Contains(got, "disk is full") {
		t.Errorf("told: %s", got)
	}
}

// TestManyAtOnce: each line is there once and whole.
func TestManyAtOnce(t *testing.T) {
	const workers, each = 8, 2000
	to := newSink()
	l := New(Config{To: to, Interval: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var run, wg sync.WaitGroup
	run.Go(func() { _ = l.Run(ctx) })
	for w := range workers {
		wg.Go(func() {
			for n := range each {
				l.Append(event(fmt.Sprintf("/%d/%d", w, n)))
			}
		})
	}
	wg.Wait()
	cancel()
	run.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for s := range strings.Lines(to.text()) {
		var e struct{ Path string }
		if err := json.Unmarshal([]byte(s), &e); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		seen[e.Path]++
	}
	c := l.Counts()
	if int64(len(seen)) != c.Written || c.Written+c.Dropped != workers*each {
		t.Errorf("%d lines, %+v", len(seen), c)
	}
}

// TestAppendAllocates: nothing.
func TestAppendAllocates(t *testing.T) {
	l := newLog(Config{To: io.Discard}, 4)
	e := full()
	if n := testing.AllocsPerRun(100, func() { l.Append(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var off *Log
	off.Append(e)
	if err := errors.Join(off.Measure(noop.NewMeterProvider()), off.Close()); err != nil || off.Counts() != (Counts{}) {
		t.Error(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := w.(*File)
	if !ok {
		t.Fatalf("%T", w)
	}
	l := newLog(Config{To: f}, 1)
	l.Append(event("/1"))
	l.flush(0)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Append(event("/2"))
	l.flush(0)
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Append(event("/3"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{path: 1, path + ".1": 2} {
		b, err := os.ReadFile(name)
		if err != nil || bytes.Count(b, []byte("\n")) != want {
			t.Errorf("%s: %s, %v, want %d lines", name, b, err, want)
		}
	}
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err = OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("opened in a directory that is gone")
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Errorf("the old file is not in use any more: %v", err)
	}
	_ = f.Close()
}

func TestOpen(t *testing.T) {
	for _, value := range []string{"", Off} {
		if w, err := Open(value, io.Discard); w != nil || err != nil {
			t.Errorf("%q: %v, %v", value, w, err)
		}
	}
	var out bytes.Buffer
	w, err := Open(Stdout, &out)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := w.(io.Closer); ok {
		t.Error("stdout would be closed")
	}
	if _, err := io.WriteString(w, "x"); err != nil || out.String() != "x" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "file"), nil); err == nil {
		t.Error("opened in a directory that is not there")
	}
}

func BenchmarkAppend(b *testing.B) {
	l := New(Config{To: io.Discard})
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	e := event("/assets/app.js")
	e.RequestID, e.Distribution, e.Behavior, e.Revision, e.Duration = "0123456789abcdef==", "E1", "*", 7, time.Millisecond
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Append(e)
		}
	})
	cancel()
	wg.Wait()
}
