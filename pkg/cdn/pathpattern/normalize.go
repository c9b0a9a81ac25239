// SPDX-License-Identifier: Apache-2.0

package pathpattern

import "strings"

// Normalize returns the form of a raw path that patterns are matched against
// (D5.8): percent-encoded unreserved characters decoded (RFC 3986 §6.2.2.2), dot
// segments removed (§5.2.4), runs of slashes collapsed. Other escapes, malformed
// ones too, stay as they are. A path that is already in that form is returned
// itself. The raw path is what goes into the cache key and to the origin.
func Normalize(path string) string {
	if isNormal(path) {
		return path
	}
	return removeDots(decode(path))
}

// isNormal is conservative: it may say no to a path that is normal.
func isNormal(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '%':
			return false
		case '/':
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return false
			}
		}
	}
	return true
}

func decode(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			hi, ok1 := unhex(path[i+1])
			lo, ok2 := unhex(path[i+2])
			if c := hi<<4 | lo; ok1 && ok2 && unreserved(c) {
				out = append(out, c)
				i += 2
				continue
			}
		}
		out = append(out, path[i])
	}
	return string(out)
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

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// removeDots resolves "." and ".." and collapses slashes. A path that ends in a
// dot segment or a slash ends in a slash.
func removeDots(path string) string {
	var segments []string
	slash := true // the result ends in a slash
	for s := range strings.SplitSeq(path, "/") {
		switch s {
		case "", ".":
			slash = true
		case "..":
			if len(segments) > 0 {
				segments = segments[:len(segments)-1]
			}
			slash = true
		default:
			segments = append(segments, s)
			slash = false
		}
	}
	out := "/" + strings.Join(segments, "/")
	if slash && len(segments) > 0 {
		out += "/"
	}
	return out
}
