// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// uploadBytes is how much of a body is read at once.
	uploadBytes = 32 << 10
	// chunkHead is room for a chunk's size and CRLF before its data, chunkEnd for what
	// may come after it: CRLF and the last chunk.
	chunkHead = len("8000\r\n")
	chunkEnd  = len("\r\n0\r\n\r\n")
	// lastWrite is how long the last bytes of a body may take once the answer is whole.
	lastWrite = 100 * time.Millisecond
	// maxEmptyReads is how often a body may give nothing before it counts as broken.
	maxEmptyReads = 100
)

// uploadBuffers has *[]byte for chunks of uploadBytes.
var uploadBuffers = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool of buffers is no state
	b := make([]byte, chunkHead+uploadBytes+chunkEnd)
	return &b
}}

var errStopped = fault(Upload, "not wanted")

// upload sends the body of a request while the answer may come already. Its run is
// the only one that writes to the connection meanwhile.
type upload struct {
	conn *conn
	body io.Reader
	left int64 // bytes to send, below zero if unknown
	wg   sync.WaitGroup

	stopped  atomic.Bool // no more shall be sent
	answered atomic.Bool // the head of the answer is there
	last     atomic.Bool // the last bytes are being written, none are read any more
	whole    atomic.Bool // all of the body was sent
	failed   atomic.Pointer[Error]
}

// startUpload begins to send a body. Stop has to be called.
func startUpload(c *conn, r *Request) *upload {
	u := &upload{conn: c, body: r.Body, left: r.Length}
	u.wg.Go(u.run)
	return u
}

// answer says that the head of the answer is there. An error ends the sending: the
// origin does not want the rest (RFC 9112 §9.5). Otherwise it goes on, as an origin
// may work on what it gets while it answers.
func (u *upload) answer(status int) {
	u.answered.Store(true)
	if status >= 400 && !u.whole.Load() {
		u.stopped.Store(true)
		u.conn.line.finish()
	}
}

// stop ends the sending and waits until the body is not read any more. A write that
// waits the caller has to end.
func (u *upload) stop() {
	u.stopped.Store(true)
	if c, ok := u.body.(io.Closer); ok {
		_ = c.Close() // nothing more of it is wanted
	}
	u.wg.Wait()
}

// sent says whether all of the body has gone out, which is so when an origin has
// answered that has read it. Of one that has not, the last bytes get a moment.
func (u *upload) sent() bool {
	if u.last.Load() && !u.whole.Load() {
		defer time.AfterFunc(lastWrite, u.conn.abort).Stop()
		u.wg.Wait()
	}
	return u.whole.Load()
}

// cause returns why the upload ended early, if that explains err, or else err.
func (u *upload) cause(err error) error {
	own := u.failed.Load()
	if own == nil {
		return err
	}
	if e, ok := errors.AsType[*Error](err); ok && own.Kind != Upload && e.Kind != Lost && e.Kind != Truncated {
		return err // the origin has said something, if nothing good
	}
	return own
}

// run sends until the end. A body that cannot be read ends the connection, as does
// an origin that takes nothing for its time-out and has not answered. One that has
// closed its side may have answered before: who reads will see.
func (u *upload) run() {
	err := u.send()
	switch {
	case err == nil:
		u.conn.line.finish()
		u.whole.Store(true) // the connection may be another request's from now on
		return
	case u.stopped.Load(), u.answered.Load() && err.Kind != Upload:
	default:
		u.failed.Store(err)
		if err.Kind != Write {
			u.conn.abort()
		}
	}
	u.conn.line.finish()
}

// send copies the body to the connection.
func (u *upload) send() (err *Error) {
	defer func() {
		if v := recover(); v != nil { // of the body, which is somebody else's
			err = fault(Upload, "panic: %v", v)
		}
	}()
	buf, ok := uploadBuffers.Get().(*[]byte)
	if !ok {
		return fault(Upload, "no buffer")
	}
	defer uploadBuffers.Put(buf)
	for u.left != 0 {
		n, err := u.read((*buf)[chunkHead : chunkHead+uploadBytes])
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return fault(Upload, "read: %w", err)
		}
		if u.stopped.Load() {
			return errStopped
		}
		u.last.Store(ended || u.left == 0)
		if out := u.frame(*buf, n, ended); len(out) > 0 {
			if _, err := u.conn.Write(out); err != nil {
				return writeFault(err)
			}
		}
		switch {
		case ended && u.left > 0:
			return fault(Upload, "%d bytes are missing", u.left)
		case ended:
			return nil
		}
	}
	return nil
}

// read reads some bytes of the body, or its end.
func (u *upload) read(p []byte) (int, error) {
	if u.left > 0 {
		p = p[:min(int64(len(p)), u.left)]
	}
	for range maxEmptyReads {
		n, err := u.body.Read(p)
		if n > 0 || err != nil {
			if u.left > 0 {
				u.left -= int64(n)
			}
			return n, err
		}
		if u.stopped.Load() {
			return 0, errStopped
		}
	}
	return 0, io.ErrNoProgress
}

// frame returns what goes out for n bytes that lie in buf after chunkHead: these, or
// where the length is unknown a chunk of them, and the last chunk at the end
// (RFC 9112 §7.1).
func (u *upload) frame(buf []byte, n int, ended bool) []byte {
	begin, end := chunkHead, chunkHead+n
	if u.left >= 0 {
		return buf[begin:end]
	}
	if n > 0 {
		var digits [chunkHead]byte
		size := append(strconv.AppendInt(digits[:0], int64(n), 16), "\r\n"...)
		begin -= len(size)
		copy(buf[begin:], size)
		end += copy(buf[end:], "\r\n")
	}
	if ended {
		end += copy(buf[end:], "0\r\n\r\n")
	}
	return buf[begin:end]
}
