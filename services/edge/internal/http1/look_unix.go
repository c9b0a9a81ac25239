// SPDX-License-Identifier: Apache-2.0

//go:build unix

package http1

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// canLook says that lookForBytes works.
const canLook = true

// lookForBytes reads what has come, and says whether there was anything. Only while
// there is does it hold a buffer; between, the connection waits with none.
func (c *conn) lookForBytes(fd uintptr) bool {
	c.take()
	for {
		n, err := receive(fd, c.work.buf)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			c.server.works.Put(c.work)
			c.work = nil
			return false
		case err != nil:
			c.readErr = err
		case n == 0:
			c.readErr = io.EOF
		default:
			c.w = n
		}
		return true
	}
}

// pushBytes sends what is pending, and says whether it is over with that.
func (c *conn) pushBytes(fd uintptr) bool {
	for len(c.pending) > 0 {
		n, err := transmit(fd, c.pending)
		switch {
		case err == nil:
			c.pending = c.pending[n:]
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false
		default:
			c.pushErr = os.NewSyscallError("send", err)
			return true
		}
	}
	return true
}
