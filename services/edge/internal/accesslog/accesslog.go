// SPDX-License-Identifier: Apache-2.0

// Package accesslog writes one line for each request: JSON with the attribute names
// of the program's log. It promises that a request never waits for the log: a line is
// put into memory by the goroutine of the request, without an allocation and without a
// lock that all share, and written by another goroutine in large pieces. When that
// cannot keep up, lines are left out and counted. It does not promise order: lines of
// about a second may stand in any order, each with its own time. It knows nothing of
// requests but what an Event holds.
package accesslog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Defaults of Config.
const (
	DefaultBytes    = 8 << 20
	DefaultInterval = time.Second
	DefaultGrace    = 2 * time.Second
)

const (
	// enough is how full a shard is when the writer is woken before its interval is over.
	enough = 64 << 10
	// leastShard is the least size of a shard: with enough in it there is room for more
	// than one line of the greatest size.
	leastShard = 4 * enough
	mostShards = 64
)

// Config says where lines go. Required is To.
type Config struct {
	// To gets whole lines, many in one Write. Close closes it if it is an io.Closer.
	To io.Writer
	// Bytes is the memory for lines that are not written yet, those being written
	// included; a line that finds no room is dropped. Every processor has 1 MiB or more.
	// Default 8 MiB.
	Bytes int
	// Interval is how long a line may wait to be written. Default 1 s.
	Interval time.Duration
	// Grace is how long Run waits, when it is to end, for a writer that takes nothing.
	// Default 2 s.
	Grace time.Duration
	// Log is told when writing begins to fail, and when that is over. Nil: nobody is.
	Log *slog.Logger
}

// Log takes events and writes their lines. Append of a nil Log does nothing: that is
// the log that is off.
type Log struct {
	to       io.Writer
	interval time.Duration
	grace    time.Duration
	log      *slog.Logger

	shards []*shard
	mask   uint32
	wake   chan struct{} // has room for one

	written, lost atomic.Int64 // lines

	mu      sync.Mutex // guards the rest and the spares of shards; held while writing, which no request does
	torn    bool       // the last line is not whole
	failing bool

	measured metric.Registration // nil unless Measure was called
}

// New returns a Log. It starts nothing: Run writes.
func New(cfg Config) *Log {
	n := min(mostShards, 1<<bits.Len(uint(2*runtime.GOMAXPROCS(0)-1)))
	return newLog(cfg, n)
}

// newLog has n shards, a power of two.
func newLog(cfg Config, n int) *Log {
	l := &Log{
		to: cfg.To, log: cfg.Log,
		interval: cmp.Or(cfg.Interval, DefaultInterval),
		grace:    cmp.Or(cfg.Grace, DefaultGrace),
		mask:     uint32(n - 1),
		wake:     make(chan struct{}, 1),
	}
	size := max(leastShard, cmp.Or(cfg.Bytes, DefaultBytes)/(2*n))
	for range n {
		l.shards = append(l.shards, newShard(size))
	}
	return l
}

// Append adds the line of an event. It does not keep e nor its strings. A line for
// which there is no room is dropped and counted.
func (l *Log) Append(e *Event) {
	if l == nil {
		return
	}
	s := l.lock()
	full := s.append(e)
	s.mu.Unlock()
	if !full {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default: // the writer has been woken already
	}
}

// lock returns some shard, locked: one that is free if one is found at once.
func (l *Log) lock() *shard {
	first := rand.Uint32()
	for i := range uint32(len(l.shards)) {
		if s := l.shards[(first+i)&l.mask]; s.mu.TryLock() {
			return s
		}
	}
	s := l.shards[first&l.mask]
	s.mu.Lock()
	return s
}

// Run writes until ctx ends, and then what is left. It is called once. It fails if a
// writer that takes nothing holds it up for longer than Config.Grace.
func (l *Log) Run(ctx context.Context) error {
	var writer sync.WaitGroup
	ended := make(chan struct{})
	writer.Go(func() {
		defer close(ended)
		l.writeUntil(ctx)
	})
	<-ctx.Done()
	timer := time.NewTimer(l.grace)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return fmt.Errorf("write access log: nothing was taken for %v", l.grace)
	}
}

// writeUntil writes at intervals, and whenever a shard has enough.
func (l *Log) writeUntil(ctx context.Context) {
	ticker := time.NewTicker(l.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.flush(0)
			return
		case <-ticker.C:
			l.flush(0)
		case <-l.wake:
			l.flush(enough)
		}
	}
}

// Close writes what has come since Run ended and closes the writer, unless that still
// holds up a write. Lines that come later are lost.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	if l.measured != nil {
		errs = append(errs, l.measured.Unregister())
	}
	if !l.mu.TryLock() {
		return errors.Join(append(errs, errors.New("close access log: a write is under way"))...)
	}
	l.flushLocked(0)
	if c, ok := l.to.(io.Closer); ok {
		errs = append(errs, c.Close())
	}
	l.mu.Unlock()
	return errors.Join(errs...)
}

// flush writes the shards that have at least so many bytes.
func (l *Log) flush(least int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushLocked(least)
}

func (l *Log) flushLocked(least int) {
	for _, s := range l.shards {
		if lines := s.swap(least); len(lines) > 0 {
			l.write(lines)
		}
	}
}

// write writes some lines, with the lock held. What a failed write has left out is lost:
// kept, it would be in the way of what comes.
func (l *Log) write(lines []byte) {
	count := int64(bytes.Count(lines, []byte{'\n'}))
	if l.torn {
		if _, err := l.to.Write([]byte{'\n'}); err != nil {
			l.lost.Add(count)
			l.fails(err)
			return
		}
		l.torn = false
	}
	n, err := l.to.Write(lines)
	n = max(0, min(n, len(lines)))
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	whole := int64(bytes.Count(lines[:n], []byte{'\n'}))
	l.written.Add(whole)
	l.lost.Add(count - whole)
	if n > 0 {
		l.torn = lines[n-1] != '\n'
	}
	l.fails(err)
}

// fails tells that writing fails, or that it does so no longer.
func (l *Log) fails(err error) {
	failing := err != nil
	if failing == l.failing {
		return
	}
	l.failing = failing
	switch {
	case l.log == nil:
	case failing:
		l.log.Error("the access log cannot be written; its lines are lost", slog.Any("error", err))
	default:
		l.log.Info("the access log is written again")
	}
}
