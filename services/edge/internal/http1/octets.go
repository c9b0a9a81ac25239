// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"encoding/binary"
	"unsafe"
)

// Sets of ASCII characters, as bits: the first word for those below 64.
const (
	digitBits = 0x03ff << '0'

	upperBits = 0x07fffffe
	lowerBits = upperBits << 32

	// tokenLow and tokenHigh are tchar: "!#$%&'*+-.^_`|~", digits and letters
	// (RFC 9110 §5.6.2).
	tokenLow  = digitBits | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
	tokenHigh = upperBits | lowerBits |
		1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)

	// nameLow and nameHigh are what a reg-name is made of: unreserved, sub-delims and
	// the percent sign (RFC 3986 §3.2.2).
	nameLow = digitBits | 1<<'!' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'(' | 1<<')' |
		1<<'*' | 1<<'+' | 1<<',' | 1<<'-' | 1<<'.' | 1<<';' | 1<<'='
	nameHigh = upperBits | lowerBits | 1<<('_'-64) | 1<<('~'-64)
)

func in(c byte, low, high uint64) bool {
	switch {
	case c < 64:
		return low>>c&1 != 0
	case c < 128:
		return high>>(c-64)&1 != 0
	}
	return false
}

func isDigit(c byte) bool { return c-'0' < 10 }

// isToken says whether b is a token (RFC 9110 §5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if !in(c, tokenLow, tokenHigh) {
			return false
		}
	}
	return len(b) > 0
}

// hasControl says whether a control byte other than the tab is in b. Eight bytes are
// looked at together: almost all text has none.
func hasControl(b []byte) bool {
	for len(b) >= 8 {
		if mayControl(binary.LittleEndian.Uint64(b)) && hasControlByte(b[:8]) {
			return true
		}
		b = b[8:]
	}
	return hasControlByte(b)
}

// mayControl says whether one of eight bytes is below 0x20 or is 0x7f. It may be wrong
// about a byte after such a one, never about all.
func mayControl(x uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	below := (x - ones*0x20) & ^x & highs
	del := x ^ ones*0x7f
	return below|((del-ones) & ^del & highs) != 0
}

func hasControlByte(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// trim takes spaces and tabs off both ends (OWS of RFC 9110 §5.6.3).
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// is says whether b is the word, which is in lower case, in any case.
func is[T []byte | string](b T, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range len(word) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// view is b as a string, without a copy: as long-lived as b's bytes.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
