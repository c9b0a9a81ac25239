// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt trusts its file: a damaged page can make it panic in a goroutine of its
// own, read outside of its mapping or walk in a circle. So the file is looked at
// here first, with every number held against its bounds. This is bbolt's format 2;
// numbers are in the byte order of the machine, as bbolt writes them.
const (
	pageSize   = 4096
	pageHead   = 16 // id u64, flags u16, count u16, overflow u32
	elementLen = 16 // of a branch: pos u32, ksize u32, id u64; of a leaf: flags, pos, ksize, vsize u32
	bucketHead = 16 // root u64, sequence u64

	flagBranch, flagLeaf, flagMeta = 0x01, 0x02, 0x04
	elementBucket                  = 0x01

	metaMagic, metaVersion = 0xED0CDAED, 2
	metaLen                = 64 // magic, version, page size, flags u32; root, sequence, freelist, high, txid, checksum u64
	noFreelist             = ^uint64(0)

	maxDepth = 64
)

var order = binary.NativeEndian

// damage is what is wrong with a page.
func damage(page uint64, format string, args ...any) error {
	return fmt.Errorf("page %d: %s", page, fmt.Sprintf(format, args...))
}

// checkPages returns an error unless everything that bbolt will follow in the file
// lies within it, is used once and is in order.
func checkPages(file io.ReaderAt, size int64) error {
	var newest meta
	for page := range uint64(2) {
		m, err := readMeta(file, page)
		if err != nil {
			return err
		}
		if page == 0 || m.txid > newest.txid {
			newest = m
		}
	}
	if newest.high > uint64(size/pageSize) {
		return fmt.Errorf("file is cut: it has %d bytes, its last page ends at %d", size, newest.high*pageSize)
	}
	if newest.freelist != noFreelist {
		return errors.New("file was not written by an edge")
	}
	w := walker{file: file, high: newest.high, seen: make([]bool, newest.high)}
	return w.tree(newest.root, nil, nil, 0)
}

type meta struct {
	root, freelist, high, txid uint64
}

func readMeta(file io.ReaderAt, page uint64) (meta, error) {
	buf := make([]byte, pageHead+metaLen)
	if _, err := file.ReadAt(buf, int64(page)*pageSize); err != nil {
		return meta{}, damage(page, "read: %v", err)
	}
	b := buf[pageHead:]
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaLen-8]) // never fails
	switch {
	case order.Uint64(buf) != page || order.Uint16(buf[8:]) != flagMeta:
		return meta{}, damage(page, "is not a meta page")
	case order.Uint32(b) != metaMagic || order.Uint32(b[4:]) != metaVersion || order.Uint32(b[8:]) != pageSize:
		return meta{}, damage(page, "has another format")
	case order.Uint64(b[56:]) != sum.Sum64():
		return meta{}, damage(page, "checksum does not match")
	}
	return meta{root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]), high: order.Uint64(b[40:]), txid: order.Uint64(b[48:])}, nil
}

// walker follows every page that is in use.
type walker struct {
	file io.ReaderAt
	high uint64 // pages from here on do not exist
	seen []bool
}

// page is one page with its overflow, or the page inside an inline bucket.
type page struct {
	id    uint64
	flags uint16
	count int
	data  []byte
}

// load reads a page and claims it: no page is used twice.
func (w *walker) load(id uint64) (page, error) {
	if id < 2 || id >= w.high {
		return page{}, damage(id, "lies outside of the file")
	}
	var head [pageHead]byte
	if _, err := w.file.ReadAt(head[:], int64(id)*pageSize); err != nil {
		return page{}, damage(id, "read: %v", err)
	}
	more := uint64(order.Uint32(head[12:]))
	if order.Uint64(head[:]) != id || id+more >= w.high {
		return page{}, damage(id, "head is wrong")
	}
	for i := id; i <= id+more; i++ {
		if w.seen[i] {
			return page{}, damage(i, "is used twice")
		}
		w.seen[i] = true
	}
	data := make([]byte, (more+1)*pageSize)
	if _, err := w.file.ReadAt(data, int64(id)*pageSize); err != nil {
		return page{}, damage(id, "read: %v", err)
	}
	return page{id: id, flags: order.Uint16(head[8:]), count: int(order.Uint16(head[10:])), data: data}, nil
}

// tree checks a page and what is below it: its keys are from low on and below high.
func (w *walker) tree(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return damage(id, "lies too deep")
	}
	p, err := w.load(id)
	if err != nil {
		return err
	}
	switch p.flags {
	case flagLeaf:
		return w.leaf(p, low, high, depth)
	case flagBranch:
		return w.branch(p, low, high, depth)
	}
	return damage(id, "has type %#x", p.flags)
}

func (w *walker) branch(p page, low, high []byte, depth int) error {
	if p.count == 0 {
		return damage(p.id, "branch without elements")
	}
	ks := make([][]byte, p.count)
	for i := range ks {
		at, err := p.element(i)
		if err != nil {
			return err
		}
		e := p.data[at:]
		if ks[i], err = p.cut(at, order.Uint32(e), order.Uint32(e[4:])); err != nil {
			return err
		}
		if low, err = p.follows(i, ks[i], low, high); err != nil {
			return err
		}
	}
	for i, k := range ks {
		next := high
		if i+1 < len(ks) {
			next = ks[i+1]
		}
		at, err := p.element(i)
		if err != nil {
			return err
		}
		if err := w.tree(order.Uint64(p.data[at+8:]), k, next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) leaf(p page, low, high []byte, depth int) error {
	for i := range p.count {
		at, err := p.element(i)
		if err != nil {
			return err
		}
		e := p.data[at:]
		flags, pos, ksize, vsize := order.Uint32(e), order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
		key, err := p.cut(at, pos, ksize)
		if err != nil {
			return err
		}
		if low, err = p.follows(i, key, low, high); err != nil {
			return err
		}
		value, err := p.cut(at+int(ksize), pos, vsize)
		if err != nil {
			return err
		}
		switch {
		case flags == 0:
		case flags == elementBucket && p.id != 0 && len(value) >= bucketHead:
			if err := w.bucket(value, depth); err != nil {
				return err
			}
		default:
			return damage(p.id, "element %d has type %#x", i, flags)
		}
	}
	return nil
}

// bucket checks what hangs under a bucket's entry: a tree of its own, or a leaf in
// the entry itself.
func (w *walker) bucket(value []byte, depth int) error {
	if root := order.Uint64(value); root != 0 {
		return w.tree(root, nil, nil, depth+1)
	}
	data := value[bucketHead:]
	if len(data) < pageHead || order.Uint64(data) != 0 || order.Uint16(data[8:]) != flagLeaf {
		return damage(0, "inline bucket is wrong")
	}
	return w.leaf(page{flags: flagLeaf, count: int(order.Uint16(data[10:])), data: data}, nil, nil, depth+1)
}

// element is the offset of the i-th element.
func (p page) element(i int) (int, error) {
	at := pageHead + i*elementLen
	if at+elementLen > len(p.data) {
		return 0, damage(p.id, "element %d lies outside", i)
	}
	return at, nil
}

// cut returns size bytes at pos behind base.
func (p page) cut(base int, pos, size uint32) ([]byte, error) {
	from := uint64(base) + uint64(pos)
	to := from + uint64(size)
	if to > uint64(len(p.data)) {
		return nil, damage(p.id, "data lies outside")
	}
	return p.data[from:to], nil
}

// follows checks that the i-th key comes after the one before, or not before the
// lowest allowed, and returns it as the next lower bound.
func (p page) follows(i int, key, low, high []byte) ([]byte, error) {
	c := bytes.Compare(key, low)
	if len(key) == 0 || c < 0 || c == 0 && i > 0 || high != nil && bytes.Compare(key, high) >= 0 {
		return nil, damage(p.id, "key %d is out of order", i)
	}
	return key, nil
}
