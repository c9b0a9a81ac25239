// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
)

// chunkedReader decodes a chunked body (RFC 9112 §7.1). It never reads beyond the
// end of the body; trailers are checked and dropped.
type chunkedReader struct {
	in    *bufio.Reader
	limit int   // of the trailers in bytes
	left  int64 // of the present chunk
	begun bool  // a chunk was read, so its CRLF comes first
	done  bool
	// waste is how many bytes of framing there were beyond what the data excuses.
	waste int64
}

const (
	// maxWaste bounds framing without data: extensions, leading zeros, tiny chunks. A
	// body of them would keep the edge reading while nothing comes of it.
	maxWaste = 64 << 10
	// fairFraming is what a chunk may have around it at no charge.
	fairFraming = 16
)

// Read returns bytes of one chunk. It is not called again after a failure, which
// the owner remembers.
func (r *chunkedReader) Read(p []byte) (int, error) {
	if r.left == 0 && !r.done {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	if r.done {
		return 0, io.EOF
	}
	n, err := r.in.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err != nil {
		// D17.12: without the final chunk the body is incomplete.
		return n, readFault(err, Truncated)
	}
	return n, nil
}

func (r *chunkedReader) whole() bool { return r.done }

// next goes to the data of the next chunk or past the end of the body.
func (r *chunkedReader) next() error {
	if r.begun {
		line, err := r.line()
		if err != nil {
			return err
		}
		if len(line) > 0 {
			return fault(Invalid, "chunk is longer than its size")
		}
	}
	r.begun = true
	line, err := r.line()
	if err != nil {
		return err
	}
	if r.left, err = parseChunkSize(line); err != nil {
		return err
	}
	if r.left == 0 {
		return r.trailers()
	}
	// What is well within the size of the data counts for nothing, nor does a sender of
	// small chunks without more.
	if r.waste = max(0, r.waste+int64(len(line))-fairFraming-r.left); r.waste > maxWaste {
		return fault(Invalid, "more framing than data in a chunked body")
	}
	return nil
}

// trailers reads the fields after the last chunk up to the empty line.
func (r *chunkedReader) trailers() error {
	for total := 0; ; {
		line, err := r.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			r.done = true
			return nil
		}
		if total += len(line) + 2; total > r.limit {
			return fault(HeaderTooBig, "trailers exceed %d bytes", r.limit)
		}
		if _, err := parseField(string(line)); err != nil {
			return err
		}
	}
}

// line reads a line, which the buffer bounds, and returns it without its CRLF. It
// is valid until the next read.
func (r *chunkedReader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fault(Invalid, "line in a chunked body exceeds %d bytes", r.in.Size())
	}
	if err != nil {
		return nil, readFault(err, Truncated)
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, fault(Invalid, "a line in a chunked body ends in a bare LF")
	}
	return line, nil
}

// parseChunkSize takes "size" or "size;extensions" (RFC 9112 §7.1.1). Extensions
// are not understood, but may not hide control characters.
func parseChunkSize(line []byte) (int64, error) {
	var size int64
	i := 0
	for ; i < len(line); i++ {
		digit := hexDigit(line[i])
		if digit < 0 {
			break
		}
		if size > math.MaxInt64>>4 {
			return 0, fault(Invalid, "chunk size is out of range")
		}
		size = size<<4 | digit
	}
	if i == 0 {
		return 0, fault(Invalid, "chunk without a size")
	}
	rest := line[i:]
	if len(rest) == 0 {
		return size, nil
	}
	if ext := bytes.TrimLeft(rest, " \t"); len(ext) == 0 || ext[0] != ';' || !isFieldValue(string(ext)) {
		return 0, fault(Invalid, "bad characters after a chunk size")
	}
	return size, nil
}

// hexDigit returns the value of c, or -1.
func hexDigit(c byte) int64 {
	switch {
	case isDigit(c):
		return int64(c - '0')
	case c >= 'a' && c <= 'f':
		return int64(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int64(c-'A') + 10
	}
	return -1
}
