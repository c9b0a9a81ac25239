// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Bounds of one record.
const (
	MaxBody = 1 << 20
	MaxHead = 128 << 10
	MaxKey  = 64<<10 - 1
)

// Bounds of a log.
const (
	leastSegment    = 64 << 10
	defaultSegment  = 64 << 20
	smallestDefault = 2 << 20 // holds a record of any size
	mostSegment     = 1 << 30
	mostSegments    = 16 << 10
	defaultBuffer   = 32 << 20
	leastBuffer     = 4 << 20
)

// Stamp is how far the caller had come when a record was made: an opaque pair that is
// kept with the record. Revisions of one era are ordered, eras are not.
type Stamp struct {
	Era      uint64
	Revision int64
}

// Record is a stored record as callbacks see it, valid until they return.
type Record struct {
	Key, Head []byte
	Stamp     Stamp
	// Size is the number of bytes of its body.
	Size int64
}

// Config says where a Log is and what it may use.
type Config struct {
	// Dir is made if it is not there. It belongs to one Log of one process.
	Dir string
	// Limit is what the files in Dir may take together, in bytes: at least 32 MiB, unless
	// SegmentBytes is given.
	Limit int64
	// SegmentBytes is the size of a segment file: 64 KiB to 1 GiB and at most a 16th of
	// Limit. By default 64 MiB, less for small limits and more for large ones. Records
	// that do not fit into one are refused.
	SegmentBytes int64
	// BufferBytes bounds the records that wait to be written: 32 MiB by default.
	BufferBytes int64
	// Readers bounds how many heads are read at once, 64 by default; Verifiers how many
	// bodies are checked at once, 8 by default. Who comes later waits.
	Readers, Verifiers int
	// ReinsertPercent bounds how much of a segment is appended anew when it goes, in
	// percent of its size: 25 by default, at most 75, none if negative. So each byte put
	// makes at most 100/(100-ReinsertPercent) bytes of writing.
	ReinsertPercent int
	// Alive, if set, is asked before a record is appended anew. It returns the stamp that
	// the record is to bear from now on.
	Alive func(Record) (Stamp, bool)
	// Log gets a line for everything that an operator should know. Nil: nobody is told.
	Log *slog.Logger

	files files            // a file system with faults, in tests
	now   func() time.Time // a fake clock, in tests
}

// withDefaults returns c complete, or says what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("no directory for the disk cache")
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = min(max(defaultSegment, c.Limit/1024), max(c.Limit/32, smallestDefault), mostSegment)
	}
	switch {
	case c.SegmentBytes < leastSegment || c.SegmentBytes > mostSegment:
		return c, fmt.Errorf("segments of %d bytes: want %d to %d", c.SegmentBytes, leastSegment, mostSegment)
	case c.Limit < 16*c.SegmentBytes:
		return c, fmt.Errorf("a disk cache of %d bytes is too small: with segments of %d bytes it takes %d",
			c.Limit, c.SegmentBytes, 16*c.SegmentBytes)
	case c.Limit/c.SegmentBytes > mostSegments:
		return c, fmt.Errorf("segments of %d bytes are too small for a disk cache of %d: at most %d segments",
			c.SegmentBytes, c.Limit, mostSegments)
	case c.ReinsertPercent > 75:
		return c, fmt.Errorf("reinsertion of %d percent of a segment: at most 75", c.ReinsertPercent)
	}
	c.SegmentBytes &^= align - 1
	c.BufferBytes = max(orDefault(c.BufferBytes, defaultBuffer), leastBuffer)
	c.Readers = max(orDefault(c.Readers, 64), 1)
	c.Verifiers = max(orDefault(c.Verifiers, 8), 1)
	c.ReinsertPercent = max(orDefault(c.ReinsertPercent, 25), 0)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.files == nil {
		c.files = system{}
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

func orDefault[T int | int64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
