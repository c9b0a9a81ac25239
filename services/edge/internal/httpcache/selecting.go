// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"crypto/sha256"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// How a selecting field begins in a key: absent, or with a value, or with the digest of
// one that is long. An absent field and an empty one select differently.
const (
	selectAbsent = '-'
	selectValue  = '='
	selectDigest = '#'
	selectEnd    = '\n' // in no field value (RFC 9110 §5.5)
)

// maxSelecting is how long a value may be in a key.
const maxSelecting = 256

// appendSelecting appends the normalised value of a selecting field (RFC 9111 §4.1): its
// lines combined, without the white space that means nothing, and by what is known of the
// field without the order and case that mean nothing.
func appendSelecting(b []byte, name string, h header.Fields) []byte {
	if !h.Has(name) {
		return append(b, selectAbsent)
	}
	b = append(b, selectValue)
	start := len(b)
	switch name {
	case "accept-encoding", "accept-language", "accept-charset":
		b = appendPreferences(b, name, h)
	case "authorization", "cookie", "host", "origin", "referer", "user-agent":
		b = appendVerbatim(b, name, h)
	default:
		b = appendList(b, name, h)
	}
	if len(b)-start > maxSelecting {
		sum := sha256.Sum256(b[start:])
		b[start-1] = selectDigest
		return append(b[:start], sum[:]...)
	}
	return append(b, selectEnd)
}

// appendVerbatim appends a field that is no list, as it is.
func appendVerbatim(b []byte, name string, h header.Fields) []byte {
	start := len(b)
	for i := range h {
		if header.Equal(h[i].Name, name) {
			if len(b) > start {
				b = append(b, ", "...)
			}
			b = append(b, h[i].Value...)
		}
	}
	return b
}

// appendList appends the members of a list without the white space around them. Fields
// that nothing is known of are taken for lists: the worst that comes of it is that "a, b"
// and "a,b" are the same to such a field.
func appendList(b []byte, name string, h header.Fields) []byte {
	start := len(b)
	for i := range h {
		if !header.Equal(h[i].Name, name) {
			continue
		}
		for rest := h[i].Value; rest != ""; {
			var member string
			member, rest = cutListMember(rest)
			if member == "" {
				continue
			}
			if len(b) > start {
				b = append(b, ',')
			}
			b = append(b, member...)
		}
	}
	return b
}

// cutListMember cuts the first member off a list. Commas in quoted strings separate
// nothing; a quote that is never closed is a character like others.
func cutListMember(s string) (member, rest string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',':
			return strings.Trim(s[:i], whitespace), s[i+1:]
		case '"':
			i += max(quotedLen(s[i:])-1, 0)
		}
	}
	return strings.Trim(s, whitespace), ""
}

// preference is a member of a field such as Accept-Language: what is preferred, and how
// much, in thousandths.
type preference struct {
	choice string
	weight int
}

// maxPreferences bounds what is sorted; longer lists stay as they are.
const maxPreferences = 32

// appendPreferences appends what a viewer prefers in one order and case. Between choices of
// one weight the order means nothing (RFC 9110 §12.5.3, §12.5.4).
func appendPreferences(b []byte, name string, h header.Fields) []byte {
	var held [maxPreferences]preference
	prefs := held[:0]
	for i := range h {
		if !header.Equal(h[i].Name, name) {
			continue
		}
		for rest := h[i].Value; rest != ""; {
			var member string
			member, rest = cutListMember(rest)
			if member == "" {
				continue
			}
			p, ok := parsePreference(member)
			if !ok || len(prefs) == maxPreferences {
				return appendList(b, name, h)
			}
			prefs = insertPreference(prefs, p)
		}
	}
	for i, p := range prefs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLower(b, p.choice)
		if p.weight != fullWeight {
			b = append(b, ';', byte('0'+p.weight/100%10), byte('0'+p.weight/10%10), byte('0'+p.weight%10))
		}
	}
	return b
}

// insertPreference keeps prefs sorted: the greater weight first, then by name. prefs has
// room for one more.
func insertPreference(prefs []preference, p preference) []preference {
	at := len(prefs)
	prefs = append(prefs, p)
	for ; at > 0 && p.before(prefs[at-1]); at-- {
		prefs[at] = prefs[at-1]
	}
	prefs[at] = p
	return prefs
}

func (p preference) before(other preference) bool {
	if p.weight != other.weight {
		return p.weight > other.weight
	}
	return compareLower(p.choice, other.choice) < 0
}

const fullWeight = 1000

// parsePreference reads choice[;q=weight] (RFC 9110 §12.4.2).
func parsePreference(member string) (preference, bool) {
	choice, params, weighted := strings.Cut(member, ";")
	p := preference{choice: strings.TrimRight(choice, whitespace), weight: fullWeight}
	if !isToken(p.choice) {
		return p, false
	}
	if !weighted {
		return p, true
	}
	params = strings.Trim(params, whitespace)
	if len(params) < len("q=0") || params[0]|0x20 != 'q' || params[1] != '=' {
		return p, false
	}
	var ok bool
	p.weight, ok = parseWeight(params[len("q="):])
	return p, ok
}

// parseWeight reads a weight of at most three decimals.
func parseWeight(s string) (int, bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0, false
	}
	n := int(whole[0] - '0')
	for i := range 3 {
		n *= 10
		if i >= len(decimals) {
			continue
		}
		if decimals[i] < '0' || decimals[i] > '9' {
			return 0, false
		}
		n += int(decimals[i] - '0')
	}
	return n, n <= fullWeight
}

func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		b = append(b, lower(s[i]))
	}
	return b
}

func compareLower(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
