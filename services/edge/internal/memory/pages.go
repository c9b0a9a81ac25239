// SPDX-License-Identifier: Apache-2.0

//go:build !race

package memory

import "syscall"

// mapPages returns n bytes of zeroes that the collector does not know.
func mapPages(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

// unmapPages gives them back to the system.
func unmapPages(p []byte) error { return syscall.Munmap(p) }
