// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

// Event is what one line says. The words of its attributes are those of the spans and
// of the program's log. What is zero is left out where the comment says so.
type Event struct {
	Time     time.Time // when the request ended; years 0 to 9999
	Method   string
	Host     string
	Path     string
	Protocol string // as "HTTP/1.1"
	Status   int    // 0 if the viewer had gone
	Outcome  string
	Result   string
	Bytes    int64         // of the body, as sent
	Duration time.Duration // written in nanoseconds
	// RequestID is what viewer and origin were told.
	RequestID string
	Viewer    netip.Addr // left out if zero
	// Revision is that of the configuration, left out if 0, as the next two if empty.
	Revision     int64
	Distribution string
	Behavior     string // its path pattern
	// Origin is that which was asked, left out with Collapsed if empty.
	Origin    string
	Collapsed bool
	Attempts  int // left out if 0, as the next three if empty
	// OriginError is how asking failed, Reason why the answer was not stored, Error how
	// the request failed.
	OriginError string
	Reason      string
	Error       string
	// TraceID and SpanID are left out if zero.
	TraceID [16]byte
	SpanID  [8]byte
}

// longest is how many bytes of a string a line holds.
const longest = 1024

// fixed is more than the bytes of a line besides its strings: names, numbers, time.
const fixed = 1024

// most returns a number of bytes that the line does not exceed.
func (e *Event) most() int {
	n := 0
	for _, s := range [...]string{
		e.Method, e.Host, e.Path, e.Protocol, e.Outcome, e.Result, e.RequestID,
		e.Distribution, e.Behavior, e.Origin, e.OriginError, e.Reason, e.Error,
	} {
		n += min(len(s), longest)
	}
	return fixed + n*len(`\u0000`)
}

// append appends the line. Second is e.Time up to the second.
func (e *Event) append(b, second []byte) []byte {
	b = append(b, `{"time":"`...)
	b = append(b, second...)
	b = appendMicros(b, e.Time.Nanosecond()/1000)
	b = append(b, `Z","level":"INFO","msg":"request"`...)
	b = text(b, `,"method":`, e.Method)
	b = text(b, `,"host":`, e.Host)
	b = text(b, `,"path":`, e.Path)
	b = text(b, `,"protocol":`, e.Protocol)
	b = number(b, `,"status":`, int64(e.Status))
	b = text(b, `,"outcome":`, e.Outcome)
	b = text(b, `,"result":`, e.Result)
	b = number(b, `,"bytes":`, e.Bytes)
	b = number(b, `,"duration":`, int64(e.Duration))
	b = text(b, `,"request_id":`, e.RequestID)
	if e.Viewer.IsValid() {
		b = append(b, `,"viewer":"`...)
		b = e.Viewer.Unmap().WithZone("").AppendTo(b)
		b = append(b, '"')
	}
	if e.Revision != 0 {
		b = number(b, `,"revision":`, e.Revision)
	}
	b = given(b, `,"distribution":`, e.Distribution)
	b = given(b, `,"behavior":`, e.Behavior)
	if e.Origin != "" {
		b = text(b, `,"origin":`, e.Origin)
		b = append(b, `,"collapsed":`...)
		b = strconv.AppendBool(b, e.Collapsed)
	}
	if e.Attempts != 0 {
		b = number(b, `,"attempts":`, int64(e.Attempts))
	}
	b = given(b, `,"origin_error":`, e.OriginError)
	b = given(b, `,"reason":`, e.Reason)
	b = given(b, `,"error":`, e.Error)
	if e.TraceID != ([16]byte{}) {
		b = append(b, `,"trace_id":"`...)
		b = hex.AppendEncode(b, e.TraceID[:])
		b = append(b, '"')
	}
	if e.SpanID != ([8]byte{}) {
		b = append(b, `,"span_id":"`...)
		b = hex.AppendEncode(b, e.SpanID[:])
		b = append(b, '"')
	}
	return append(b, "}\n"...)
}

// appendMicros appends a point and six digits.
func appendMicros(b []byte, n int) []byte {
	return append(b, '.',
		byte('0'+n/100000), byte('0'+n/10000%10), byte('0'+n/1000%10),
		byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}

func number(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(b, name...), n, 10)
}

// given is text for what may be left out.
func given(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return text(b, name, value)
}

func text(b []byte, name, value string) []byte {
	return appendString(append(b, name...), value[:min(len(value), longest)])
}

// appendString appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD, each
// its own. What some readers take for the end of a line is escaped besides.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := plain(s); i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[done:i]...)
			b = appendEscaped(b, c)
			i++
			done = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[done:i]...)
			b = append(b, `\ufffd`...)
			done = i + size
		case r == '\u2028', r == '\u2029':
			b = append(b, s[done:i]...)
			b = append(b, `\u202`...)
			b = append(b, digits[r&15])
			done = i + size
		}
		i += size
	}
	b = append(b, s[done:]...)
	return append(b, '"')
}

// plain returns how many bytes at the beginning of s stand in a JSON string as they are,
// by eights: almost always all but the last few.
func plain(s string) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		// A high bit is set for a byte below the space, a quote, a backslash, and any from
		// 0x80 on. A borrow may set one for a byte behind such a one, which does no harm.
		quote, backslash := x^ones*'"', x^ones*'\\'
		if (x|(x-ones*' ')&^x|(quote-ones)&^quote|(backslash-ones)&^backslash)&highs != 0 {
			break
		}
	}
	return i
}

const digits = "0123456789abcdef"

// appendEscaped appends a byte that cannot stand in a string as it is.
func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
