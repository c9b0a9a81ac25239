// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"context"
	"errors"
	"io"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// Source is a body of which any part can be had.
type Source interface {
	// Section delivers the bytes of r, all of which are in the body. It is called once
	// for each range, when the one before has been delivered.
	Section(r Range) exchange.Stream
}

// errLong is a section with more bytes than were asked for.
var errLong = errors.New("section is longer than its range")

// Section is the body of an answer with one range. It fails if the source delivers anything
// but the bytes of r.
func Section(from Source, r Range) exchange.Body {
	return exchange.Body{Stream: &exact{stream: from.Section(r), left: r.Length}, Size: r.Length}
}

// Cut is Section for a body that is bytes. Bytes behind the end of the body are left out.
func Cut(body []byte, r Range) exchange.Body {
	end := min(r.End(), int64(len(body)))
	return exchange.Bytes(body[min(r.Start, end):end])
}

// exact is a stream of left bytes, no more and no less.
type exact struct {
	stream exchange.Stream
	left   int64
}

var _ exchange.Stream = (*exact)(nil)

// Next returns the next piece.
func (e *exact) Next(ctx context.Context) (exchange.Piece, error) {
	p, err := e.stream.Next(ctx)
	switch {
	case errors.Is(err, io.EOF) && e.left > 0:
		return exchange.Piece{}, io.ErrUnexpectedEOF
	case err != nil:
		return exchange.Piece{}, err
	}
	if e.left -= p.Size(); e.left < 0 {
		return exchange.Piece{}, errLong
	}
	return p, nil
}

// Close ends the interest.
func (e *exact) Close() { e.stream.Close() }

// Pieces is a Source of what is all there: bytes and ranges of files, in order.
type Pieces []exchange.Piece

// Section delivers the bytes of r.
func (p Pieces) Section(r Range) exchange.Stream {
	return &section{pieces: p, skip: r.Start, left: r.Length}
}

// section is the part of pieces that begins skip bytes behind their start.
type section struct {
	pieces     Pieces
	skip, left int64
}

// Next returns the next piece.
func (s *section) Next(context.Context) (exchange.Piece, error) {
	for s.left > 0 && len(s.pieces) > 0 {
		p := s.pieces[0]
		s.pieces = s.pieces[1:]
		if s.skip >= p.Size() {
			s.skip -= p.Size()
			continue
		}
		p = cut(p, s.skip, min(p.Size()-s.skip, s.left))
		s.skip = 0
		s.left -= p.Size()
		return p, nil
	}
	return exchange.Piece{}, io.EOF
}

// Close ends the interest.
func (s *section) Close() { s.pieces = nil }

// cut is length bytes of a piece.
func cut(p exchange.Piece, from, length int64) exchange.Piece {
	if p.File != nil {
		return exchange.Piece{File: p.File, Offset: p.Offset + from, Length: length}
	}
	return exchange.Piece{Bytes: p.Bytes[from : from+length]}
}
