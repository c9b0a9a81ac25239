// SPDX-License-Identifier: Apache-2.0

//go:build unix

package accesslog

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipeIsRefused: opening one would wait for a reader, perhaps for ever.
func TestPipeIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}
