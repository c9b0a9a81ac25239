// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Names within the directory.
const (
	lockName     = "lock"
	identityName = "identity"
	snapshotName = "index"
	temporary    = ".tmp"
)

// files is the file system as a Log needs it. It has a second implementation, with
// faults, in the tests.
type files interface {
	// Open opens a file for reading and writing; create makes one that must not be there.
	Open(name string, create bool) (file, error)
	Remove(name string) error
	Rename(from, to string) error
	List(dir string) ([]fs.DirEntry, error)
	// SyncDir makes creations and removals in dir durable.
	SyncDir(dir string) error
}

// file is an open file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes what was written durable.
	Sync() error
	// OS is the file as the system knows it, for who sends ranges of it.
	OS() *os.File
}

// system is the file system of the operating system.
type system struct{}

func (system) Open(name string, create bool) (file, error) {
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return systemFile{f}, nil
}

func (system) Remove(name string) error               { return os.Remove(name) }
func (system) Rename(from, to string) error           { return os.Rename(from, to) }
func (system) List(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }

func (system) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

type systemFile struct{ *os.File }

func (f systemFile) OS() *os.File { return f.File }

func (f systemFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// replace writes a small file so that after a crash it is there whole or as before.
func replace(on files, dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
	_ = on.Remove(path + temporary) // of a start that did not get further
	f, err := on.Open(path+temporary, true)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = on.Rename(path+temporary, path)
	}
	if err == nil {
		err = on.SyncDir(dir)
	}
	if err != nil {
		_ = on.Remove(path + temporary)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// window reads a file forward, in pieces that are larger than what is asked for.
type window struct {
	from file
	size int64 // of what may be read
	buf  []byte
	at   int64 // where buf lies
}

const windowBytes = 256 << 10

// get returns the n bytes at offset, valid until the next call.
func (w *window) get(offset int64, n int) ([]byte, error) {
	if offset < 0 || offset+int64(n) > w.size {
		return nil, io.ErrUnexpectedEOF
	}
	if offset < w.at || offset+int64(n) > w.at+int64(len(w.buf)) {
		want := int(min(int64(max(n, windowBytes)), w.size-offset))
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		w.buf, w.at = w.buf[:want], offset
		if err := readFull(w.from, w.buf, offset); err != nil {
			w.buf = w.buf[:0]
			return nil, err
		}
	}
	at := int(offset - w.at)
	return w.buf[at : at+n], nil
}

// readFull fills b. A file that ends before is no error of the disk.
func readFull(from io.ReaderAt, b []byte, offset int64) error {
	n, err := from.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
