// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package lastgood

import (
	"fmt"
	"os"
	"path/filepath"
)

// lock opens the lock file only: where there is no flock, bbolt's own lock on its
// file is what keeps a second process out.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return f, nil
}
