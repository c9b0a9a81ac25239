// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"sync/atomic"
)

// numbers are the counters of a Log.
type numbers struct {
	hits, misses, puts, lost, removals                    atomic.Int64
	reads, bytesRead, writes, bytesWritten                atomic.Int64
	tooLarge, busy, noRoom, outOfService, closed          atomic.Int64
	verified, failedChecks, faults, cut                   atomic.Int64
	evicted, segmentsEvicted, reinserted, reinsertedBytes atomic.Int64
}

// drop counts a record that is not stored, by the reason.
func (n *numbers) drop(err error) {
	switch {
	case errors.Is(err, ErrTooLarge):
		n.tooLarge.Add(1)
	case errors.Is(err, ErrBusy):
		n.busy.Add(1)
	case errors.Is(err, ErrNoRoom):
		n.noRoom.Add(1)
	case errors.Is(err, ErrOutOfService):
		n.outOfService.Add(1)
	default:
		n.closed.Add(1)
	}
}

// Stats is what a Log holds and what it did since it was opened.
type Stats struct {
	// State is serving, out_of_service or closed; Failure says why it is out of service.
	State, Failure string
	// Bytes count against Limit: all files, and Held, which is unlinked and still read.
	Bytes, Held, Limit int64
	// Objects are records that can be found, RecordBytes their size.
	Objects, RecordBytes int64
	Segments             int
	// Queued bytes wait to be written.
	Queued int64
	// Hits and Misses count calls of Get, Puts those of Put, Removals what was deleted.
	Hits, Misses, Puts, Removals int64
	// Dropped counts records that Put did not store, by reason; Lost those that it stored
	// and that could not be written.
	Dropped map[string]int64
	Lost    int64
	// Reads and Writes are operations on files.
	Reads, BytesRead, Writes, BytesWritten int64
	// Verified counts bodies that were checked, FailedChecks records that were not what
	// was written.
	Verified, FailedChecks int64
	// Faults are errors of the disk.
	Faults int64
	// Evicted counts records that went with EvictedSegments, Reinserted those that were
	// appended anew before.
	Evicted, EvictedSegments, Reinserted, ReinsertedBytes int64
	// Cut counts segments whose readers were told to let go.
	Cut int64
}

// Stats returns the present numbers.
func (l *Log) Stats() Stats {
	n := &l.n
	s := Stats{
		State: state(l.state.Load()).String(), Limit: l.cfg.Limit,
		Objects: l.index.objects.Load(), RecordBytes: l.index.bytes.Load(),
		Hits: n.hits.Load(), Misses: n.misses.Load(), Puts: n.puts.Load(), Removals: n.removals.Load(), Lost: n.lost.Load(),
		Dropped: map[string]int64{
			"too_large": n.tooLarge.Load(), "busy": n.busy.Load(), "no_room": n.noRoom.Load(),
			"out_of_service": n.outOfService.Load(), "closed": n.closed.Load(),
		},
		Reads: n.reads.Load(), BytesRead: n.bytesRead.Load(), Writes: n.writes.Load(), BytesWritten: n.bytesWritten.Load(),
		Verified: n.verified.Load(), FailedChecks: n.failedChecks.Load(), Faults: n.faults.Load(),
		Evicted: n.evicted.Load(), EvictedSegments: n.segmentsEvicted.Load(),
		Reinserted: n.reinserted.Load(), ReinsertedBytes: n.reinsertedBytes.Load(), Cut: n.cut.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Failure = l.health.failed
	s.Bytes, s.Held, s.Segments, s.Queued = l.used(), l.heldSize, len(l.segments), int64(l.queued)
	return s
}

// Recovery says what the start has found.
func (l *Log) Recovery() Recovery {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.recovery
	r.Loading = l.loading.Load()
	return r
}
