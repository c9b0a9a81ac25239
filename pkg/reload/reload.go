// SPDX-License-Identifier: Apache-2.0

// Package reload keeps a value that is made of files up to date with them: tokens,
// keys and certificates change while a server runs.
//
// It promises: a value that was good stays in service until the files make another
// good one; nobody waits for a disk but the one caller who looks; a file is read up
// to a limit. It starts no goroutine: the files are looked at when the value is
// used, at most once in Interval.
package reload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Interval is how long a change of a file may go unnoticed.
const Interval = time.Second

// MostBytes is how large a file may be.
const MostBytes = 1 << 20

// Value is what some files say.
type Value[T any] struct {
	paths []string
	parse func(files [][]byte) (T, error)
	log   *slog.Logger

	current atomic.Pointer[T]
	due     atomic.Int64 // when to look again, in nanoseconds since began
	began   time.Time

	looking sync.Mutex // held by who looks at the files; guards seen and failure
	seen    []fs.FileInfo
	failure string // the last failure, so that each is logged once
}

// Open reads the files and makes the first value; it fails when there is none. parse
// gets the contents in the order of paths. Later failures are logged, without the
// contents, and the last good value stays.
func Open[T any](log *slog.Logger, parse func(files [][]byte) (T, error), paths ...string) (*Value[T], error) {
	v := &Value[T]{paths: paths, parse: parse, log: log, began: time.Now()}
	v.looking.Lock()
	defer v.looking.Unlock()
	if err := v.look(); err != nil {
		return nil, err
	}
	v.due.Store(int64(Interval))
	return v, nil
}

// Get is the newest good value. It is shared: it must not be changed.
func (v *Value[T]) Get() T {
	now := time.Since(v.began)
	if int64(now) >= v.due.Load() && v.looking.TryLock() {
		defer v.looking.Unlock()
		v.due.Store(int64(now + Interval))
		v.refresh()
	}
	return *v.current.Load()
}

func (v *Value[T]) refresh() {
	err := v.look()
	switch {
	case err == nil:
		v.failure = ""
	case err.Error() != v.failure:
		v.failure = err.Error()
		v.log.Warn("a file changed and cannot be used; what it said before stays", slog.Any("error", err))
	}
}

// look makes a new value when a file has changed. What could not be used is read
// again the next time: of two files that belong together one may come later.
func (v *Value[T]) look() error {
	infos := make([]fs.FileInfo, 0, len(v.paths))
	for _, p := range v.paths {
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		infos = append(infos, info)
	}
	if slices.EqualFunc(infos, v.seen, same) {
		return nil
	}
	files := make([][]byte, 0, len(v.paths))
	for _, p := range v.paths {
		b, err := read(p)
		if err != nil {
			return err
		}
		files = append(files, b)
	}
	made, err := v.parse(files)
	if err != nil {
		return err
	}
	v.current.Store(&made)
	v.seen = infos
	return nil
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MostBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > MostBytes {
		return nil, fmt.Errorf("%s: %w", name, errTooLarge)
	}
	return b, nil
}

var errTooLarge = errors.New("larger than 1 MiB")
