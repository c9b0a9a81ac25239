// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
)

// source reads a body in one framing.
type source interface {
	io.Reader
	// whole says that every byte of the body was read, and none after it came.
	whole() bool
}

// lengthReader reads a body of known length.
type lengthReader struct {
	in    *bufio.Reader
	left  int64
	begun bool
	// cuts: bytes beyond the length are no fault of the body.
	cuts bool
}

// Read returns bytes up to the announced length, the last ones with io.EOF. Bytes
// beyond it are an error of the next Read (D17.12) if they came together with the last
// ones; any that come later only keep the connection from being used again.
func (r *lengthReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		if r.in.Buffered() > 0 && !r.cuts {
			return 0, fault(Invalid, "body is longer than its Content-Length")
		}
		return 0, io.EOF
	}
	n, err := r.in.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.begun = r.begun || n > 0
	switch {
	case err == nil && r.whole():
		return n, io.EOF
	case err == nil:
		return n, nil
	case !r.begun && errors.Is(err, io.EOF):
		return 0, fault(ZeroSize, "%d bytes announced, none came", r.left) // D17.13
	}
	return n, readFault(err, Truncated) // D17.12
}

func (r *lengthReader) whole() bool { return r.left == 0 && r.in.Buffered() == 0 }

// closeReader reads a body that ends with its connection. A clean end counts as
// whole, since nothing tells otherwise (D17.12); a reset does not.
type closeReader struct{ in *bufio.Reader }

// Read returns bytes until the connection ends.
func (r *closeReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if err == nil || err == io.EOF { // a wrapped EOF is not a clean end
		return n, err
	}
	return n, readFault(err, Truncated)
}

func (r *closeReader) whole() bool { return false } // the connection is over

// emptyReader is the body of an answer that has none.
type emptyReader struct{}

// Read returns io.EOF.
func (emptyReader) Read([]byte) (int, error) { return 0, io.EOF }

func (emptyReader) whole() bool { return true }

// body is what the caller reads. Close may be called while Read waits; it ends
// the wait.
type body struct {
	fetch *fetch
	conn  *conn
	keep  bool // the connection may be kept once the body is read
	src   source
	// One of these is src; they lie here to be one piece of memory with the rest.
	length  lengthReader
	chunked chunkedReader

	mu      sync.Mutex // guards the rest; not held while reading
	reading bool
	whole   bool
	closed  bool
	err     error // what every later Read returns
}

var errBodyClosed = &Error{Kind: Canceled, Err: net.ErrClosed}

// source is newSource without allocating.
func (b *body) source(f frame, limit int) source {
	switch f.framing {
	case ContentLength:
		b.length = lengthReader{in: b.conn.in, left: f.length}
		return &b.length
	case Chunked:
		b.chunked = chunkedReader{in: b.conn.in, limit: limit}
		return &b.chunked
	case CloseDelimited:
		return &closeReader{in: b.conn.in}
	default:
		return emptyReader{}
	}
}

// Read reads the body. It fails with an *Error.
func (b *body) Read(p []byte) (int, error) {
	if err := b.begin(); err != nil {
		return 0, err
	}
	n, err := 0, error(nil)
	if len(p) > 0 {
		n, err = b.src.Read(p)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading, b.whole = false, b.src.whole()
	if err == nil {
		return n, nil
	}
	switch {
	case b.closed:
		err = b.fetch.explain(errBodyClosed)
	case err != io.EOF: //nolint:errorlint // the sources return io.EOF itself
		if u := b.fetch.upload; u != nil {
			err = u.cause(err)
		}
		err = b.fetch.explain(err)
	}
	b.err = err
	return n, err
}

// arrived is Response.Arrived.
func (b *body) arrived() (first []byte, whole bool) {
	n := int64(b.conn.in.Buffered())
	if b.src != source(&b.length) || n == 0 || n > b.length.left {
		return nil, false // what is too long fails in Read
	}
	first = make([]byte, n)
	got, err := b.Read(first)
	return first[:got], err == io.EOF //nolint:errorlint // Read returns io.EOF itself
}

// begin says why there is nothing to read, or begins a Read.
func (b *body) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return b.fetch.explain(errBodyClosed)
	}
	b.reading = b.err == nil
	return b.err
}

// Close ends the interest in the body. Its connection is kept only if the body
// was read to its end. It never fails and may be called again.
func (b *body) Close() error {
	b.mu.Lock()
	closed, whole := b.closed, b.whole && !b.reading
	b.closed = true
	b.mu.Unlock()
	if !closed {
		b.fetch.finish(b.conn, b.keep && whole)
	}
	return nil
}
