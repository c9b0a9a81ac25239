// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Values of the flag that says where the log goes. Anything else is a path.
const (
	Off    = "off"
	Stdout = "stdout"
)

// Open returns the writer for a value of the flag: nil for Off and for nothing at all,
// stdout itself for Stdout, which closing does not touch, and else a *File.
func Open(value string, stdout io.Writer) (io.Writer, error) {
	switch value {
	case "", Off:
		return nil, nil
	case Stdout:
		return struct{ io.Writer }{stdout}, nil
	}
	return OpenFile(value)
}

// File is a file to which lines are appended, and which can be opened anew after it
// was moved away. It is safe for concurrent use.
type File struct {
	path string
	mu   sync.Mutex // guards file; held while writing
	file *os.File
}

// OpenFile opens a file for appending, and makes it, readable by owner and group, where
// there is none. A pipe is refused: opening one waits for a reader.
func OpenFile(path string) (*File, error) {
	file, err := openAppend(path)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return &File{path: path, file: file}, nil
}

func openAppend(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Write(p)
}

// Reopen opens the path anew, for when the file has been moved away. On failure the old
// file stays in use.
func (f *File) Reopen() error {
	file, err := openAppend(f.path)
	if err != nil {
		return fmt.Errorf("open access log again: %w", err)
	}
	f.mu.Lock()
	old := f.file
	f.file = file
	f.mu.Unlock()
	return old.Close()
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
