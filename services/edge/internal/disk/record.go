// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/binary"
	"hash/crc32"
)

// A record is a header of 64 bytes, the key, the head, the body, and zeros up to a
// multiple of align:
//
//	 0 magic      4 checksum of 8..64, key and head
//	 8 checksum of the body           12 length of the body
//	16 length of the head             20 length of the key
//	24 kind                           28 removals
//	32 hash                           48 era      56 revision
const (
	headerBytes = 64
	align       = 8
)

type kind uint8

const (
	_           kind = iota
	kindPut          // a record of the caller
	kindRemoval      // whatever has this hash before it is gone
	kindMark         // see mark
)

// header is what stands before each record.
type header struct {
	bodyCheck                uint32
	bodyLen, headLen, keyLen uint32
	kind                     kind
	// removals counts those of the segment, up to and with this record. So where bytes
	// are damaged the next record tells whether a removal was among them.
	removals uint32
	hash     hash
	stamp    Stamp
}

// lead is the number of bytes before the body.
func (h *header) lead() int { return headerBytes + int(h.keyLen) + int(h.headLen) }

// size is the number of bytes that the record takes.
func (h *header) size() int { return aligned(h.lead() + int(h.bodyLen)) }

func aligned(n int) int { return (n + align - 1) &^ (align - 1) }

// view is what the caller may see of a record, given what is before its body.
func (h *header) view(lead []byte, at Stamp) Record {
	key, head := headerBytes+int(h.keyLen), h.lead()
	return Record{Key: lead[headerBytes:key:key], Head: lead[key:head:head], Stamp: at, Size: int64(h.bodyLen)}
}

// record is one to be written.
type record struct {
	header
	key  string
	head []byte
	body [][]byte
}

// append appends r as it stands at offset of segment seq.
func (id *identity) append(b []byte, seq uint64, offset int64, r *record) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, id.magic)
	for _, n := range []uint32{0, r.bodyCheck, r.bodyLen, r.headLen, r.keyLen, uint32(r.kind), r.removals} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = append(b, r.hash[:]...)
	b = binary.LittleEndian.AppendUint64(b, r.stamp.Era)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.stamp.Revision))
	b = append(b, r.key...)
	b = append(b, r.head...)
	binary.LittleEndian.PutUint32(b[start+4:], id.check(seq, offset, b[start+8:]))
	for _, part := range r.body {
		b = append(b, part...)
	}
	var zeros [align]byte
	return append(b, zeros[:aligned(len(b)-start)-(len(b)-start)]...)
}

// decode reads the header at the beginning of b and says whether it may be one.
func (id *identity) decode(b []byte) (h header, ok bool) {
	if len(b) < headerBytes || binary.LittleEndian.Uint32(b) != id.magic {
		return h, false
	}
	n := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	h = header{
		bodyCheck: n(8), bodyLen: n(12), headLen: n(16), keyLen: n(20), removals: n(28),
		hash: hash(b[32:48]),
		stamp: Stamp{
			Era:      binary.LittleEndian.Uint64(b[48:]),
			Revision: int64(binary.LittleEndian.Uint64(b[56:])),
		},
	}
	k := n(24)
	h.kind = kind(k)
	return h, k >= uint32(kindPut) && k <= uint32(kindMark) && h.bodyLen <= MaxBody && h.headLen <= MaxHead && h.keyLen <= MaxKey
}

// whole says whether lead, all that stands before the body, is what was written there.
func (id *identity) whole(seq uint64, offset int64, lead []byte) bool {
	return binary.LittleEndian.Uint32(lead[4:]) == id.check(seq, offset, lead[8:])
}

// checkOf is the checksum of a body.
func checkOf(body [][]byte) (check uint32, size int64) {
	for _, part := range body {
		check = crc32.Update(check, castagnoli(), part)
		size += int64(len(part))
	}
	return check, size
}

// mark says that every record before a place was held against what the caller knew at a
// moment: their stamps count as raised to it. One without an era says nothing: it is
// written behind removals, to tell of them should they be damaged.
type mark struct {
	stamp  Stamp
	seq    uint64
	offset int64
}

func (m mark) record() record {
	r := record{header: header{kind: kindMark, stamp: m.stamp}}
	binary.LittleEndian.PutUint64(r.hash[:], m.seq)
	binary.LittleEndian.PutUint64(r.hash[8:], uint64(m.offset))
	return r
}

func (h *header) mark() mark {
	return mark{
		stamp: h.stamp, seq: binary.LittleEndian.Uint64(h.hash[:]),
		offset: int64(binary.LittleEndian.Uint64(h.hash[8:])),
	}
}
