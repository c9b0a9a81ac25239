// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package origin

import (
	"errors"
	"net"
	"syscall"
)

// probe returns a function that says whether nothing waits to be read: no byte, no
// end, no reset. It looks without taking. A connection without a socket counts as
// quiet. The function is made once a connection, so that asking costs no memory.
func probe(nc net.Conn) (quiet func() bool) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return func() bool { return true }
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	var (
		b      [1]byte
		peeked error
	)
	peek := func(fd uintptr) {
		for {
			_, _, peeked = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if !errors.Is(peeked, syscall.EINTR) {
				return
			}
		}
	}
	// Control heeds no deadline: that of an earlier wait may have passed.
	return func() bool { return raw.Control(peek) == nil && errors.Is(peeked, syscall.EAGAIN) }
}
