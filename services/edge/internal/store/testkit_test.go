// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const era = 7

var began = invalidation.Moment{Era: era, Revision: 1}

// opened is a store with what a test has to know of it.
type opened struct {
	*Store
	log  *disk.Log
	dir  string
	stop func() // once, by the test or at its end
}

// fataler is a test, or a run of one.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Error(args ...any)
}

// start opens a store with a disk cache in dir, without one if that is empty.
func start(t fataler, limit int64, ended *invalidation.Table, dir string) *opened {
	t.Helper()
	o := &opened{dir: dir}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if dir != "" {
		l, err := disk.Open(disk.Config{
			Dir: dir, Limit: 64 << 20, SegmentBytes: 4 << 20, BufferBytes: 4 << 20,
			Alive: func(r disk.Record) (disk.Stamp, bool) { return Keep(ended, r) },
		})
		if err != nil {
			t.Fatal(err)
		}
		o.log = l
		running.Go(func() { _ = l.Run(ctx) })
		<-l.Loaded()
	}
	s, err := Open(Config{MemoryBytes: limit, Disk: o.log, Ended: ended})
	if err != nil {
		t.Fatal(err)
	}
	o.Store = s
	o.stop = sync.OnceFunc(func() {
		if err := s.Close(); err != nil {
			t.Error(err) // somebody still holds something
		}
		cancel()
		running.Wait()
		if o.log != nil {
			_ = o.log.Close() // fails where a test has taken the disk away
		}
	})
	return o
}

// inTiers runs a test with a store in memory alone, and with one on disk as well.
func inTiers(t *testing.T, test func(t *testing.T, open func(limit int64, ended *invalidation.Table) *opened)) {
	t.Helper()
	for name, dir := range map[string]func(t *testing.T) string{
		"memory":          func(*testing.T) string { return "" },
		"memory and disk": func(t *testing.T) string { return filepath.Join(t.TempDir(), "cache") },
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func(limit int64, ended *invalidation.Table) *opened {
				if ended == nil {
					ended = invalidation.New(era, 0)
				}
				s := start(t, limit, ended, dir(t))
				t.Cleanup(s.stop)
				return s
			})
		})
	}
}

// onDisk opens a store with a disk cache for a table.
func onDisk(t *testing.T, limit int64, ended *invalidation.Table, dir string) *opened {
	t.Helper()
	s := start(t, limit, ended, dir)
	t.Cleanup(s.stop)
	return s
}

// forgetMemory lets everything in memory go for want of room, as far as a test can tell.
func (o *opened) forgetMemory() {
	for r := range o.memory.Range {
		held := r.Retain()
		o.memory.Remove(held, 0)
		held.Release()
	}
}

// get returns a copy of what Get finds.
func get(s *Store, key cachekey.Key) (*Object, bool) {
	var o View
	if !s.Get(context.Background(), key, &o) {
		return nil, false
	}
	defer o.Release()
	return o.Own(), true
}

// is says whether two objects are the same record.
func is(a, b *Object) bool { return a != nil && b != nil && a.version == b.version }

func object(key string, size int) *Object {
	return &Object{Key: cachekey.Key(key), Body: [][]byte{make([]byte, size)}, Size: int64(size), Stamp: began.Stamp()}
}

func keyOf(path string) cachekey.Key {
	k, _ := (&cachekey.Policy{}).Build(cachekey.Parts{Distribution: "D", Method: "GET", Path: path})
	return k
}

// end invalidates paths at a revision.
func end(ended *invalidation.Table, revision int64, paths ...string) {
	ended.Apply([]invalidation.Order{{Distribution: "D", ID: "I", Revision: revision, Paths: paths}})
}

// copyDir copies the files of a directory as they are: what is left after kill -9.
func copyDir(t fataler, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
