// SPDX-License-Identifier: Apache-2.0

// Package dirlock keeps a second process out of a directory. The system releases a lock
// when the process ends, however it ends. It promises nothing where there is no flock:
// what then, the caller decides.
package dirlock

import (
	"errors"
	"fmt"
	"os"
)

// ErrUnsupported says that this system has no flock.
var ErrUnsupported = errors.New("this system has no flock")

// Take locks the file at path, which it makes, until the file is closed. what names the
// directory in errors, for example "disk cache /var/lib/x". Where there is no flock it
// returns the open file with ErrUnsupported.
func Take(path, what string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", what, err)
	}
	taken, err := try(f)
	switch {
	case errors.Is(err, ErrUnsupported):
		return f, err
	case err != nil:
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", what, err)
	case !taken:
		_ = f.Close()
		return nil, fmt.Errorf("%s is in use by another process", what)
	}
	return f, nil
}
