// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		if err := victim(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// small is a log of 16 segments or more that take 64 KiB each.
func small(dir string) Config {
	return Config{Dir: dir, Limit: 2 << 20, SegmentBytes: leastSegment}
}

// running is an open log whose Run is at work.
type running struct {
	*Log
	t    testing.TB
	stop func()
}

// start opens a log and runs it until the test ends, or close.
func start(t testing.TB, cfg Config) *running {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, l)
}

func run(t testing.TB, l *Log) *running {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r := &running{Log: l, t: t}
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(r.stop)
	return r
}

// close stops the log as a program does that ends well.
func (r *running) close() {
	r.t.Helper()
	r.stop()
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
}

// kill leaves the directory as a process does that is killed.
func (r *running) kill() {
	r.t.Helper()
	r.stop()
	abandon(r.t, r.Log)
}

func abandon(t testing.TB, l *Log) {
	t.Helper()
	l.state.CompareAndSwap(int32(serving), int32(out))
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func (r *running) sync() {
	r.t.Helper()
	if err := r.Sync(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// Contents are functions of key and version, so whatever is found says what it should be.

func headOf(key string, version int) []byte { return fmt.Appendf(nil, "%s#%d", key, version) }

func bodyOf(key string, version, size int) []byte {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(uint64(len(key)), uint64(version)<<32|uint64(size)))
	for i := 0; i < size; i += 8 {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], r.Uint64())
		copy(b[i:], w[:])
	}
	copy(b, key)
	return b
}

func (r *running) put(key string, version, size int) {
	r.t.Helper()
	if err := putOn(r.Log, key, version, size); err != nil {
		r.t.Fatalf("put %s: %v", key, err)
	}
}

func putOn(l *Log, key string, version, size int) error {
	body := bodyOf(key, version, size)
	return l.Put(key, Stamp{Era: 1, Revision: int64(version)}, headOf(key, version), body[:size/3], body[size/3:])
}

// get returns the version that is stored under key, -1 if none. Anything that was not put
// is an error.
func get(t testing.TB, l *Log, key string) int {
	t.Helper()
	version, err := tryGet(t.Context(), l, key)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

var errWrong = errors.New("wrong bytes")

func tryGet(ctx context.Context, l *Log, key string) (version int, err error) {
	r, ok := l.Get(ctx, key)
	if !ok {
		return -1, nil
	}
	defer r.Release()
	if _, err := fmt.Sscanf(strings.TrimPrefix(string(r.Head()), key), "#%d", &version); err != nil {
		return 0, fmt.Errorf("%w: head of %q is %q", errWrong, key, r.Head())
	}
	if r.Stamp().Era != 1 || r.Stamp().Revision < int64(version) {
		return 0, fmt.Errorf("%w: stamp %v of version %d", errWrong, r.Stamp(), version)
	}
	want := bodyOf(key, version, int(r.Size()))
	p, err := r.Body(ctx)
	if err != nil {
		return -1, nil //nolint:nilerror // damage: a miss
	}
	got := p.Bytes
	if p.File != nil {
		got = make([]byte, p.Length)
		if _, err := p.File.ReadAt(got, p.Offset); err != nil {
			return 0, err
		}
	}
	if !bytes.Equal(got, want) || int64(len(got)) != r.Size() {
		return 0, fmt.Errorf("%w: body of %q version %d", errWrong, key, version)
	}
	return version, nil
}

// flaky is a file system with faults.
type flaky struct {
	system
	mu     sync.Mutex
	fault  func(op, name string) error // nil: none
	synced map[string]int64            // how much of each file is durable
}

func newFlaky() *flaky { return &flaky{synced: map[string]int64{}} }

// fails sets the fault of every operation to come.
func (f *flaky) fails(fault func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *flaky) op(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == nil {
		return nil
	}
	return f.fault(op, filepath.Base(name))
}

func (f *flaky) Open(name string, create bool) (file, error) {
	op := "open"
	if create {
		op = "create"
	}
	if err := f.op(op, name); err != nil {
		return nil, err
	}
	opened, err := f.system.Open(name, create)
	if err != nil {
		return nil, err
	}
	return &flakyFile{file: opened, fs: f, name: name}, nil
}

func (f *flaky) Remove(name string) error {
	if err := f.op("remove", name); err != nil {
		return err
	}
	return f.system.Remove(name)
}

func (f *flaky) Rename(from, to string) error {
	if err := f.op("rename", to); err != nil {
		return err
	}
	return f.system.Rename(from, to)
}

func (f *flaky) SyncDir(dir string) error {
	if err := f.op("syncdir", dir); err != nil {
		return err
	}
	return f.system.SyncDir(dir)
}

type flakyFile struct {
	file
	fs   *flaky
	name string
}

// torn is an error after which half of a write is in the file.
type torn struct{ error }

func (t torn) Unwrap() error { return t.error }

func (f *flakyFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.fs.op("write", f.name); err != nil {
		if _, half := errors.AsType[torn](err); half {
			_, _ = f.file.WriteAt(b[:len(b)/2], at)
		}
		return 0, err
	}
	return f.file.WriteAt(b, at)
}

func (f *flakyFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.fs.op("read", f.name); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, at)
}

func (f *flakyFile) Truncate(size int64) error {
	if err := f.fs.op("truncate", f.name); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f *flakyFile) Sync() error {
	if err := f.fs.op("sync", f.name); err != nil {
		return err
	}
	size, err := f.Size()
	f.fs.mu.Lock()
	f.fs.synced[f.name] = size
	f.fs.mu.Unlock()
	return err
}

// journal collects log lines.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// segmentFiles returns the segment files of a directory, the oldest first.
func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// sizeOf returns what all files of a directory take together.
func sizeOf(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
