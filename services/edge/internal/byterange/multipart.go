// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strconv"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// Boundary makes a boundary of 16 random bytes. They have to be unpredictable: whoever
// knows the boundary could store a body that contains it and so forge parts.
func Boundary(random [16]byte) string { return hex.EncodeToString(random[:]) }

// Multipart is an answer with several ranges: multipart/byteranges of RFC 9110 §14.6
// (D19.4).
type Multipart struct {
	ranges   []Range
	size     int64
	typ      string
	boundary string
}

// NewMultipart makes an answer with ranges of a representation of size bytes and that
// Content-Type, empty if it has none. boundary is of Boundary's making.
func NewMultipart(ranges []Range, size int64, contentType, boundary string) *Multipart {
	return &Multipart{ranges, size, contentType, boundary}
}

// ContentType is the Content-Type of the answer.
func (m *Multipart) ContentType() string { return "multipart/byteranges; boundary=" + m.boundary }

// Length is the exact length of the body, its Content-Length.
func (m *Multipart) Length() int64 {
	var b []byte
	var n int64
	for i, r := range m.ranges {
		b = m.appendHead(b[:0], i)
		n += int64(len(b)) + r.Length
	}
	return n + int64(len(m.appendEnd(b[:0])))
}

// Header returns the header of the answer, made of that of the 200.
func (m *Multipart) Header(whole header.Fields) header.Fields {
	h := whole.Clone(2)
	h.Del("Content-Range") // that of the parts is in the parts (RFC 9110 §15.3.7.2)
	h.Set("Content-Type", m.ContentType())
	h.Set("Content-Length", strconv.FormatInt(m.Length(), 10))
	return h
}

// Body is the body of the answer. It fails if the source delivers anything but the bytes
// of the ranges.
func (m *Multipart) Body(from Source) exchange.Body {
	return exchange.Body{Stream: &parts{m: m, from: from}, Size: m.Length()}
}

// appendHead appends the delimiter and header of part number i.
func (m *Multipart) appendHead(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, "\r\n"...)
	}
	b = append(b, "--"...)
	b = append(b, m.boundary...)
	if m.typ != "" {
		b = append(b, "\r\nContent-Type: "...)
		b = append(b, m.typ...)
	}
	b = append(b, "\r\nContent-Range: "...)
	b = AppendContentRange(b, m.ranges[i], m.size)
	return append(b, "\r\n\r\n"...)
}

// appendEnd appends the delimiter behind the last part.
func (m *Multipart) appendEnd(b []byte) []byte {
	b = append(b, "\r\n--"...)
	b = append(b, m.boundary...)
	return append(b, "--\r\n"...)
}

// parts is the body of a Multipart.
type parts struct {
	m    *Multipart
	from Source

	next int             // number of the part whose head comes next
	part exchange.Stream // the one under way
	head []byte          // room for heads
	err  error           // how it ended
}

var _ exchange.Stream = (*parts)(nil)

// Next returns the next piece: the head of a part, or some of its bytes.
func (p *parts) Next(ctx context.Context) (exchange.Piece, error) {
	if p.err != nil {
		return exchange.Piece{}, p.err
	}
	if p.part != nil {
		piece, err := p.part.Next(ctx)
		if err == nil {
			return piece, nil
		}
		p.leave()
		if !errors.Is(err, io.EOF) {
			p.err = err
			return exchange.Piece{}, err
		}
	}
	if p.next == len(p.m.ranges) {
		p.err = io.EOF
		p.head = p.m.appendEnd(p.head[:0])
		return exchange.Piece{Bytes: p.head}, nil
	}
	p.head = p.m.appendHead(p.head[:0], p.next)
	p.part = Section(p.from, p.m.ranges[p.next]).Stream
	p.next++
	return exchange.Piece{Bytes: p.head}, nil
}

// Close ends the interest in further bytes.
func (p *parts) Close() {
	p.leave()
	if p.err == nil {
		p.err = io.ErrClosedPipe
	}
}

func (p *parts) leave() {
	if p.part != nil {
		p.part.Close()
		p.part = nil
	}
}
