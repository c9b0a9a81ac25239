// SPDX-License-Identifier: Apache-2.0

// Package lastgood keeps on disk what an edge serves from, so that it can serve the
// same after a restart with nothing else running (design 3.3, C8.80, C8.84).
//
// It promises: what Open returns is exactly what the edge served at the revision
// that it names, or nothing; a damaged file is named, moved aside and never served;
// a change is on disk within a second or two; one process at a time. A record whose
// newest version the edge could not use is kept twice: the version in service, and
// the newest one, because no list after a restart sends that again. Invalidations are
// kept beside them, for a cache that outlives the process: what Synced was called for
// is there after a crash, and if anything of it is not, the cache is another one (Era).
// It does not compile, and it knows no key but by its bytes.
package lastgood

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/metric"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	"github.com/seafront-cdn/seafront/services/edge/internal/dirlock"
)

// Names within the directory and within the file.
const (
	fileName = "lastgood.db"
	lockName = "lock"

	bucketState    = "state"
	bucketServed   = "served"
	bucketRejected = "rejected"
	bucketJournal  = "invalidations"
	keyState       = "state"
	keyJournal     = "journal"
)

// When pending changes are written.
const (
	// batchDelay is how long a change waits for others (design 3.3: within 1 s).
	batchDelay = 500 * time.Millisecond
	// idleDelay is how long a revision without changes waits: it only makes the
	// list after a restart shorter.
	idleDelay = time.Minute
	// retryDelay is the pause after a failed write.
	retryDelay = 5 * time.Second
)

// Store is the open file. It is safe for concurrent use.
type Store struct {
	path string
	lock *os.File
	db   *bbolt.DB
	log  *slog.Logger
	wake chan struct{} // holds one token: pending or due has changed

	gauge metric.Registration // nil without Measure

	mu      sync.Mutex // guards the rest
	pending pending
	due     time.Time // when pending is to be written; zero: nothing to write
	failure error     // of the last write
}

// Step is one step of what the edge serves.
type Step struct {
	// Point is how far the edge has come with it.
	Point mirror.Point
	// Reset says that everything before is gone.
	Reset bool
	// Served are versions that came into service, or keys that are deleted.
	Served []snapshot.Change
	// Rejected are newest versions that did not.
	Rejected []snapshot.Change
	// Era, unless it is 0, begins with this step: the cache is dropped, and no
	// invalidation from before is needed.
	Era uint64
	// Invalidations came into force.
	Invalidations []snapshot.Change
	// Synced, if set, is called when the step and all before it are on disk, which it
	// makes urgent.
	Synced func()
}

// Open opens the file in dir, which is made, and reads it. A damaged file is logged,
// moved aside and replaced by an empty one; refused then says what was wrong. The
// error is for a directory that cannot be used or is in use by another process.
func Open(dir string, log *slog.Logger) (s *Store, c Content, refused string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Content{}, "", fmt.Errorf("data directory: %w", err)
	}
	locked, err := dirlock.Take(filepath.Join(dir, lockName), "data directory "+dir)
	if errors.Is(err, dirlock.ErrUnsupported) {
		err = nil // bbolt's own lock on its file keeps a second process out there
	}
	if err != nil {
		return nil, Content{}, "", err
	}
	defer func() {
		if err != nil {
			_ = locked.Close()
		}
	}()
	path := filepath.Join(dir, fileName)
	s = &Store{path: path, lock: locked, log: log, wake: make(chan struct{}, 1)}
	s.db, c, err = s.start()
	if damaged, ok := errors.AsType[damagedError](err); ok {
		aside, err := moveAside(path)
		if err != nil {
			return nil, Content{}, "", fmt.Errorf("last good configuration %s is damaged (%w) and cannot be moved", path, damaged)
		}
		refused = fmt.Sprintf("%s is damaged: %v; it was not served and is now %s", path, damaged, aside)
		log.Error("last good configuration refused", slog.String("file", path), slog.String("cause", damaged.Error()), slog.String("moved_to", aside))
		s.db, c, err = s.start()
		if err != nil {
			return nil, Content{}, "", fmt.Errorf("last good configuration %s: %w", path, err)
		}
		return s, c, refused, nil
	}
	if err != nil {
		return nil, Content{}, "", fmt.Errorf("last good configuration %s: %w", path, err)
	}
	return s, c, "", nil
}

func (s *Store) start() (*bbolt.DB, Content, error) {
	if err := prepare(s.path); err != nil {
		return nil, Content{}, err
	}
	db, c, lost, err := read(s.path)
	if err != nil || lost == nil {
		return db, c, err
	}
	s.log.Warn("the invalidations on disk cannot be used; the cache is dropped", slog.String("file", s.path), slog.Any("cause", lost))
	if err := c.anew(db); err != nil {
		return nil, Content{}, errors.Join(err, db.Close())
	}
	return db, c, nil
}

// Keep takes a step; it is on disk soon. Keep does not wait for the disk.
func (s *Store) Keep(step Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.add(step)
	delay := idleDelay
	switch {
	case step.Synced != nil:
		delay = 0
	case step.Reset || len(step.Served)+len(step.Rejected) > 0:
		delay = batchDelay
	}
	s.plan(delay)
}

// Forget drops the invalidations up to floor. It does not wait for the disk.
func (s *Store) Forget(floor int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.journal.floor = max(s.pending.journal.floor, floor)
	s.plan(idleDelay)
}

// plan sees to it that pending is written within delay. s.mu is held.
func (s *Store) plan(delay time.Duration) {
	due := time.Now().Add(delay)
	if !s.due.IsZero() && s.due.Before(due) {
		return
	}
	s.due = due
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run writes steps until ctx ends, the last ones included. A disk that fails is
// logged and tried again: the edge serves from memory.
func (s *Store) Run(ctx context.Context) error {
	timer := time.NewTimer(idleDelay)
	defer timer.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			if err := s.flush(); err != nil {
				return fmt.Errorf("write last good configuration %s: %w", s.path, err)
			}
			return nil
		case <-s.wake:
			s.mu.Lock()
			timer.Reset(time.Until(s.due))
			s.mu.Unlock()
			continue
		case <-timer.C:
		}
		err := s.flush()
		switch {
		case err != nil && !failed:
			s.log.ErrorContext(ctx, "last good configuration cannot be written", slog.String("file", s.path), slog.Any("error", err))
		case err == nil && failed:
			s.log.InfoContext(ctx, "last good configuration is written again", slog.String("file", s.path))
		}
		failed = err != nil
	}
}

// flush writes what is pending. When it fails, all of it stays pending.
func (s *Store) flush() error {
	s.mu.Lock()
	if s.due.IsZero() {
		s.mu.Unlock()
		return nil
	}
	work := s.pending
	s.pending, s.due = pending{}, time.Time{}
	s.mu.Unlock()
	err := guard(func() error { return s.db.Update(work.write) })
	s.mu.Lock()
	s.failure = err
	if err == nil {
		s.mu.Unlock()
		for _, synced := range work.synced {
			synced()
		}
		return nil
	}
	defer s.mu.Unlock()
	newer := s.pending
	s.pending = work
	s.pending.merge(newer)
	s.due = time.Time{}
	s.plan(retryDelay)
	return err
}

// Failure returns why the last write failed, nil when it did not: then what is on
// disk is behind what is served, and the write is tried again.
func (s *Store) Failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Close closes the file and lets other processes use the directory. Call it when
// Run has ended.
func (s *Store) Close() error {
	var err error
	if s.gauge != nil {
		err = s.gauge.Unregister()
	}
	return errors.Join(err, s.db.Close(), s.lock.Close())
}
