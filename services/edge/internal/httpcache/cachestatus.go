// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strconv"
	"time"
)

// Forward is why a request went to the origin (RFC 9211 §2.2). The zero value is that it
// did not.
type Forward uint8

// The reasons.
const (
	_ Forward = iota
	// ForwardBypass: the cache was not to handle the request.
	ForwardBypass
	// ForwardMethod: it is not for answers to this method.
	ForwardMethod
	// ForwardURIMiss: nothing is stored for the URL.
	ForwardURIMiss
	// ForwardVaryMiss: something is, but no variant for this request.
	ForwardVaryMiss
	// ForwardMiss: nothing is stored, and why is not told apart.
	ForwardMiss
	// ForwardRequest: what is stored is fresh, but not good enough for the request.
	ForwardRequest
	// ForwardStale: what is stored is stale.
	ForwardStale
	// ForwardPartial: only a part of what was asked for is stored.
	ForwardPartial
)

// String returns the word of the field.
func (f Forward) String() string {
	switch f {
	case ForwardBypass:
		return "bypass"
	case ForwardMethod:
		return "method"
	case ForwardURIMiss:
		return "uri-miss"
	case ForwardVaryMiss:
		return "vary-miss"
	case ForwardMiss:
		return "miss"
	case ForwardRequest:
		return "request"
	case ForwardStale:
		return "stale"
	case ForwardPartial:
		return "partial"
	default:
		return "none"
	}
}

// CacheStatus is how the cache has handled a request, for the field Cache-Status (RFC
// 9211). The zero value of a field leaves its parameter out.
type CacheStatus struct {
	// Cache is the name of the cache.
	Cache string
	// Hit: the origin was not asked. Forward says why it was.
	Hit     bool
	Forward Forward
	// ForwardStatus is the origin's status.
	ForwardStatus int
	// Aged says that TTL is known: how long the answer stays fresh, negative once it is
	// stale.
	Aged bool
	TTL  time.Duration
	// Stored: the answer was kept. Collapsed: the request has waited for another's.
	Stored, Collapsed bool
	// Key is the cache key in words. One that is not visible ASCII is left out.
	Key string
	// Detail is anything more, a token or visible ASCII.
	Detail string
}

// TTL is how long a stored answer stays fresh, negative once it is stale.
func TTL(s Span, now time.Time) time.Duration { return -s.overdue(now) }

// Append appends the member for this cache to b. A Cache-Status that came with the answer
// stands before it, in a line of its own or before a comma: the list begins nearest to
// the origin (RFC 9211 §2).
func (s CacheStatus) Append(b []byte) []byte {
	b = appendWord(b, s.Cache)
	if s.Hit {
		b = append(b, "; hit"...)
	}
	if s.Forward != 0 {
		b = append(b, "; fwd="...)
		b = append(b, s.Forward.String()...)
	}
	if s.ForwardStatus > 0 {
		b = append(b, "; fwd-status="...)
		b = strconv.AppendInt(b, int64(s.ForwardStatus), 10)
	}
	if s.Aged {
		b = append(b, "; ttl="...)
		b = strconv.AppendInt(b, int64(s.TTL/time.Second), 10)
	}
	if s.Stored {
		b = append(b, "; stored"...)
	}
	if s.Collapsed {
		b = append(b, "; collapsed"...)
	}
	if s.Key != "" && visible(s.Key) {
		b = append(b, "; key="...)
		b = appendString(b, s.Key)
	}
	if s.Detail != "" && visible(s.Detail) {
		b = append(b, "; detail="...)
		b = appendWord(b, s.Detail)
	}
	return b
}

// appendWord appends a token if s is one of a Structured Field, else a string.
func appendWord(b []byte, s string) []byte {
	if isToken(s) && (isLetter(s[0]) || s[0] == '*') {
		return append(b, s...)
	}
	return appendString(b, s)
}

// appendString appends a string of a Structured Field; what it cannot hold is a question
// mark.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// visible says whether s is made of what a string of a Structured Field can hold.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
