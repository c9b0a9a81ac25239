// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/services/edge/internal/dirlock"
)

// state is whether a Log takes and gives.
type state int32

const (
	serving state = iota
	out           // the disk has failed too often
	closed
)

// String is the word for it in logs and errors.
func (s state) String() string {
	switch s {
	case serving:
		return "serving"
	case out:
		return "out_of_service"
	default:
		return "closed"
	}
}

// Log is an open disk tier. It is safe for concurrent use.
//
// Locks are taken in the order of the fields: writing, settling, evicting, mu, then those
// of the index.
type Log struct {
	cfg   Config
	id    *identity
	index *index
	lock  *os.File
	state atomic.Int32
	n     numbers

	readers, verifiers chan struct{} // one token for each at work
	refs               sync.Pool     // of *Ref
	scratch            sync.Pool     // of *[]byte

	wake    chan struct{} // something is to be written
	much    chan struct{} // so much that nothing more is waited for
	settle  chan struct{} // something is to be synced
	tight   chan struct{} // room is short
	loading atomic.Bool   // an older log is not read in full
	loaded  chan struct{} // closed when it is

	// writing is held by who writes to segments.
	writing sync.Mutex
	head    *segment // the last that was created, until it is sealed

	// settling is held by who syncs sealed segments.
	settling sync.Mutex

	// evicting is held by who removes segments or reads an older log into the index.
	evicting sync.Mutex

	mu       sync.Mutex // guards the rest, and what segment says
	segments []*segment // in the directory, the oldest first
	free     []uint16   // slots
	active   *segment   // where records are appended; nil: the next begins one
	nextSeq  uint64
	current  *chunk   // of active; nil: the next record begins one
	queue    []*chunk // to be written, the oldest first
	queued   int      // bytes of queue and current
	spare    [][]byte // buffers of chunks
	written  sync.Cond
	starved  bool // a writer waits for room
	removed  bool // removals since the last mark
	owed     map[hash]struct{}
	unsynced []*segment // sealed
	held     []*segment // unlinked and still read, the oldest first
	heldSize int64
	foreign  int64 // bytes of files that are not ours
	disowned bool  // the next start begins empty
	resume   time.Time
	health   health
	recovery Recovery
	snapshot *snapshot // of a clean stop, until it is read
}

// Open opens the log in cfg.Dir. What is there is read by Run; until then all is a miss.
// It fails when another process has the directory, when the directory cannot be used,
// or when cfg makes no sense; never because of what is in files.
func Open(cfg Config) (*Log, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk cache: %w", err)
	}
	held, err := dirlock.Take(filepath.Join(cfg.Dir, lockName), "disk cache "+cfg.Dir)
	if err != nil { // without flock too: two processes would spoil each other's segments
		if held != nil {
			_ = held.Close()
		}
		return nil, err
	}
	l := &Log{
		cfg: cfg, lock: held,
		readers: make(chan struct{}, cfg.Readers), verifiers: make(chan struct{}, cfg.Verifiers),
		wake: make(chan struct{}, 1), much: make(chan struct{}, 1), settle: make(chan struct{}, 1), tight: make(chan struct{}, 1),
		loaded: make(chan struct{}), owed: map[hash]struct{}{},
	}
	l.written.L = &l.mu
	if err := l.open(); err != nil {
		for _, s := range l.segments {
			s.close()
		}
		return nil, errors.Join(err, held.Close())
	}
	return l, nil
}

// Run reads what is in the directory, writes what is put, syncs it and makes room, until
// ctx ends.
func (l *Log) Run(ctx context.Context) error {
	// Who waits for room in the queue looks at ctx whenever it is woken.
	stop := context.AfterFunc(ctx, l.wakeAll)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context){l.load, l.write, l.settleAll, l.relieve} {
		g.Go(func() error { part(ctx); return nil })
	}
	return g.Wait()
}

// Loaded is closed when all that was in the directory at the start can be found. That
// may be never, on a disk that fails.
func (l *Log) Loaded() <-chan struct{} { return l.loaded }

// Resuming says whether the index of a stop in order is still being read, which takes no
// more than a moment. An older log without one may take long.
func (l *Log) Resuming() bool { return l.loading.Load() && l.isClean() && l.Serving() }

// Serving says whether the disk is in service: if not, everything is a miss and nothing is
// taken, until the next start.
func (l *Log) Serving() bool { return state(l.state.Load()) == serving }

func (l *Log) wakeAll() {
	l.mu.Lock()
	l.written.Broadcast()
	l.mu.Unlock()
}

// signal wakes who waits for c, if it is not awake.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close writes what is left, seals the log and leaves the index on disk, so that the
// next start finds all at once. It is called once, when Run has returned. What a Ref
// holds may be read until it is released.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	was := state(l.state.Swap(int32(closed)))
	var err error
	if was == serving {
		err = l.finish()
	}
	l.mu.Lock()
	segments, unsynced, pending := l.segments, l.unsynced, append(l.queue, l.current)
	l.segments, l.unsynced, l.queue, l.current, l.active = nil, nil, nil, nil, nil
	l.mu.Unlock()
	for _, c := range pending {
		if c != nil && !slices.Contains(segments, c.seg) { // it was not created
			segments = append(segments, c.seg)
		}
	}
	for _, s := range append(segments, unsynced...) {
		l.release(s)
	}
	if l.snapshot != nil {
		_ = l.snapshot.file.Close()
	}
	return errors.Join(err, l.lock.Close())
}

// finish brings everything to disk. writing is held.
func (l *Log) finish() error {
	ctx := context.Background() // a stop is not interrupted
	l.mu.Lock()
	l.payOwed()
	l.rotate()
	lost := len(l.owed) > 0
	l.mu.Unlock()
	l.drain(ctx)
	l.seal(ctx)
	err := l.syncAll(ctx)
	l.mu.Lock()
	lost = lost || len(l.owed) > 0
	disowned := l.disowned
	l.mu.Unlock()
	switch {
	case lost:
		l.disown(ctx, "removals could not be written")
	case err == nil && !disowned && !l.loading.Load():
		err = l.leaveIndex(ctx)
	}
	return err
}

// leaveIndex writes the index of a stop in order. On a full file system the oldest
// segments make room; if others take that, the next start reads the segments instead.
func (l *Log) leaveIndex(ctx context.Context) error {
	err := l.withSpace(ctx, func() error { return l.writeSnapshot(ctx) })
	if full(err) {
		l.cfg.Log.WarnContext(ctx, "disk cache has no room for its index", slog.String("directory", l.cfg.Dir), slog.Any("error", err))
		return nil
	}
	return err
}

// disown makes the next start begin empty: what is in the directory says less than has
// happened.
func (l *Log) disown(ctx context.Context, why string) {
	l.mu.Lock()
	done := l.disowned
	l.disowned = true
	l.mu.Unlock()
	if done {
		return
	}
	err := l.cfg.files.Remove(l.path(identityName))
	if err == nil {
		err = l.cfg.files.SyncDir(l.cfg.Dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.cfg.Log.ErrorContext(ctx, "disk cache cannot be given up: remove its directory before the next start",
			slog.String("directory", l.cfg.Dir), slog.String("reason", why), slog.Any("error", err))
		return
	}
	l.cfg.Log.ErrorContext(ctx, "disk cache is given up: the next start begins empty",
		slog.String("directory", l.cfg.Dir), slog.String("reason", why))
}
