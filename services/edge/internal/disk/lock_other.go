// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package disk

import (
	"errors"
	"os"
)

// lock refuses: without a lock two processes would spoil each other's segments.
func lock(string) (*os.File, error) {
	return nil, errors.New("a disk cache needs a system with flock")
}
