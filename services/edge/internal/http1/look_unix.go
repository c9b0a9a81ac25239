// SPDX-License-Identifier: Apache-2.0

//go:build unix

package http1

import (
	"errors"
	"io"
	"syscall"
)

// canLook says that lookForBytes works.
const canLook = true

// lookForBytes reads what has come, and says whether there was anything. Only while
// there is does it hold a buffer; between, the connection waits with none.
func (c *conn) lookForBytes(fd uintptr) bool {
	c.take()
	for {
		n, err := syscall.Read(int(fd), c.work.buf)
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
