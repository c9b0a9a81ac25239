// SPDX-License-Identifier: Apache-2.0

//go:build unix

package lastgood

import (
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// To open a pipe is to wait for whoever writes to it.
func TestPipeIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s, c, refused, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if c.Point.Revision != 0 || !strings.Contains(refused, path) {
		t.Errorf("refused %q, want it to name %s", refused, path)
	}
}
