// SPDX-License-Identifier: Apache-2.0

//go:build linux && !race && (amd64 || arm64 || riscv64 || loong64)

package http1

import (
	"syscall"
	"unsafe"
)

// receive and transmit are recv and send on a socket that never waits, for a few
// kilobytes. They do not tell the scheduler that they enter the kernel: of a call of
// one to ten microseconds that would be a tenth, and worse, after twenty the processor
// would be given to another thread in the middle of an answer.

func receive(fd uintptr, p []byte) (int, syscall.Errno) {
	return socketCall(syscall.SYS_RECVFROM, fd, p, syscall.MSG_DONTWAIT)
}

func transmit(fd uintptr, p []byte) (int, syscall.Errno) {
	return socketCall(syscall.SYS_SENDTO, fd, p, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func socketCall(number, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
	return int(n), e
}
