// SPDX-License-Identifier: Apache-2.0

// Package pathpattern matches request paths against the path patterns of cache
// behaviors (D5). It is pure; matching never allocates and never takes more steps
// than path length times pattern length. Query strings and cookies take no part
// (D5.6): callers pass the path alone, in the form that Normalize returns.
package pathpattern

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxLength is the longest pattern in characters (C2.68, D5.2).
const MaxLength = 255

// symbols are the characters of patterns besides letters and digits. The wildcard
// ? is among them, though CloudFront's own list forgets it (D5.2).
const symbols = `_-.*$/~"'@:+&?`

// Check says what is wrong with a pattern, and what would be right: it has 1 to
// MaxLength characters of the alphabet of C2.68. The text of the error continues a
// sentence that begins with the field.
func Check(pattern string) error {
	if pattern == "" {
		return errors.New("is empty; want a pattern such as /images/*.jpg")
	}
	if n := utf8.RuneCountInString(pattern); n > MaxLength {
		return fmt.Errorf("is %d characters long; want at most %d", n, MaxLength)
	}
	for _, c := range pattern {
		if !isAlnum(c) && !strings.ContainsRune(symbols, c) {
			return fmt.Errorf("has the character %q; want letters, digits and %s", c, symbols)
		}
	}
	return nil
}

func isAlnum(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// Canonical returns the pattern with its leading slash. The slash is optional and
// makes no difference (D5.4), so two patterns with the same canonical form are
// duplicates (C2.68, C9.3).
func Canonical(pattern string) string {
	if strings.HasPrefix(pattern, "/") {
		return pattern
	}
	return "/" + pattern
}

// Pattern is one compiled path pattern. It is immutable; the zero value matches
// only the empty path, which no request has.
type Pattern struct {
	// prefix and suffix are what stands before the first and behind the last
	// wildcard: they decide most mismatches with one comparison.
	prefix, suffix string
	middle         string // from the first wildcard to the last, or empty
}

// Compile prepares a pattern. Its error is that of Check.
func Compile(pattern string) (Pattern, error) {
	if err := Check(pattern); err != nil {
		return Pattern{}, err
	}
	text := Canonical(pattern)
	first, last := strings.IndexAny(text, "*?"), strings.LastIndexAny(text, "*?")
	if first < 0 {
		return Pattern{prefix: text}, nil
	}
	return Pattern{prefix: text[:first], middle: text[first : last+1], suffix: text[last+1:]}, nil
}

// Match says whether the pattern matches the whole path, with regard to case
// (D5.5).
func (p Pattern) Match(path string) bool { return p.match(path) }

// match is Match without the copy, for List.
func (p *Pattern) match(path string) bool {
	end := len(path) - len(p.suffix)
	if end < len(p.prefix) || path[:len(p.prefix)] != p.prefix || path[end:] != p.suffix {
		return false
	}
	return p.middle == "*" || wild(p.middle, path[len(p.prefix):end])
}

// wild compares by D5.3: * is any number of any characters, ? is exactly one, and
// the slash is a character like others for both. After a mismatch only the last
// star takes one character more: whatever an earlier star could take instead, the
// last one can as well.
func wild(pattern, s string) bool {
	p, i := 0, 0
	star, from := -1, 0 // the last star seen, and where the text behind it was tried
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// List is an ordered list of patterns. It is immutable; the zero value matches
// nothing.
type List struct {
	patterns []Pattern
}

// NewList compiles patterns in their order. An error names the pattern at fault.
func NewList(patterns []string) (*List, error) {
	l := &List{patterns: make([]Pattern, len(patterns))}
	for i, text := range patterns {
		p, err := Compile(text)
		if err != nil {
			return nil, fmt.Errorf("pattern %d (%q) %w", i, text, err)
		}
		l.patterns[i] = p
	}
	return l, nil
}

// Match returns the index of the first pattern that matches the path, or -1. Later
// patterns are not consulted, however much better they would fit (D5.1).
func (l *List) Match(path string) int {
	for i := range l.patterns {
		if l.patterns[i].match(path) {
			return i
		}
	}
	return -1
}
