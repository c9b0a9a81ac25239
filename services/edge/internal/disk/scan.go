// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"io"
)

// scanned is what was found in a segment without an index block.
type scanned struct {
	summary
	items []item
	end   int64 // of the last record
	// damaged are bytes between records that are none. Behind the last record there is
	// what was not written in full.
	damaged int64
	// lost says that a removal was among what is damaged. What is before it is not to be
	// believed then, and not among the items.
	lost bool
}

// scan reads a segment from its beginning to its end and returns the records that are
// whole, bodies included. Where there is none it looks for the next. It fails only when
// the disk does.
func (id *identity) scan(f file, seq uint64, size int64) (s scanned, err error) {
	w := &window{from: f, size: size}
	s.end = min(segmentHead, size)
	for at := s.end; at+headerBytes <= size; {
		h, ok, err := id.recordAt(w, seq, at)
		if err != nil {
			return s, err
		}
		if !ok {
			at += align
			continue
		}
		s.take(&h, at)
		at = s.end
	}
	return s, nil
}

// recordAt returns the record at an offset, if there is one that is whole.
func (id *identity) recordAt(w *window, seq uint64, at int64) (h header, ok bool, err error) {
	b, err := w.get(at, headerBytes)
	if err != nil {
		return h, false, known(err)
	}
	h, ok = id.decode(b)
	if !ok || at+int64(h.size()) > w.size {
		return h, false, nil
	}
	if b, err = w.get(at, h.size()); err != nil {
		return h, false, known(err)
	}
	if !id.whole(seq, at, b[:h.lead()]) || checksum(b[h.lead():][:h.bodyLen]) != h.bodyCheck {
		return h, false, nil
	}
	// A body may hold what looks like a record, but never the hash of a key.
	if h.kind == kindPut && id.hash(string(b[headerBytes:headerBytes+h.keyLen])) != h.hash {
		return h, false, nil
	}
	return h, true, nil
}

// known returns err unless it says that the file ends.
func known(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// take takes the record at an offset into account.
func (s *scanned) take(h *header, at int64) {
	s.damaged += at - s.end
	before := h.removals
	if h.kind == kindRemoval {
		before--
	}
	if before != s.removals { // what it removed may be among the items
		s.lost, s.items = true, nil
	}
	s.removals = h.removals
	s.items = append(s.items, item{
		hash: h.hash, offset: uint32(at / align), size: uint32(h.size() / align),
		lead: uint16(aligned(h.lead()) / align), kind: h.kind,
	})
	switch h.kind {
	case kindPut:
		s.note(h.stamp)
	case kindMark:
		s.noteMark(h.mark())
	}
	s.end = at + int64(h.size())
}
