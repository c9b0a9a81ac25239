// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"io"
	"os"
)

// Piece is a part of a body: bytes, or a range of a file, which an adapter may send
// without reading it. It is never empty.
type Piece struct {
	// Bytes is nil for a range of a file.
	Bytes []byte
	// File is not read from its own position, which others use too.
	File           *os.File
	Offset, Length int64
}

// Size is the number of bytes.
func (p Piece) Size() int64 {
	if p.File != nil {
		return p.Length
	}
	return int64(len(p.Bytes))
}

// Pieces is a Stream of what is all there.
type Pieces [][]byte

var _ Stream = (*Pieces)(nil)

// Ready says whether Next of s returns without waiting for anybody but a disk, so that
// its first piece can leave together with the head. A Stream says so by a method Ready.
func Ready(s Stream) bool {
	r, ok := s.(interface{ Ready() bool })
	return ok && r.Ready()
}

// Ready says that all is there.
func (p *Pieces) Ready() bool { return true }

// Next returns the next piece.
func (p *Pieces) Next(context.Context) (Piece, error) {
	for len(*p) > 0 {
		b := (*p)[0]
		if *p = (*p)[1:]; len(b) > 0 {
			return Piece{Bytes: b}, nil
		}
	}
	return Piece{}, io.EOF
}

// Close ends the interest.
func (p *Pieces) Close() { *p = nil }

// Chunks is the Body of bytes that lie in several pieces, size together.
func Chunks(pieces [][]byte, size int64) Body {
	switch len(pieces) {
	case 0:
		return Body{Size: size}
	case 1:
		return Body{Bytes: pieces[0], Size: size}
	}
	p := Pieces(pieces)
	return Body{Stream: &p, Size: size}
}
