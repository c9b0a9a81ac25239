// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// fileSender sends ranges of files by sendfile. The offset is its own: the position of
// the file is not used, so that any number of senders may share it.
type fileSender struct {
	push func(fd uintptr) bool // one step, made once for a connection

	head   []byte // before the file
	in     int
	offset int64
	most   int
	n      int
	err    error
}

// step sends what the socket takes at once, and says whether that is something.
func (f *fileSender) step(fd uintptr) bool {
	for {
		if len(f.head) > 0 {
			f.n, f.err = syscall.SendmsgN(int(fd), f.head, nil, nil, syscall.MSG_MORE|syscall.MSG_NOSIGNAL)
		} else {
			f.n, f.err = syscall.Sendfile(int(fd), f.in, &f.offset, f.most)
		}
		switch {
		case errors.Is(f.err, syscall.EINTR):
		case errors.Is(f.err, syscall.EAGAIN):
			return false
		default:
			return true
		}
	}
}

// putFile sends a piece of a file behind a head or nothing.
func (c *conn) putFile(head []byte, p exchange.Piece) (sent int64, err error) {
	if c.raw == nil {
		return c.copyFile(head, p)
	}
	if c.file == nil {
		c.file = &fileSender{}
		c.file.push = c.file.step
	}
	f := c.file
	f.head, f.in, f.offset = head, int(p.File.Fd()), p.Offset
	defer runtime.KeepAlive(p.File)
	for sent < p.Length {
		// Sendfile returns with what the socket takes at once, so that a viewer's time is
		// measured from one progress to the next however much is asked for; in smaller
		// portions a megabyte costs a fifth more.
		f.most = int(p.Length - sent)
		c.armWrite()
		if err := c.raw.Write(f.push); err != nil {
			return sent, c.stalled(err)
		}
		switch {
		case f.err != nil:
			return sent, fmt.Errorf("send a range of a file: %w", f.err)
		case len(f.head) > 0:
			f.head = f.head[f.n:]
		case f.n == 0:
			return sent, fmt.Errorf("%w: file ends after %d of %d bytes", errLength, sent, p.Length)
		default:
			sent += int64(f.n)
		}
	}
	return sent, nil
}
