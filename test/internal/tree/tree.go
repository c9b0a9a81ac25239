// SPDX-License-Identifier: Apache-2.0

// Package tree is a large tree of real files for tests: the source of the Go
// distribution, thousands of files from none to megabytes.
package tree

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Tree is a directory and the files in it.
type Tree struct {
	Dir   string
	Files []string // relative, with slashes
}

// Go returns the source tree of the Go distribution.
func Go(t testing.TB) *Tree {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	tree := &Tree{Dir: filepath.Join(string(bytes.TrimSpace(out)), "src")}
	err = filepath.WalkDir(tree.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(tree.Dir, path)
		tree.Files = append(tree.Files, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const thousands = 5000
	if len(tree.Files) < thousands {
		t.Fatalf("%s has %d files only", tree.Dir, len(tree.Files))
	}
	return tree
}

// Read returns the content of a file.
func (t *Tree) Read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(t.Dir, filepath.FromSlash(name)))
}

// Target is the request target of a file.
func Target(name string) string { return (&url.URL{Path: "/" + name}).EscapedPath() }

// Serve runs an HTTP server for the files until the test ends, and returns its
// address. It is Go's own, without its redirects away from index.html.
func (t *Tree) Serve(tb testing.TB) string {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(filepath.Join(t.Dir, filepath.Clean(filepath.FromSlash(r.URL.Path))))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil || info.IsDir() {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, f.Name(), info.ModTime(), f)
	}))
	tb.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
