// SPDX-License-Identifier: Apache-2.0

package hitratio

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Open reads the trace in a file, which may be compressed: .gz, .zst, or .xz, for which
// the program xz is needed. What is inside, Read tells.
func Open(name string) (*Trace, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("open trace: %w", err)
	}
	var r io.Reader = bytes.NewReader(raw)
	switch filepath.Ext(name) {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".zst":
		r, err = zstd.NewReader(r)
	case ".xz":
		raw, err = exec.Command("xz", "--decompress", "--stdout", "--", name).Output()
		r = bytes.NewReader(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("open trace %s: %w", name, err)
	}
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	return Read(base, r)
}

// Read reads a trace. Text has lines of `key`, `time key size`, or of four numbers, of
// which the first two are a block and how many there are from it on. Anything else is
// binary: keys of four bytes in either order, or, when the name says oracleGeneral, the
// records of libCacheSim. Sizes are 1 if there are none, and 1 instead of 0; the first
// size of a key counts.
func Read(name string, r io.Reader) (*Trace, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read trace %s: %w", name, err)
	}
	b := builder{trace: &Trace{Name: name}, keys: map[string]int32{}}
	switch {
	case strings.Contains(name, "oracleGeneral"):
		err = b.oracleGeneral(raw)
	case isText(raw):
		err = b.lines(raw)
	default:
		err = b.binary(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("read trace %s: %w", name, err)
	}
	return b.trace, nil
}

// isText looks at the beginning.
func isText(raw []byte) bool {
	head := raw[:min(len(raw), 1024)]
	return bytes.IndexFunc(head, func(r rune) bool {
		return r != '\n' && r != '\t' && r != '\r' && (r < ' ' || r > '~')
	}) < 0
}

// builder gives the keys of a trace dense numbers.
type builder struct {
	trace *Trace
	keys  map[string]int32
	sizes []int64
}

func (b *builder) add(key []byte, size int64) {
	t := b.trace
	id, ok := b.keys[string(key)]
	if !ok {
		id = int32(t.Objects)
		b.keys[string(key)] = id
		t.Objects++
		b.sizes = append(b.sizes, max(size, 1))
		t.Bytes += max(size, 1)
	}
	t.Requests = append(t.Requests, Request{Key: id, Size: b.sizes[id]})
}

func (b *builder) binary(raw []byte) error {
	if len(raw)%4 != 0 {
		return fmt.Errorf("%d bytes are no keys of four bytes", len(raw))
	}
	for ; len(raw) > 0; raw = raw[4:] {
		b.add(raw[:4], 1)
	}
	return nil
}

func (b *builder) oracleGeneral(raw []byte) error {
	const record, key, size = 24, 4, 12 // time, key, size, time of the next request
	if len(raw)%record != 0 {
		return fmt.Errorf("%d bytes are no records of %d bytes", len(raw), record)
	}
	for ; len(raw) > 0; raw = raw[record:] {
		b.add(raw[key:size], int64(binary.LittleEndian.Uint32(raw[size:])))
	}
	return nil
}

func (b *builder) lines(raw []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; lines.Scan(); n++ {
		if err := b.line(lines.Text()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func (b *builder) line(line string) error {
	const mostBlocks = 1 << 20
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\r' })
	switch len(fields) {
	case 0:
	case 1:
		b.add([]byte(fields[0]), 1)
	case 3:
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil || size < 0 || size > math.MaxUint32 {
			return fmt.Errorf("%q is no size below 4 GiB", fields[2])
		}
		b.add([]byte(fields[1]), size)
	case 4:
		first, err1 := strconv.ParseUint(fields[0], 10, 63)
		n, err2 := strconv.ParseUint(fields[1], 10, 63)
		if err1 != nil || err2 != nil || n > mostBlocks {
			return fmt.Errorf("%q are no block and number of blocks", fields[:2])
		}
		for i := range n {
			b.add(strconv.AppendUint(nil, first+i, 10), 1)
		}
	default:
		return fmt.Errorf("%d fields, want 1, 3 or 4", len(fields))
	}
	return nil
}
