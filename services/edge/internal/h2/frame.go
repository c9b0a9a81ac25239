// SPDX-License-Identifier: Apache-2.0

package h2

import "encoding/binary"

// Types and flags of frames (RFC 9113 §6, RFC 9218 §7.1).
const (
	typeData           = 0x0
	typeHeaders        = 0x1
	typePriority       = 0x2
	typeReset          = 0x3
	typeSettings       = 0x4
	typePing           = 0x6
	typeWindowUpdate   = 0x8
	typeContinuation   = 0x9
	typePriorityUpdate = 0x10

	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
)

const (
	frameHead = 9 // octets of a frame's own header (RFC 9113 §4.1)
	resetCode = 4 // octets of the payload of RST_STREAM
)

// frame is what a scanner tells of a frame.
type frame struct {
	length int // octets of the payload
	kind   byte
	flags  byte
	stream uint32
	code   uint32 // of RST_STREAM
}

func (f frame) has(flag byte) bool { return f.flags&flag != 0 }

// scanner finds the frames in a stream of bytes that comes in any pieces. It holds the
// header of one frame and never a payload, and checks nothing.
type scanner struct {
	skip int // bytes before the next frame: the rest of a payload, at first the preface
	head [frameHead + resetCode]byte
	have int // bytes in head
}

// next returns the next frame that begins in p and what follows its header. Without
// one it has taken all of p. RST_STREAM is returned with its code, so later.
func (s *scanner) next(p []byte) (f frame, rest []byte, found bool) {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(p))
			s.skip, p = s.skip-n, p[n:]
			continue
		}
		n := copy(s.head[s.have:s.want()], p)
		s.have, p = s.have+n, p[n:]
		if s.have == s.want() {
			return s.take(), p, true
		}
	}
	return frame{}, nil, false
}

// want is how many bytes have to be there: once the header is, those of the code too.
func (s *scanner) want() int {
	if s.have >= frameHead && s.isReset() {
		return frameHead + resetCode
	}
	return frameHead
}

func (s *scanner) length() int {
	return int(s.head[0])<<16 | int(s.head[1])<<8 | int(s.head[2])
}

func (s *scanner) isReset() bool { return s.head[3] == typeReset && s.length() == resetCode }

func (s *scanner) take() frame {
	f := frame{length: s.length(), kind: s.head[3], flags: s.head[4], stream: binary.BigEndian.Uint32(s.head[5:]) &^ (1 << 31)}
	s.skip, s.have = f.length, 0
	if s.isReset() {
		f.code = binary.BigEndian.Uint32(s.head[frameHead:])
		s.skip = 0
	}
	return f
}
