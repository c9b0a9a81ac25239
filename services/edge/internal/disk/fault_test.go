// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// on is a fault of some operations on segments.
func on(ops string, err error) func(op, name string) error {
	return func(op, name string) error {
		if strings.Contains(ops, op) && (strings.HasSuffix(name, segmentSuffix) || op == "syncdir") {
			return err
		}
		return nil
	}
}

// clock is a clock that stands still until it is moved.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(1_800_000_000, c.at.Load()) }
func (c *clock) move(d time.Duration) { c.at.Add(int64(d)) }

// faulty opens a log on a flaky file system and a clock of its own, without Run.
func faulty(t *testing.T, dir string) (*Log, *flaky, *clock, *journal) {
	t.Helper()
	f, c, j := newFlaky(), &clock{}, &journal{}
	cfg := small(dir)
	cfg.files, cfg.now, cfg.Log = f, c.now, j.logger()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.load(t.Context())
	return l, f, c, j
}

func TestReadErrorsTakeTheDiskOutOfService(t *testing.T) {
	dir := t.TempDir()
	l, f, c, j := faulty(t, dir)
	for i := range 3 * mostFaults {
		if err := putOn(l, fmt.Sprint(i), 1, 100); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.fails(on("read", syscall.EIO))
	for i := range mostFaults - 1 {
		if get(t, l, fmt.Sprint(i)) != -1 {
			t.Fatal("read in spite of the error")
		}
		c.move(faultsTime / mostFaults) // slow enough to be forgiven
	}
	c.move(faultsTime)
	for i := range mostFaults {
		if s := l.Stats().State; s != "serving" {
			t.Fatalf("%s after %d errors in a row", s, i)
		}
		get(t, l, fmt.Sprint(10+i))
	}
	f.fails(nil)
	if s := l.Stats(); s.State != "out_of_service" || s.Faults != 2*mostFaults-1 {
		t.Errorf("stats = %+v", s)
	}
	if get(t, l, "20") != -1 {
		t.Error("read from a disk that is out of service")
	}
	if err := putOn(l, "new", 1, 1); !errors.Is(err, ErrOutOfService) {
		t.Errorf("Put: %v", err)
	}
	if err := l.Sync(t.Context()); !errors.Is(err, ErrOutOfService) {
		t.Errorf("Sync: %v", err)
	}
	if !strings.Contains(j.String(), "out of service") {
		t.Errorf("not told: %s", j)
	}
	// What is deleted meanwhile cannot be written: nothing may come back.
	l.Delete("21")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	l, _, _, j = faulty(t, dir)
	if r := l.Recovery(); r.Refused == "" || l.Stats().Objects != 0 || !strings.Contains(j.String(), "begins empty") {
		t.Errorf("recovery = %+v, %s", r, j)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestOutOfServiceKeepsWhatIsWhole(t *testing.T) {
	dir := t.TempDir()
	l, f, _, _ := faulty(t, dir)
	for i := range 3 * mostFaults {
		if err := putOn(l, fmt.Sprint(i), 1, 100); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.fails(on("read", syscall.EIO))
	for i := range mostFaults {
		get(t, l, fmt.Sprint(i))
	}
	abandon(t, l)
	l, _, _, _ = faulty(t, dir)
	defer abandon(t, l)
	if get(t, l, "20") != 1 {
		t.Error("lost, though nothing was deleted")
	}
}

func TestWriteErrors(t *testing.T) {
	for _, op := range []string{"write", "create", "syncdir"} {
		dir := t.TempDir()
		l, f, _, _ := faulty(t, dir)
		if err := putOn(l, "old", 1, 100); err != nil {
			t.Fatal(err)
		}
		if err := l.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.rotateForTest()
		f.fails(on(op, syscall.EIO))
		if err := putOn(l, "lost", 1, 100); err != nil {
			t.Fatal(err)
		}
		l.Delete("old")
		if err := l.Sync(t.Context()); err == nil {
			t.Errorf("%s: a removal is said to be on disk", op)
		}
		if get(t, l, "lost") != -1 || get(t, l, "old") != -1 {
			t.Errorf("%s: found", op)
		}
		f.fails(nil)
		if err := putOn(l, "new", 2, 100); err != nil {
			t.Errorf("%s: %v", op, err)
		}
		if err := l.Sync(t.Context()); err != nil {
			t.Errorf("%s: %v", op, err)
		}
		abandon(t, l)
		l, _, _, _ = faulty(t, dir)
		if get(t, l, "old") != -1 || get(t, l, "new") != 2 {
			t.Errorf("%s: after a restart: old %d, new %d", op, get(t, l, "old"), get(t, l, "new"))
		}
		abandon(t, l)
	}
}

// rotateForTest lets the next record begin a segment.
func (l *Log) rotateForTest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rotate()
}

func TestSyncErrors(t *testing.T) {
	dir := t.TempDir()
	l, f, _, _ := faulty(t, dir)
	if err := putOn(l, "k", 1, 100); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Delete("k")
	f.fails(on("sync", syscall.EIO))
	for range 2 {
		if err := l.Sync(t.Context()); err == nil {
			t.Error("a removal is said to be on disk")
		}
		f.fails(nil) // the second time it would seem to work
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	l, _, _, _ = faulty(t, dir)
	if r := l.Recovery(); r.Refused == "" {
		t.Errorf("recovery = %+v", r)
	}
	abandon(t, l)
}

func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	l, f, c, j := faulty(t, dir)
	for i := range 200 {
		if err := putOn(l, fmt.Sprint(i), i, 2000); err != nil {
			t.Fatal(err)
		}
		if err := l.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := l.Stats()
	if before.Segments < 6 {
		t.Fatalf("stats = %+v", before)
	}
	// Somebody else takes what we free, twice.
	left := 2
	f.fails(func(op, name string) error {
		if op == "write" && strings.HasSuffix(name, segmentSuffix) && left > 0 {
			left--
			return syscall.ENOSPC
		}
		return nil
	})
	if err := putOn(l, "new", 1, 100); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	if s := l.Stats(); s.EvictedSegments != 2 || s.State != "serving" || s.Faults != 0 || get(t, l, "new") != 1 {
		t.Errorf("stats = %+v", s)
	}
	f.fails(on("write create", syscall.ENOSPC))
	l.Delete("new")
	if err := l.Sync(t.Context()); err == nil {
		t.Error("a removal is said to be on a full disk")
	}
	if err := putOn(l, "newer", 1, 100); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Put: %v", err)
	}
	if !strings.Contains(j.String(), "no room") {
		t.Errorf("not told: %s", j)
	}
	f.fails(nil)
	c.move(pauseAfterFull)
	if err := putOn(l, "newer", 1, 100); err != nil {
		t.Errorf("Put when there is room again: %v", err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	abandon(t, l)
	l, _, _, _ = faulty(t, dir)
	defer abandon(t, l)
	if get(t, l, "new") != -1 || get(t, l, "newer") != 1 || get(t, l, "199") != 199 {
		t.Errorf("after a restart: new %d, newer %d, 199 %d", get(t, l, "new"), get(t, l, "newer"), get(t, l, "199"))
	}
}

// A stop in order on a full file system leaves an index if what is oldest makes room for
// it, and is one in any case.
func TestStopOnAFullFileSystem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		times int // that there is no room for the index
		clean bool
	}{{"room is made", 2, true}, {"room is taken by others", 1000, false}} {
		t.Run(tt.name, func(t *testing.T) {
			dir, left := t.TempDir(), tt.times
			l, f, _, j := faulty(t, dir)
			for i := range 200 {
				if err := putOn(l, fmt.Sprint(i), i, 2000); err != nil {
					t.Fatal(err)
				}
				if err := l.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			f.fails(func(op, name string) error {
				if (op == "write" || op == "create") && strings.HasPrefix(name, snapshotName) && left > 0 {
					left--
					return syscall.ENOSPC
				}
				return nil
			})
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if told := strings.Contains(j.String(), "no room for its index"); told == tt.clean {
				t.Errorf("told: %v\n%s", told, j)
			}
			again := start(t, small(dir))
			defer again.close()
			<-again.Loaded()
			if r := again.Recovery(); r.Clean != tt.clean || r.Refused != "" || get(t, again.Log, "199") != 199 {
				t.Errorf("recovery = %+v, the newest is version %d", r, get(t, again.Log, "199"))
			}
		})
	}
}

func TestSegmentThatCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	l, f, _, j := faulty(t, dir)
	f.fails(on("remove", syscall.EROFS))
	for i := 0; l.Stats().State == "serving" && i < 10_000; i++ {
		_ = putOn(l, fmt.Sprint(i), i, 5000)
		_ = l.Sync(t.Context())
	}
	if s := l.Stats(); s.State != "out_of_service" || s.Bytes > s.Limit {
		t.Errorf("stats = %+v", s)
	}
	if !strings.Contains(j.String(), "cannot be removed") {
		t.Errorf("not told: %s", j)
	}
	f.fails(nil)
	abandon(t, l)
	if n := sizeOf(t, dir); n > l.cfg.Limit {
		t.Errorf("%d bytes, limit %d", n, l.cfg.Limit)
	}
}

func TestManyRemovalsWithoutADisk(t *testing.T) {
	dir := t.TempDir()
	l, f, _, _ := faulty(t, dir)
	if err := putOn(l, "k", 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.index.expect() // so that every removal matters
	f.fails(on("write create", syscall.ENOSPC))
	for i := range mostOwed + 2 {
		l.mu.Lock()
		l.owed[l.id.hash(fmt.Sprint(i))] = struct{}{}
		l.mu.Unlock()
	}
	l.Delete("one more")
	if len(l.owed) > mostOwed+4 {
		t.Errorf("%d removals wait", len(l.owed))
	}
	if _, err := os.Stat(filepath.Join(dir, identityName)); err == nil {
		t.Error("not given up")
	}
	l.index.expected()
	abandon(t, l)
}

func TestStartOnABadDisk(t *testing.T) {
	from := sample(t, true)
	for _, ops := range []string{"open", "read", "remove", "write", "truncate"} {
		dir := copyDir(t, from)
		f := newFlaky()
		f.fails(on(ops, syscall.EIO))
		cfg := small(dir)
		cfg.files = f
		l, err := Open(cfg)
		if err != nil {
			t.Errorf("%s: %v", ops, err)
			continue
		}
		l.load(t.Context())
		for i := range 100 {
			if v := get(t, l, fmt.Sprint(i)); v >= 0 && i%10 == 0 {
				t.Errorf("%s: deleted key %d is back", ops, i)
			}
		}
		f.fails(nil)
		abandon(t, l)
		cfg.files = nil
		sampled{ops, dir}.found(t, &journal{})
	}
}

// TestSweepOfWhatCannotBeRead: nobody was asked about such a record, so its stamp must not
// be lifted; it is gone for good, be the disk well again.
func TestSweepOfWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	l, f, _, _ := faulty(t, dir)
	if err := putOn(l, "a", 1, 100); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.fails(on("read", syscall.EIO))
	if err := l.Sweep(t.Context(), Stamp{Era: 1, Revision: 100}, func(Record) bool {
		t.Error("asked about what could not be read")
		return true
	}); err != nil {
		t.Fatal(err)
	}
	f.fails(nil)
	if v := get(t, l, "a"); v != -1 {
		t.Errorf("version %d is there with a stamp that nobody has agreed to", v)
	}
	abandon(t, l)
}
