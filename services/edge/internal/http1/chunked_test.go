// SPDX-License-Identifier: Apache-2.0

package http1

import "testing"

func TestExtensions(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		ok         bool
	}{
		{"RFC 9112 7.1.1: none", "5", true},
		{"RFC 9112 7.1.1: a name", "5;a", true},
		{"RFC 9112 7.1.1: a value", "5;a=b", true},
		{"RFC 9112 7.1.1: several", "5;a;b=c;d=\"e\";f", true},
		{"RFC 9112 7.1.1: white space that may be", "5 ;\ta = b\t; c", true},
		{"RFC 9112 7.1.1: a quoted string", "5;a=\"b;c=d, \xe4\\\"\\\\\"", true},
		{"RFC 9112 7.1.1: an empty one", "5;a=\"\"", true},
		{"white space alone", "5 ", false},
		{"white space at the end", "5;a ", false},
		{"white space after a value", "5;a=b\t", false},
		{"no name", "5;", false},
		{"no name between", "5;;a", false},
		{"a value without a name", "5;=b", false},
		{"no value", "5;a=", false},
		{"no value before the next", "5;a=;b", false},
		{"two values", "5;a=b=c", false},
		{"two words", "5;a b", false},
		{"two words after a value", "5;a=b c", false},
		{"a string that does not end", "5;a=\"b", false},
		{"a string whose end is escaped", "5;a=\"b\\\"", false},
		{"text after a string", "5;a=\"b\"c", false},
		{"a string for a name", "5;\"a\"", false},
		{"a byte of no token", "5;\xe4", false},
		{"CR in a string", "5;a=\"\r\"", false},
		{"an escaped CR", "5;a=\"\\\r\"", false},
		{"LF in a string", "5;a=\"\n\"", false},
		{"LF at the end", "5;a\n", false},
		{"NUL", "5;a=\"\x00\"", false},
		{"DEL", "5;a=\"\x7f\"", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d chunked
			var dst [8]byte
			put, _, err := d.decode(dst[:], []byte(tt.line+"\r\nhello\r\n0\r\n\r\n"))
			if ok := err == nil && d.done() && string(dst[:put]) == "hello"; ok != tt.ok {
				t.Errorf("%q: %v, want %v (%v)", tt.line, ok, tt.ok, err)
			}
		})
	}
}
