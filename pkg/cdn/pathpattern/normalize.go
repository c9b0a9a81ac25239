// SPDX-License-Identifier: Apache-2.0

package pathpattern

import (
	"bytes"
	"strings"
)

// Normalize returns the form of a raw path that patterns are matched against; the
// raw path itself stays what goes into the cache key and to the origin (D5.8). In
// this order it decodes percent-encoded unreserved characters (RFC 3986 §6.2.2.2),
// removes dot segments (§5.2.4) and makes one slash of several. Decoding comes
// first because the dot is unreserved: /%2e%2e/ must not slip past a pattern that
// /../ would not. Other escapes, %2F among them, and malformed ones stay as they
// are, and what decoding produces is not decoded again.
//
// The result begins with a slash. A path that is normal already is returned
// itself, without an allocation.
func Normalize(path string) string {
	if isNormal(path) {
		return path
	}
	out := make([]byte, 0, len(path)+1)
	if !strings.HasPrefix(path, "/") {
		out = append(out, '/')
	}
	out = appendDecoded(out, path)
	out = removeDotSegments(out)
	return string(collapseSlashes(out))
}

// isNormal says whether Normalize would change nothing.
func isNormal(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := range len(path) {
		switch path[i] {
		case '%':
			if _, ok := escaped(path[i:]); ok {
				return false
			}
		case '/':
			if i+1 < len(path) && path[i+1] == '/' || startsWithDots(path[i+1:]) {
				return false
			}
		}
	}
	return true
}

// startsWithDots says whether the first segment of s is "." or "..".
func startsWithDots(s string) bool {
	if s == "" || s[0] != '.' {
		return false // the usual case, without a search for the next slash
	}
	segment, _, _ := strings.Cut(s, "/")
	return segment == "." || segment == ".."
}

// appendDecoded appends path with its escapes of unreserved characters decoded.
func appendDecoded(out []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		c, ok := escaped(path[i:])
		if ok {
			i += 2
		} else {
			c = path[i]
		}
		out = append(out, c)
	}
	return out
}

// escaped returns the unreserved character whose escape s begins with, if it does.
func escaped(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, ok1 := unhex(s[1])
	low, ok2 := unhex(s[2])
	c := high<<4 | low
	return c, ok1 && ok2 && (isAlnum(rune(c)) || strings.IndexByte("-._~", c) >= 0)
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// removeDotSegments resolves "." and ".." in place. The path begins with a slash.
// As in RFC 3986 §5.2.4 an empty segment counts as one (".." takes it away), a dot
// segment at the end leaves a slash, and ".." at the root stays at the root.
func removeDotSegments(path []byte) []byte {
	out := path[:0] // never overtakes rest: each turn writes at most what it reads
	for rest := path; len(rest) > 0; {
		segment, last := rest, true // with its slash in front
		if i := bytes.IndexByte(rest[1:], '/'); i >= 0 {
			segment, last = rest[:i+1], false
		}
		rest = rest[len(segment):]
		switch string(segment) {
		case "/.":
		case "/..":
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
		default:
			out = append(out, segment...)
			continue
		}
		if last {
			out = append(out, '/')
		}
	}
	return out
}

// collapseSlashes makes one slash of several, in place.
func collapseSlashes(path []byte) []byte {
	out := path[:0]
	for _, c := range path {
		if c == '/' && len(out) > 0 && out[len(out)-1] == '/' {
			continue
		}
		out = append(out, c)
	}
	return out
}
