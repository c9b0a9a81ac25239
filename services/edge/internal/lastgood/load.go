// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// lockPatience is how long to wait for bbolt's own lock, which nobody should hold.
const lockPatience = time.Second

// Content is what was kept.
type Content struct {
	// Point is how far it goes; its Revision is 0 when there is nothing.
	Point mirror.Point
	// Served are the versions that were in service, in order of revision: applied
	// in one step they serve what was served.
	Served []snapshot.Change
	// Rejected are newest versions that were not in service. They are to be applied
	// after Served, in a step of their own: each leaves the served version of its
	// key alone unless this release can use it.
	Rejected []snapshot.Change

	// Era names the cache that Invalidations are about. A cache of another era is to be
	// dropped: what has been invalidated of it nobody knows.
	Era uint64
	// Invalidations are those above Floor that were in force, in order of revision.
	Invalidations []snapshot.Change
	// Floor is the revision up to which invalidations are forgotten.
	Floor int64
	// Contact is when what is kept came from etcd, to the minute, by the clock of the
	// machine; zero for never.
	Contact time.Time
}

// prepare makes an empty file where there is none. It gets its name when it is
// whole, so that a process that dies meanwhile leaves nothing that looks torn.
func prepare(path string) error {
	switch info, err := os.Stat(path); {
	case err == nil && !info.Mode().IsRegular():
		return damagedError{errors.New("not a regular file")} // to open a pipe would be to wait
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	unfinished := path + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := openDB(unfinished)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{bucketState, bucketServed, bucketRejected} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		sealed := state{}.encode()
		if err := tx.Bucket([]byte(bucketState)).Put([]byte(keyState), sealed); err != nil {
			return err
		}
		journal := news{era: invalidation.NewEra()}
		return journal.write(tx, sealed)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

func openDB(path string) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockPatience, PageSize: pageSize, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
}

// damagedError marks errors that mean a damaged file, not a file that cannot be
// reached.
type damagedError struct{ cause error }

func (e damagedError) Error() string { return e.cause.Error() }
func (e damagedError) Unwrap() error { return e.cause }

// read opens the file and returns everything in it, or a damagedError. lost says why
// the invalidations in it are of no use.
func read(path string) (db *bbolt.DB, c Content, lost, err error) {
	if err := check(path); err != nil {
		return nil, Content{}, nil, err
	}
	err = guard(func() error {
		db, err = openDB(path)
		return err
	})
	if err != nil {
		return nil, Content{}, nil, damagedError{err}
	}
	err = guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			c, err = content(tx)
			if err == nil {
				lost = c.recall(tx, tx.Bucket([]byte(bucketState)).Get([]byte(keyState)))
			}
			return err
		})
	})
	if err != nil {
		return nil, Content{}, nil, damagedError{errors.Join(err, db.Close())}
	}
	return db, c, lost, nil
}

func check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkPages(f, info.Size()); err != nil {
		return damagedError{err}
	}
	return nil
}

// content reads and verifies every pair.
func content(tx *bbolt.Tx) (Content, error) {
	b := tx.Bucket([]byte(bucketState))
	if b == nil {
		return Content{}, errors.New("no state")
	}
	want, err := decodeState(b.Get([]byte(keyState)))
	if err != nil {
		return Content{}, fmt.Errorf("state: %w", err)
	}
	c := Content{Point: want.point}
	got := state{point: want.point}
	for name, out := range map[string]*[]snapshot.Change{bucketServed: &c.Served, bucketRejected: &c.Rejected} {
		b := tx.Bucket([]byte(name))
		if b == nil {
			return Content{}, fmt.Errorf("no bucket %s", name)
		}
		err := b.ForEach(func(k, v []byte) error {
			change, err := decode(name, string(k), v)
			if err != nil {
				return fmt.Errorf("record %q: %w", k, err)
			}
			*out = append(*out, change)
			got.add(v)
			return nil
		})
		if err != nil {
			return Content{}, err
		}
		// A host name that two served versions claim belongs to the one applied last.
		slices.SortStableFunc(*out, func(a, b snapshot.Change) int { return int(min(max(a.ModRevision-b.ModRevision, -1), 1)) })
	}
	if got != want {
		return Content{}, fmt.Errorf("holds %d records with sum %x, should be %d with %x", got.count, got.sum, want.count, want.sum)
	}
	return c, nil
}

// guard makes an error of a panic and of a read that the disk refuses, which would
// end the process otherwise: the file is mapped into memory.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bbolt: %v", p)
		}
	}()
	return f()
}

// keptDamaged is how many damaged files are kept for whoever wants to know.
const keptDamaged = 5

// moveAside renames a damaged file and returns its new name.
func moveAside(path string) (string, error) {
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.corrupt-%d", path, n)
		if _, err := os.Lstat(aside); n < keptDamaged && err == nil {
			continue
		}
		return filepath.Base(aside), os.Rename(path, aside)
	}
}
