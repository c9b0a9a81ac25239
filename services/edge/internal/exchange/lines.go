// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bytes"
	"unsafe"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// AppendLine appends a header field in the form of HTTP/1.1.
func AppendLine(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// AppendLines appends the fields of h.
func AppendLines(b []byte, h header.Fields) []byte {
	for i := range h {
		b = AppendLine(b, h[i].Name, h[i].Value)
	}
	return b
}

// Split yields the fields in lines that AppendLine has made, and says whether yield
// always asked for more. The strings share the bytes of lines.
func Split(lines []byte, yield func(name, value string) bool) bool {
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\r')
		colon := bytes.IndexByte(lines, ':')
		if end < 0 || colon < 0 || colon+2 > end || end+2 > len(lines) {
			return true // not ours
		}
		if !yield(text(lines[:colon]), text(lines[colon+2:end])) {
			return false
		}
		lines = lines[end+2:]
	}
	return true
}

// text is b as a string, without a copy.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
