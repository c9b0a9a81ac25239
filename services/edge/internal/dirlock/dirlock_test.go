// SPDX-License-Identifier: Apache-2.0

package dirlock

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := Take(path, "box b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(path, "box b"); err == nil || err.Error() != "box b is in use by another process" {
		t.Errorf("taken twice: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Take(path, "box b")
	if err != nil {
		t.Fatalf("after it was released: %v", err)
	}
	_ = again.Close()
	if _, err := Take(filepath.Join(path, "below"), "box b"); err == nil || !strings.HasPrefix(err.Error(), "lock box b: ") {
		t.Errorf("below a file: %v", err)
	}
}
