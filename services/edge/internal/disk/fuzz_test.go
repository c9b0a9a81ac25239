// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// memory is a file of bytes that is only read.
type memory struct{ *bytes.Reader }

func (memory) Close() error                       { return nil }
func (memory) Sync() error                        { return nil }
func (memory) Truncate(int64) error               { return nil }
func (memory) OS() *os.File                       { return nil }
func (memory) WriteAt([]byte, int64) (int, error) { return 0, io.ErrShortWrite }
func (m memory) Size() (int64, error)             { return m.Reader.Size(), nil }

func memoryOf(b []byte) memory { return memory{bytes.NewReader(b)} }

// sampleSegment is a whole segment with its index block.
func sampleSegment(id *identity) []byte {
	seg := newSegment(7, 0)
	seg.before, seg.removalsBefore = 6, 3
	b := id.encodeHead(seg)
	for i := range 5 {
		r := record{key: fmt.Sprint("key", i), head: []byte("head"), body: [][]byte{[]byte("some"), bytes.Repeat([]byte("body"), i)}}
		r.kind, r.hash, r.stamp = kindPut, id.hash(r.key), Stamp{1, int64(i)}
		if i == 3 {
			r = record{header: header{kind: kindRemoval, hash: r.hash}}
			seg.removals++
		}
		if i == 4 {
			r = mark{stamp: Stamp{1, 9}, seq: 7, offset: 100}.record()
		}
		check, size := checkOf(r.body)
		r.bodyCheck, r.bodyLen, r.headLen, r.keyLen, r.removals = check, uint32(size), uint32(len(r.head)), uint32(len(r.key)), seg.removals
		at := len(b)
		b = id.append(b, seg.seq, int64(at), &r)
		seg.items = append(seg.items, item{
			hash: r.hash, offset: uint32(at / align), size: uint32(r.size() / align),
			lead: uint16(aligned(r.lead()) / align), kind: r.kind,
		})
		if r.kind == kindPut {
			seg.note(r.stamp)
		}
	}
	seg.noteMark(mark{stamp: Stamp{1, 9}, seq: 7, offset: 100})
	return id.appendBlock(b, seg.seq, int64(len(b)), &seg.summary, seg.items)
}

// FuzzSegment reads any bytes as a segment: what is found lies within it and is whole.
func FuzzSegment(f *testing.F) {
	id := newIdentity([32]byte{1, 2, 3})
	whole := sampleSegment(id)
	f.Add(whole, 0, uint64(0))
	f.Add(whole[:len(whole)-9], 64, uint64(1))
	f.Add(whole[64:], 0, uint64(0xff00ff))
	f.Fuzz(func(t *testing.T, b []byte, at int, bits uint64) {
		b = bytes.Clone(b)
		for i := range 8 {
			if j := at + i; j >= 0 && j < len(b) {
				b[j] ^= byte(bits >> (8 * i))
			}
		}
		m, size := memoryOf(b), int64(len(b))
		var head segment
		head.seq = 7
		_ = id.parseHead(b, &head)
		s, err := id.scan(m, 7, size)
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		check := func(items []item, end int64) {
			for i := range items {
				if err := items[i].valid(end); err != nil {
					t.Errorf("item %+v of %d bytes: %v", items[i], end, err)
				}
			}
		}
		check(s.items, size)
		if _, items, err := id.readBlock(m, 7, size); err == nil {
			check(items, size)
		}
	})
}

func TestSampleSegment(t *testing.T) {
	id := newIdentity([32]byte{1, 2, 3})
	b := sampleSegment(id)
	m := memoryOf(b)
	sum, items, err := id.readBlock(m, 7, int64(len(b)))
	if err != nil || len(items) != 5 || sum.removals != 1 || len(sum.marks) != 1 || sum.oldest[0] != (Stamp{1, 0}) {
		t.Fatalf("%+v, %d items, %v", sum, len(items), err)
	}
	s, err := id.scan(m, 7, int64(len(b)))
	if err != nil || len(s.items) != 5 || s.lost || s.damaged != 0 || fmt.Sprint(s.items) != fmt.Sprint(items) {
		t.Errorf("scanned %+v, %v", s, err)
	}
	if _, _, err := id.readBlock(m, 8, int64(len(b))); err == nil {
		t.Error("the block of another segment passes")
	}
	if s, _ := id.scan(m, 8, int64(len(b))); len(s.items) != 0 {
		t.Error("records of another segment pass")
	}
}

// FuzzBlock reads any bytes as an index block with a checksum that holds.
func FuzzBlock(f *testing.F) {
	id := newIdentity([32]byte{1, 2, 3})
	whole := sampleSegment(id)
	offset, n, _, err := id.parseTrailer(whole[len(whole)-trailerBytes:], 7, int64(len(whole)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[offset:offset+int64(n)], offset)
	f.Add([]byte{1, 0, 0, 0}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, offset int64) {
		_, items, err := parseBlock(b, offset)
		if err != nil {
			return
		}
		for i := range items {
			if err := items[i].valid(offset); err != nil {
				t.Errorf("item %+v before %d: %v", items[i], offset, err)
			}
		}
	})
}

// FuzzSnapshot reads any bytes as the index of a stop.
func FuzzSnapshot(f *testing.F) {
	dir := f.TempDir()
	l, err := Open(small(dir))
	if err != nil {
		f.Fatal(err)
	}
	for i := range 20 {
		if err := putOn(l, fmt.Sprint(i), i, 5000); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, snapshotName))
	if err != nil {
		f.Fatal(err)
	}
	id := l.id
	f.Add(whole)
	f.Add(whole[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := id.readSnapshot(memoryOf(b))
		if err != nil {
			return
		}
		_ = s.entries(id, func(some []byte) error {
			for ; len(some) > 0; some = some[entryBytes:] {
				parseEntry(some)
			}
			return nil
		})
	})
}

// FuzzIdentity reads any bytes as an identity.
func FuzzIdentity(f *testing.F) {
	f.Add(newIdentity([32]byte{9}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := decodeIdentity(b); err == nil && !bytes.Equal(id.encode(), b) {
			t.Error("taken for another")
		}
	})
}
