// SPDX-License-Identifier: Apache-2.0

package http1

import "errors"

// Bounds of what stands around the data of chunks. Real senders use next to nothing.
const (
	maxSizeDigits = 16
	maxExtension  = 256      // of one chunk
	maxExtensions = 16 << 10 // of a body
	maxTrailers   = 16 << 10
)

var (
	errChunk   = errors.New("chunked body is at fault")
	errTrailer = errors.New("trailer of a chunked body is at fault")
)

// place is where in a chunked body the next byte stands.
type place uint8

const (
	atSize place = iota
	inSize
	afterSize   // or after an extension: white space, which only an extension may follow
	atExtension // its name comes
	inName
	afterName // white space, which a value or another extension may follow
	atValue
	inToken
	inQuotes
	inEscape // in quotes, after a backslash
	afterQuotes
	atSizeEnd // LF
	inData
	atDataCR
	atDataLF
	atTrailer
	inTrailerName
	inTrailerValue
	atTrailerLF
	atLastLF
	atEnd
)

// chunked decodes a chunked body (RFC 9112 §7.1), strictly: sizes are hexadecimal
// digits and nothing else, lines end with CRLF, extensions keep to their grammar.
// Extensions and trailers are checked and dropped (D24.10). Its zero value is at the beginning of a body.
type chunked struct {
	at         place
	digits     int
	left       int64 // data bytes to come in this chunk
	extension  int
	extensions int
	trailers   int
	name       [len("transfer-encoding")]byte // of a trailer, as far as it has room
	named      int
}

// done says that the body is over.
func (d *chunked) done() bool { return d.at == atEnd }

// decode moves data from src to dst and says how much it took of the one and put into
// the other. It stops when either is used up, at the end of the body, or at a fault.
func (d *chunked) decode(dst, src []byte) (put, took int, err error) {
	for took < len(src) && !d.done() {
		if d.at != inData {
			if err := d.step(src[took]); err != nil {
				return put, took, err
			}
			took++
			continue
		}
		if put == len(dst) {
			break
		}
		n := copy(dst[put:], src[took:took+int(min(d.left, int64(len(src)-took)))])
		put += n
		took += n
		if d.left -= int64(n); d.left == 0 {
			d.at = atDataCR
		}
	}
	return put, took, nil
}

// step takes one byte that is not data.
func (d *chunked) step(c byte) error {
	switch {
	case d.at <= atSizeEnd:
		return d.size(c)
	case d.at == atDataCR && c == '\r':
		d.at = atDataLF
	case d.at == atDataLF && c == '\n':
		d.at = atSize
	case d.at >= atTrailer:
		return d.trailer(c)
	default:
		return errChunk
	}
	return nil
}

// size reads the line before a chunk.
func (d *chunked) size(c byte) error {
	switch d.at {
	case atSize, inSize:
		if v, ok := hexDigit(c); ok {
			return d.digit(v)
		}
		if d.at == atSize {
			return errChunk
		}
		return d.goOn(afterPart(c))
	case atSizeEnd:
	default:
		return d.goOn(extension(d.at, c))
	}
	if c != '\n' {
		return errChunk
	}
	if d.digits, d.extension, d.at = 0, 0, inData; d.left == 0 {
		d.at = atTrailer
	}
	return nil
}

func (d *chunked) digit(v int64) error {
	if d.at == atSize {
		d.left = 0
	}
	d.at = inSize
	if d.digits++; d.digits > maxSizeDigits || d.left > 1<<58 {
		return errChunk
	}
	d.left = d.left<<4 | v
	return nil
}

// goOn takes a byte behind the digits of a size, where next is the place after it.
func (d *chunked) goOn(next place, ok bool) error {
	if !ok {
		return errChunk
	}
	if d.at = next; next == atSizeEnd {
		return nil
	}
	return d.extend()
}

// extension is the place after c in an extension (RFC 9112 §7.1.1): one that is not well
// formed may hide the end of the line from somebody.
func extension(at place, c byte) (place, bool) {
	blank, token := c == ' ' || c == '\t', in(c, tokenLow, tokenHigh)
	switch at {
	case afterSize:
		if c == ';' {
			return atExtension, true
		}
		return at, blank
	case atExtension:
		if token {
			return inName, true
		}
		return at, blank
	case inName, afterName:
		switch {
		case c == '=':
			return atValue, true
		case at == inName && token:
			return at, true
		case blank:
			return afterName, true
		case at == inName || c == ';':
			return afterPart(c)
		}
		return at, false
	case atValue:
		switch {
		case c == '"':
			return inQuotes, true
		case token:
			return inToken, true
		}
		return at, blank
	case inToken:
		if token {
			return at, true
		}
	case inQuotes, inEscape:
		return quoted(at, c)
	}
	return afterPart(c)
}

// quoted is the place after c in a quoted string (RFC 9110 §5.6.4).
func quoted(at place, c byte) (place, bool) {
	switch {
	case c < ' ' && c != '\t', c == 0x7f:
		return at, false
	case at == inEscape:
		return inQuotes, true
	case c == '"':
		return afterQuotes, true
	case c == '\\':
		return inEscape, true
	}
	return inQuotes, true
}

// afterPart is the place after c where the size or an extension is complete.
func afterPart(c byte) (place, bool) {
	switch c {
	case '\r':
		return atSizeEnd, true
	case ';':
		return atExtension, true
	case ' ', '\t':
		return afterSize, true
	}
	return 0, false
}

// extend counts a byte of an extension.
func (d *chunked) extend() error {
	d.extension++
	d.extensions++
	if d.extension > maxExtension || d.extensions > maxExtensions {
		return errChunk
	}
	return nil
}

// trailer reads the fields after the last chunk.
func (d *chunked) trailer(c byte) error {
	if d.trailers++; d.trailers > maxTrailers {
		return errTrailer
	}
	switch {
	case d.at == atTrailer && c == '\r':
		d.at = atLastLF
	case d.at <= inTrailerName && in(c, tokenLow, tokenHigh):
		d.spell(c)
	case d.at == inTrailerName && c == ':' && !d.misplaced():
		d.at = inTrailerValue
	case d.at == inTrailerValue && c == '\r':
		d.at = atTrailerLF
	case d.at == inTrailerValue && (c >= ' ' || c == '\t') && c != 0x7f:
	case d.at == atTrailerLF && c == '\n':
		d.at = atTrailer
	case d.at == atLastLF && c == '\n':
		d.at = atEnd
	default:
		return errTrailer
	}
	return nil
}

// spell takes a byte of a trailer's name.
func (d *chunked) spell(c byte) {
	if d.at == atTrailer {
		d.at, d.named = inTrailerName, 0
	}
	if d.named < len(d.name) {
		d.name[d.named] = c
	}
	d.named++
}

// misplaced says whether the trailer is of a kind that has its place in the head: it
// would say where the request ends, or whom it is for (RFC 9110 §6.5.1). That it is here
// shows that somebody sees the end of this body elsewhere.
func (d *chunked) misplaced() bool {
	name := d.name[:min(d.named, len(d.name))]
	return d.named <= len(d.name) && (is(name, "host") || is(name, "content-length") || is(name, "transfer-encoding"))
}

func hexDigit(c byte) (int64, bool) {
	switch {
	case isDigit(c):
		return int64(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
	}
	return 0, false
}
