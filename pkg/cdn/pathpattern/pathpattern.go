// SPDX-License-Identifier: Apache-2.0

// Package pathpattern matches request paths against the path patterns of cache
// behaviors. It is pure; matching takes linear time for ordinary patterns and never
// allocates.
package pathpattern

import (
	"errors"
	"fmt"
	"strings"
)

// MaxLength is the longest pattern in characters (C2.68).
const MaxLength = 255

// Check says what is wrong with a pattern (C2.68, D5.2).
func Check(pattern string) error {
	if pattern == "" {
		return errors.New("is empty; want a pattern such as /images/*")
	}
	if len(pattern) > MaxLength {
		return fmt.Errorf("is %d characters long; at most %d", len(pattern), MaxLength)
	}
	for _, c := range pattern {
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && !strings.ContainsRune("_-.*$/~\"'@:+&?", c) {
			return fmt.Errorf(`has the character %q; allowed are letters, digits and _-.*$/~"'@:+&?`, c)
		}
	}
	return nil
}

// Canonical is the pattern with its leading slash, which is optional and makes no
// difference (D5.4, C2.68).
func Canonical(pattern string) string {
	if strings.HasPrefix(pattern, "/") {
		return pattern
	}
	return "/" + pattern
}

// List is an ordered list of patterns. It is immutable.
type List struct {
	patterns []pattern
}

type pattern struct {
	text   string // canonical
	prefix string // the literal part in front of the first wildcard
}

// NewList prepares patterns for matching. Errors name the pattern at fault.
func NewList(patterns []string) (*List, error) {
	l := &List{patterns: make([]pattern, 0, len(patterns))}
	for _, p := range patterns {
		if err := Check(p); err != nil {
			return nil, fmt.Errorf("pattern %q %w", p, err)
		}
		text := Canonical(p)
		prefix := text
		if i := strings.IndexAny(text, "*?"); i >= 0 {
			prefix = text[:i]
		}
		l.patterns = append(l.patterns, pattern{text, prefix})
	}
	return l, nil
}

// Match returns the index of the first pattern that matches the whole path, or -1
// (D5.1, D5.5). The path is one that Normalize has made ready.
func (l *List) Match(path string) int {
	for i := range l.patterns {
		p := &l.patterns[i]
		if strings.HasPrefix(path, p.prefix) && match(p.text[len(p.prefix):], path[len(p.prefix):]) {
			return i
		}
	}
	return -1
}

// match is wildcard matching that goes back to the last star alone (D5.3): * is
// any characters, the slash included, ? exactly one.
func match(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
