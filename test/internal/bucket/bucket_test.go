// SPDX-License-Identifier: Apache-2.0

package bucket_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seafront-cdn/seafront/test/internal/bucket"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// TestPublic shows that objects are secret until the owner publishes the bucket.
func TestPublic(t *testing.T) {
	s := bucket.Start(t, "s3.test")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Link(t, "files", dir)
	if a := viewer.Get(t, s.Address, s.Address, "/files/a.txt"); a.Status != 403 {
		t.Errorf("before it is published: %d", a.Status)
	}
	s.Publish(t, "files")
	for _, style := range []struct{ name, host, path string }{
		{"path style", s.Address, "/files/a.txt"},
		{"virtual-host style", "files.s3.test", "/a.txt"},
	} {
		if a := viewer.Get(t, s.Address, style.host, style.path); a.Status != 200 || string(a.Body) != "text" {
			t.Errorf("%s: %d %q", style.name, a.Status, a.Body)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("the directory of the files now holds %v, %v", names, err)
	}
}
