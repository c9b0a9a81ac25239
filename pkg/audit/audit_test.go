// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a log that is written until stop.
func running(t *testing.T, cfg Config) (l *Log, stop func()) {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	return l, func() {
		cancel()
		wg.Wait()
	}
}

// await waits until a file holds text.
func await(t *testing.T, path, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if b, _ := os.ReadFile(path); strings.Contains(string(b), text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s never holds %q", path, text)
		}
	}
}

func TestEveryLineIsWrittenBeforeTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	l, stop := running(t, Config{Path: path})
	var calls sync.WaitGroup
	for i := range 1000 {
		calls.Go(func() { l.Write(t.Context(), Line{Method: "m" + strconv.Itoa(i) + "\n"}) })
	}
	calls.Wait()
	stop()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n != 1000 {
		t.Errorf("%d lines", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFileThatIsMovedIsMadeAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	l, stop := running(t, Config{Path: path})
	defer stop()
	for _, how := range []struct {
		name string
		tell func() error
	}{
		{"found out", func() error { return nil }},
		{"told", func() error { return syscall.Kill(os.Getpid(), syscall.SIGHUP) }},
	} {
		l.Write(t.Context(), Line{Method: "before"})
		await(t, path, "before")
		if err := errors.Join(os.Rename(path, path+".old"), how.tell()); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(path); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: there is no new file", how.name)
			}
		}
		l.Write(t.Context(), Line{Method: "after"})
		await(t, path, "after")
	}
}

func TestFullFileIsMovedAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	l, stop := running(t, Config{Path: path, MostBytes: 1000})
	for i := range 20 {
		l.Write(t.Context(), Line{Method: "m" + strconv.Itoa(i)})
	}
	stop()
	for _, p := range []string{path, path + ".1"} {
		if info, err := os.Stat(p); err != nil || info.Size() > 1000 || info.Size() == 0 {
			t.Errorf("%s: %v, %v", p, info, err)
		}
	}
	await(t, path, `"m19"`)
}

// disk is a writer that a test fills up or blocks.
type disk struct {
	mu    sync.Mutex // guards err and lines
	err   error
	lines int
	block chan struct{}
}

func (d *disk) Write(p []byte) (int, error) {
	if d.block != nil {
		<-d.block
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.lines++
	}
	return len(p), d.err
}

func (d *disk) full(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func TestFullDiskIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		var said bytes.Buffer
		l, stop := running(t, Config{To: d, Log: slog.New(slog.NewTextHandler(&said, nil))})
		for _, err := range []error{nil, syscall.ENOSPC, syscall.ENOSPC, nil} {
			synctest.Wait()
			d.full(err)
			l.Write(t.Context(), Line{})
			synctest.Wait()
		}
		stop()
		if d.lines != 2 || strings.Count(said.String(), "lines are lost") != 1 || strings.Count(said.String(), "written again") != 1 {
			t.Errorf("%d lines; the log says\n%s", d.lines, said.String())
		}
	})
}

func TestCallsDoNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{block: make(chan struct{})}
		l, stop := running(t, Config{To: d})
		began := time.Now()
		for range queueLength + 1 { // one is with the disk
			l.Write(t.Context(), Line{})
			synctest.Wait()
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("calls waited %v with room in the queue", waited)
		}
		l.Write(t.Context(), Line{})
		if waited := time.Since(began); waited != longestWait {
			t.Errorf("a call waited %v, want %v", waited, longestWait)
		}
		close(d.block)
		stop()
		if d.lines != queueLength+1 {
			t.Errorf("%d lines, want %d", d.lines, queueLength+1)
		}
	})
}

func TestBadPlaces(t *testing.T) {
	for _, cfg := range []Config{{}, {Path: filepath.Join(t.TempDir(), "none", "audit")}} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
	var none *Log
	none.Write(t.Context(), Line{})
}
