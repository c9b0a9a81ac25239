// SPDX-License-Identifier: Apache-2.0

//go:build unix && !(linux && !race && (amd64 || arm64 || riscv64 || loong64))

package http1

import (
	"errors"
	"syscall"
)

// receive and transmit are here as the race detector knows them.

func receive(fd uintptr, p []byte) (int, syscall.Errno) { return numbered(syscall.Read(int(fd), p)) }

func transmit(fd uintptr, p []byte) (int, syscall.Errno) { return numbered(syscall.Write(int(fd), p)) }

func numbered(n int, err error) (int, syscall.Errno) {
	var e syscall.Errno
	errors.As(err, &e) // package syscall has no other errors
	return n, e
}
