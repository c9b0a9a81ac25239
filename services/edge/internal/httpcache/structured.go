// SPDX-License-Identifier: Apache-2.0

package httpcache

import "strings"

// sfParser reads Structured Fields (RFC 9651 §4.2). Its methods take what they read off
// rest and say whether it was there.
type sfParser struct{ rest string }

// skip takes the byte c.
func (p *sfParser) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// span takes the longest beginning whose bytes are all in the class.
func (p *sfParser) span(class func(c byte) bool) string {
	n := 0
	for n < len(p.rest) && class(p.rest[n]) {
		n++
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

// next takes the comma between two members; there has to be a member behind it.
func (p *sfParser) next() bool {
	p.rest = strings.TrimLeft(p.rest, whitespace)
	if p.rest == "" {
		return true
	}
	if !p.skip(',') {
		return false
	}
	p.rest = strings.TrimLeft(p.rest, whitespace)
	return p.rest != ""
}

// key takes a key (§4.2.3.3).
func (p *sfParser) key() (string, bool) {
	if p.rest == "" || !isLower(p.rest[0]) && p.rest[0] != '*' {
		return "", false
	}
	return p.span(func(c byte) bool {
		return isLower(c) || isDigit(c) || strings.IndexByte("_-.*", c) >= 0
	}), true
}

// memberValue takes an item without its parameters, or an inner list.
func (p *sfParser) memberValue() (sfValue, bool) {
	if p.skip('(') {
		return sfValue{}, p.innerList()
	}
	return p.bareItem()
}

// innerList takes what follows the opening parenthesis (§4.2.1.2).
func (p *sfParser) innerList() bool {
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.skip(')') {
			return true
		}
		if _, ok := p.bareItem(); !ok || !p.parameters() {
			return false
		}
		if p.rest == "" || p.rest[0] != ' ' && p.rest[0] != ')' {
			return false
		}
	}
}

// parameters takes the parameters of an item or inner list (§4.2.3.2).
func (p *sfParser) parameters() bool {
	for p.skip(';') {
		p.rest = strings.TrimLeft(p.rest, " ")
		if _, ok := p.key(); !ok {
			return false
		}
		if p.skip('=') {
			if _, ok := p.bareItem(); !ok {
				return false
			}
		}
	}
	return true
}

// bareItem takes an item (§4.2.3.1).
func (p *sfParser) bareItem() (sfValue, bool) {
	if p.rest == "" {
		return sfValue{}, false
	}
	switch c := p.rest[0]; {
	case c == '-' || isDigit(c):
		return p.number()
	case c == '"':
		return p.str()
	case c == '*' || isLetter(c):
		p.span(func(c byte) bool { return c == ':' || c == '/' || isTokenByte(c) })
		return sfValue{}, true
	case c == ':':
		return sfValue{}, p.bytes()
	case c == '?':
		return p.boolean()
	case c == '@':
		p.skip('@')
		v, ok := p.number()
		return sfValue{}, ok && v.kind == sfInteger
	case c == '%':
		return sfValue{}, p.display()
	default:
		return sfValue{}, false
	}
}

// number takes an integer of at most 15 digits, or a decimal of at most 12 and 3
// (§4.2.4).
func (p *sfParser) number() (sfValue, bool) {
	negative := p.skip('-')
	whole := p.span(isDigit)
	if whole == "" {
		return sfValue{}, false
	}
	if p.skip('.') {
		decimals := p.span(isDigit)
		return sfValue{}, len(whole) <= 12 && len(decimals) >= 1 && len(decimals) <= 3
	}
	if len(whole) > 15 {
		return sfValue{}, false
	}
	var n int64
	for i := range len(whole) {
		n = n*10 + int64(whole[i]-'0')
	}
	if negative {
		n = -n
	}
	return sfValue{kind: sfInteger, number: n}, true
}

// str takes a string (§4.2.5).
func (p *sfParser) str() (sfValue, bool) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return sfValue{kind: sfString, text: b.String()}, true
		case c == '\\':
			i++
			if i == len(p.rest) || p.rest[i] != '"' && p.rest[i] != '\\' {
				return sfValue{}, false
			}
			b.WriteByte(p.rest[i])
		case c < ' ' || c > '~':
			return sfValue{}, false
		default:
			b.WriteByte(c)
		}
	}
	return sfValue{}, false
}

// bytes takes a byte sequence; what it encodes does not matter (§4.2.7).
func (p *sfParser) bytes() bool {
	p.skip(':')
	p.span(func(c byte) bool {
		return isLetter(c) || isDigit(c) || c == '+' || c == '/' || c == '='
	})
	return p.skip(':')
}

// boolean takes a boolean (§4.2.8).
func (p *sfParser) boolean() (sfValue, bool) {
	p.skip('?')
	truth := p.skip('1')
	if !truth && !p.skip('0') {
		return sfValue{}, false
	}
	return sfValue{kind: sfBoolean, truth: truth}, true
}

// display takes a display string: visible ASCII with the rest in lower-case hexadecimal
// (§4.2.10). Whether that is UTF-8 does not matter.
func (p *sfParser) display() bool {
	p.skip('%')
	if !p.skip('"') {
		return false
	}
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return true
		case c == '%':
			if i+2 >= len(p.rest) || !isLowerHex(p.rest[i+1]) || !isLowerHex(p.rest[i+2]) {
				return false
			}
			i += 2
		case c < ' ' || c > '~':
			return false
		}
	}
	return false
}

func isLower(c byte) bool    { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool    { return '0' <= c && c <= '9' }
func isLetter(c byte) bool   { return isLower(c | 0x20) }
func isLowerHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }
