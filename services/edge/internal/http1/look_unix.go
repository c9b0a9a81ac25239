// SPDX-License-Identifier: Apache-2.0

//go:build unix

package http1

import (
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
		n, e := receive(fd, c.work.buf)
		switch {
		case e == syscall.EINTR:
			continue
		case e == syscall.EAGAIN:
			c.server.works.Put(c.work)
			c.work = nil
			return false
		case e != 0:
			c.readErr = e
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
		n, e := transmit(fd, c.pending)
		switch e {
		case 0:
			c.pending = c.pending[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			c.pushErr = os.NewSyscallError("send", e)
			return true
		}
	}
	return true
}
