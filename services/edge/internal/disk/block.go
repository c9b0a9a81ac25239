// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// item is what an index block says of a record.
type item struct {
	hash         hash
	offset, size uint32 // in units of align
	lead         uint16
	kind         kind
}

func (i *item) place(slot uint16) place {
	return place{offset: i.offset, size: i.size, lead: i.lead, slot: slot}
}

// unknown stands for a number of removals that nobody can tell.
const unknown = math.MaxUint32

// summary is what is to be known of a segment beside its items.
type summary struct {
	// removals is how many of them there are among the items.
	removals uint32
	// before is the segment that was written before this one, 0 if there was none, and
	// removalsBefore how many removals are in that.
	before         uint64
	removalsBefore uint32
	// oldest holds the lowest revision of a record for each era, the newest eras last.
	oldest []Stamp
	// marks are the newest marks.
	marks []mark
}

const (
	mostEras  = 4
	mostMarks = 4
)

// note takes a stamp into account. Of more eras than there is room for, nothing is
// known but that they were there.
func (s *summary) note(at Stamp) {
	for i := range s.oldest {
		if s.oldest[i].Era == at.Era {
			s.oldest[i].Revision = min(s.oldest[i].Revision, at.Revision)
			return
		}
	}
	if len(s.oldest) == mostEras {
		s.oldest = slices.Delete(s.oldest, 0, 1)
		at.Revision = math.MinInt64
	}
	s.oldest = append(s.oldest, at)
}

func (s *summary) noteMark(m mark) {
	if m.stamp.Era == 0 {
		return
	}
	if len(s.marks) == mostMarks {
		s.marks = slices.Delete(s.marks, 0, 1)
	}
	s.marks = append(s.marks, m)
}

// An index block is a head, the oldest stamps, the marks, the items, and a trailer, the
// last bytes of its file.
const (
	blockMagic   = "SEAFBLCK"
	stampBytes   = 16
	markBytes    = 32
	summaryBytes = 24 + mostEras*stampBytes + mostMarks*markBytes
	itemBytes    = 28
	trailerBytes = 32
)

// blockBytes is the most that an index block of n items takes.
func blockBytes(n int) int64 {
	return int64(aligned(8 + summaryBytes + n*itemBytes + trailerBytes))
}

func appendSummary(b []byte, s *summary) []byte {
	b = binary.LittleEndian.AppendUint32(b, s.removals)
	b = binary.LittleEndian.AppendUint32(b, s.removalsBefore)
	b = binary.LittleEndian.AppendUint64(b, s.before)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.oldest)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.marks)))
	for _, o := range s.oldest {
		b = binary.LittleEndian.AppendUint64(b, o.Era)
		b = binary.LittleEndian.AppendUint64(b, uint64(o.Revision))
	}
	for _, m := range s.marks {
		b = binary.LittleEndian.AppendUint64(b, m.stamp.Era)
		b = binary.LittleEndian.AppendUint64(b, uint64(m.stamp.Revision))
		b = binary.LittleEndian.AppendUint64(b, m.seq)
		b = binary.LittleEndian.AppendUint64(b, uint64(m.offset))
	}
	return b
}

var errMalformed = errors.New("malformed")

// parseSummary reads what appendSummary wrote and returns what is behind it.
func parseSummary(b []byte) (s summary, rest []byte, err error) {
	if len(b) < 24 {
		return s, nil, errMalformed
	}
	s.removals, s.removalsBefore = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	s.before = binary.LittleEndian.Uint64(b[8:])
	eras, marks := binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])
	b = b[24:]
	if eras > mostEras || marks > mostMarks || len(b) < int(eras)*stampBytes+int(marks)*markBytes {
		return s, nil, errMalformed
	}
	word := func() (n uint64) {
		n, b = binary.LittleEndian.Uint64(b), b[8:]
		return n
	}
	for range eras {
		s.oldest = append(s.oldest, Stamp{Era: word(), Revision: int64(word())})
	}
	for range marks {
		s.marks = append(s.marks, mark{stamp: Stamp{Era: word(), Revision: int64(word())}, seq: word(), offset: int64(word())})
	}
	return s, b, nil
}

// appendBlock appends the index block of segment seq as it stands at offset.
func (id *identity) appendBlock(b []byte, seq uint64, offset int64, s *summary, items []item) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(items)))
	b = appendSummary(b, s)
	for i := range items {
		b = appendItem(b, &items[i])
	}
	block := b[start:]
	check := id.check(seq, offset, block)
	trailer := len(b)
	b = append(b, blockMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(offset))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(block)))
	b = binary.LittleEndian.AppendUint32(b, check)
	return binary.LittleEndian.AppendUint32(b, id.check(seq, offset, b[trailer:]))
}

func appendItem(b []byte, it *item) []byte {
	b = append(b, it.hash[:]...)
	b = binary.LittleEndian.AppendUint32(b, it.offset)
	b = binary.LittleEndian.AppendUint32(b, it.size<<8|uint32(it.kind))
	return binary.LittleEndian.AppendUint32(b, uint32(it.lead))
}

func parseItem(b []byte) item {
	sized := binary.LittleEndian.Uint32(b[20:])
	return item{
		hash: hash(b[:16]), offset: binary.LittleEndian.Uint32(b[16:]),
		size: sized >> 8, kind: kind(sized & 0xff), lead: uint16(binary.LittleEndian.Uint32(b[24:])),
	}
}

// parseTrailer reads the last bytes of a segment of so many bytes.
func (id *identity) parseTrailer(b []byte, seq uint64, size int64) (offset int64, length int, check uint32, err error) {
	if len(b) != trailerBytes || string(b[:8]) != blockMagic {
		return 0, 0, 0, errors.New("no index block")
	}
	at, n := binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	if at > math.MaxInt64/2 || n > math.MaxInt32 || int64(at)+int64(n)+trailerBytes != size {
		return 0, 0, 0, errMalformed
	}
	if id.check(seq, int64(at), b[:28]) != binary.LittleEndian.Uint32(b[28:]) {
		return 0, 0, 0, errors.New("trailer damaged")
	}
	return int64(at), int(n), binary.LittleEndian.Uint32(b[24:]), nil
}

// parseBlock reads an index block that begins at offset and whose checksum holds. All
// that it says lies before it.
func parseBlock(b []byte, offset int64) (s summary, items []item, err error) {
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != format {
		return s, nil, errMalformed
	}
	n := int(binary.LittleEndian.Uint32(b[4:]))
	s, b, err = parseSummary(b[8:])
	if err != nil {
		return s, nil, err
	}
	if len(b)%itemBytes != 0 || len(b)/itemBytes != n {
		return s, nil, errMalformed
	}
	items = make([]item, n)
	for i := range items {
		items[i] = parseItem(b[i*itemBytes:])
		if err := items[i].valid(offset); err != nil {
			return s, nil, fmt.Errorf("item %d: %w", i, err)
		}
	}
	return s, items, nil
}

func (i *item) valid(end int64) error {
	at, size := int64(i.offset)*align, int64(i.size)*align
	if i.kind < kindPut || i.kind > kindMark || i.lead < headerBytes/align || uint32(i.lead) > i.size ||
		at < segmentHead || at+size > end {
		return errMalformed
	}
	return nil
}

// readBlock reads the index block of a segment.
func (id *identity) readBlock(f file, seq uint64, size int64) (s summary, items []item, err error) {
	if size < segmentHead+trailerBytes {
		return s, nil, errors.New("no index block")
	}
	trailer := make([]byte, trailerBytes)
	if err := readFull(f, trailer, size-trailerBytes); err != nil {
		return s, nil, err
	}
	offset, n, check, err := id.parseTrailer(trailer, seq, size)
	if err != nil {
		return s, nil, err
	}
	block := make([]byte, n)
	if err := readFull(f, block, offset); err != nil {
		return s, nil, err
	}
	if id.check(seq, offset, block) != check {
		return s, nil, errors.New("index block damaged")
	}
	return parseBlock(block, offset)
}
