// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"time"
)

// whitespace is OWS of RFC 9110 §5.6.3.
const whitespace = " \t"

// directive is one member of Cache-Control: name[=argument].
type directive struct {
	name string // lower case
	arg  string // without its quotes
	// valid says that arg is a token or a quoted string right after "=".
	valid bool
	// bare says that there is no "=".
	bare bool
}

// nextDirective cuts the first member off a line. The rest is always shorter.
func nextDirective(line string) (d directive, rest string) {
	text, rest := cutMember(line)
	text = strings.Trim(text, whitespace)
	name, arg, found := strings.Cut(text, "=")
	d.bare = !found
	d.name = strings.ToLower(strings.TrimRight(name, whitespace))
	// "max-age =60" is no directive of the grammar (RFC 9111 §5.2): its name
	// counts, its argument does not.
	if len(d.name) == len(name) {
		d.arg, d.valid = unquote(arg)
	}
	return d, rest
}

// cutMember splits a line at the first comma outside a quoted argument.
func cutMember(line string) (text, rest string) {
	end := strings.IndexAny(line, ",=")
	if end >= 0 && line[end] == '=' {
		end++
		end += quotedLen(line[end:])
		comma := strings.IndexByte(line[end:], ',')
		if comma < 0 {
			return line, ""
		}
		end += comma
	}
	if end < 0 {
		return line, ""
	}
	return line[:end], line[end+1:]
}

// quotedLen returns the length of the quoted string that s begins with, or 0. A
// quote that is never closed opens nothing, so that it cannot hide the
// directives behind it.
func quotedLen(s string) int {
	if s == "" || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// unquote returns the value of a token or quoted string (RFC 9110 §5.6.4).
func unquote(s string) (string, bool) {
	if isToken(s) {
		return s, true
	}
	n := quotedLen(s)
	if n == 0 || n != len(s) {
		return "", false
	}
	inner := s[1 : n-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner, true
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String(), true
}

// seconds reads the argument as delta-seconds. Quoted digits count (D13.7).
func (d directive) seconds() (time.Duration, bool) {
	if !d.valid {
		return 0, false
	}
	return parseSeconds(d.arg)
}

// fieldNames returns the fields that the argument lists, or none when it is not
// a list of field names.
func (d directive) fieldNames() []string {
	if !d.valid {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(d.arg, ",") {
		name = strings.Trim(name, whitespace)
		if name == "" {
			continue
		}
		if !isToken(name) {
			return nil
		}
		names = append(names, name)
	}
	return names
}

// parseSeconds reads delta-seconds: digits only, capped at MaxLifetime (D13.7).
func parseSeconds(s string) (time.Duration, bool) {
	const most = int64(MaxLifetime / time.Second)
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), most)
	}
	return time.Duration(n) * time.Second, s != ""
}

// isToken says whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	return isDigit(c) || isLetter(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
