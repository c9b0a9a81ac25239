// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package origin

import (
	"errors"
	"net"
	"syscall"
)

// quiet says whether nothing waits to be read: no byte, no end, no reset. It
// looks without taking. A connection without a socket counts as quiet.
func quiet(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		for {
			_, _, peeked = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if !errors.Is(peeked, syscall.EINTR) {
				return true // never wait
			}
		}
	})
	return err == nil && errors.Is(peeked, syscall.EAGAIN)
}
