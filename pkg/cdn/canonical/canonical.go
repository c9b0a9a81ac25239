// SPDX-License-Identifier: Apache-2.0

// Package canonical is the one form in which paths and queries of invalidations and of
// stored objects are compared: config stores it, edges look objects up by it. It is a
// pure function, and allocates nothing where its caller has the room.
package canonical

import "strings"

// Append appends the form in which paths and queries are compared (D25.8):
// percent-encodings of unreserved characters are decoded, others have upper-case
// digits; bytes that no URL holds, and a percent sign that begins no encoding, are
// encoded. Everything else stays as it is: %2F is no slash. The form of a form is
// itself.
func Append(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
			if isUnreserved(c) {
				b = append(b, c)
			} else {
				b = appendEncoded(b, c)
			}
		case isUnreserved(c), strings.IndexByte(reserved, c) >= 0:
			b = append(b, c)
		default:
			b = appendEncoded(b, c)
		}
	}
	return b
}

// reserved are the characters that mean one thing as they are and another when they
// are encoded. Brackets are not among them: they are unsafe, and have to be encoded
// (D25.8).
const reserved = "!$&'()*+,;=:@/?"

func appendEncoded(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
