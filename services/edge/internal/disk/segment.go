// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	segmentSuffix = ".segment"
	segmentMagic  = "SEAFSGMT"
	segmentHead   = 64
)

// segment is one file of the log.
//
// The log holds one reference as long as the file is in the directory, and every Ref
// one. With the last the file is closed, and only then its bytes are free.
type segment struct {
	seq  uint64
	slot uint16
	refs atomic.Int32
	// written is how much of the file may be read; what is behind is in chunks.
	written atomic.Int64
	file    file          // set before written is; immutable then
	cut     chan struct{} // closed when readers are to let go
	raised  atomic.Pointer[raise]

	// The rest is guarded by Log.mu, but before the segment is known to others.

	summary
	items    []item // until it is sealed
	end      int64  // where the next record goes
	size     int64  // what it counts for once it is sealed
	full     bool   // nothing is appended any more
	failed   bool   // a write has failed: nothing is written any more
	sealed   bool
	unread   bool // of an older log, and its items are not in the index yet
	unlinked bool
	isCut    bool
}

// raise lifts the stamps of an era of records before an offset.
type raise struct {
	stamp Stamp
	upTo  int64
}

func newSegment(seq uint64, slot uint16) *segment {
	s := &segment{seq: seq, slot: slot, cut: make(chan struct{}), end: segmentHead}
	s.refs.Store(1)
	return s
}

func segmentName(seq uint64) string { return fmt.Sprintf("%016x%s", seq, segmentSuffix) }

func (s *segment) path(dir string) string { return filepath.Join(dir, segmentName(s.seq)) }

// parseName returns the number of a segment file.
func parseName(name string) (seq uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 16, 64)
	return seq, err == nil && seq > 0 && segmentName(seq) == name
}

// fits says whether another record leaves room for the index block.
func (s *segment) fits(size int, limit int64) bool {
	return s.end+int64(size)+blockBytes(len(s.items)+1) <= limit
}

// stampOf is the stamp of a record: its own or what it was raised to.
func (s *segment) stampOf(own Stamp, offset int64) Stamp {
	if r := s.raised.Load(); r != nil && r.stamp.Era == own.Era && offset < r.upTo {
		own.Revision = max(own.Revision, r.stamp.Revision)
	}
	return own
}

// raiseTo applies a mark. Those of an older log come the newest first, and do not take
// the place of one of another era.
func (s *segment) raiseTo(m mark, older bool) {
	upTo := m.offset
	switch {
	case s.seq > m.seq:
		return
	case s.seq < m.seq:
		upTo = math.MaxInt64
	}
	if now := s.raised.Load(); now != nil {
		if now.stamp.Era != m.stamp.Era && older || now.stamp.Era == m.stamp.Era && now.stamp.Revision >= m.stamp.Revision {
			return
		}
	}
	s.raised.Store(&raise{stamp: m.stamp, upTo: upTo})
}

// encodeHead is the beginning of the file.
func (id *identity) encodeHead(s *segment) []byte {
	b := append(make([]byte, 0, segmentHead), segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, s.removalsBefore)
	b = binary.LittleEndian.AppendUint64(b, s.before)
	b = binary.LittleEndian.AppendUint32(b, id.check(s.seq, 0, b))
	return append(b, make([]byte, segmentHead-len(b))...)
}

// parseHead reads what encodeHead wrote into s.
func (id *identity) parseHead(b []byte, s *segment) error {
	if len(b) < segmentHead || string(b[:8]) != segmentMagic {
		return errors.New("no segment of a disk cache")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != format {
		return fmt.Errorf("of format %d, this release knows %d", v, format)
	}
	if id.check(s.seq, 0, b[:24]) != binary.LittleEndian.Uint32(b[24:]) {
		return errors.New("head damaged or of another cache")
	}
	s.removalsBefore, s.before = binary.LittleEndian.Uint32(b[12:]), binary.LittleEndian.Uint64(b[16:])
	return nil
}
