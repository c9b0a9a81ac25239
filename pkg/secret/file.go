// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Load reads the cluster keys of a file in the form of Parse, and follows the file:
// when it changes, the next Seal or Open goes by what it says then. A file that
// cannot be read any more, or is torn, changes nothing; failed, which may be nil, is
// told so once for each state of the file. The first time that is an error.
func Load(name string, failed func(error)) (*Keyring, error) {
	f := &file{name: name, failed: failed}
	if err := f.load(); err != nil {
		return nil, err
	}
	return &Keyring{file: f}, nil
}

// LoadOrCreate is Load, and makes a file with one key that only its owner may read
// when there is none. Of several processes that do so at once one makes it.
func LoadOrCreate(name string, failed func(error)) (*Keyring, error) {
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		if err := create(name); err != nil {
			return nil, fmt.Errorf("make a cluster key: %w", err)
		}
	}
	return Load(name, failed)
}

// create writes the file under another name first and links it to its own: no other
// process ever sees a part of it, and none replaces what another made.
func create(name string) (err error) {
	line, err := NewKey("k" + time.Now().UTC().Format("20060102"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(out.Name())) }()
	_, err = io.WriteString(out, "# Seafront cluster key: who has it reads every secret in the store.\n"+line+"\n")
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Link(out.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// file is keys that follow a file.
type file struct {
	name   string
	failed func(error)

	mu   sync.Mutex // guards the rest; held while the file is read, which is short
	keys []key
	seen fs.FileInfo // of what was read; nil when it could not be
}

// current looks whether the file is as it was, which costs one system call.
func (f *file) current() []key {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.name)
	lost := err != nil && f.seen == nil
	if lost || err == nil && same(info, f.seen) {
		return f.keys
	}
	if err := f.read(); err != nil && f.failed != nil {
		f.failed(fmt.Errorf("cluster keys stay as they were: %w", err))
	}
	return f.keys
}

func same(a, b fs.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (f *file) load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read()
}

// read takes the file in, with the lock held. What it has seen is remembered also
// when it is no good.
func (f *file) read() error {
	f.seen = nil
	in, err := os.Open(f.name)
	if err != nil {
		return fmt.Errorf("cluster key file: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("cluster key file: %w", err)
	}
	f.seen = info
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return fmt.Errorf("cluster key file: %w", err)
	}
	keys, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("cluster key file %s: %w", f.name, err)
	}
	f.keys = keys
	return nil
}
