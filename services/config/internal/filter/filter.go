// SPDX-License-Identifier: Apache-2.0

// Package filter reads the filters of list requests: the part of AIP-160 that compares
// fields with values, joined by AND (C6.17). It promises that what it takes can be
// written down again and means the same, and that what it refuses is named with its
// position. Which fields there are, and what they may be, it does not know.
package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a filter.
const (
	MaxLength = 2000 // characters
	MaxTerms  = 20
)

// Term is one comparison: Field = "Value".
type Term struct {
	// Field is the path as written, without quotes; Key is what stands behind the prefix
	// of a map, such as env in labels.env. Value is the text to compare with.
	Field, Key, Value string
	// Position is where the term begins, in characters from 1.
	Position int
}

// Filter is a filter that has been read.
type Filter []Term

// Error says what is wrong with a filter and where.
type Error struct {
	// Position counts characters from 1.
	Position int
	// Message continues a sentence that begins with the filter.
	Message string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (at position %d)", e.Message, e.Position)
}

// Parse reads a filter: field = value, joined by AND. A value is a text in double
// quotes, in which a backslash stands before a quote or a backslash, or a word of
// letters, digits and _-./:*@. A field is a path of names with dots, of which the last
// may be quoted like a value; of a field of maps, such as labels, what follows the first
// dot is the key. An empty filter has no terms. Errors are of type *Error.
func Parse(text string, maps ...string) (Filter, error) {
	if n := utf8.RuneCountInString(text); n > MaxLength {
		return nil, &Error{MaxLength + 1, fmt.Sprintf("is %d characters long; want at most %d", n, MaxLength)}
	}
	if !utf8.ValidString(text) {
		return nil, &Error{1, "is not UTF-8"}
	}
	r := &reader{text: text}
	if r.space(); r.done() {
		return nil, nil
	}
	var out Filter
	for {
		if len(out) == MaxTerms {
			return nil, r.wrong("has more than %d comparisons", MaxTerms)
		}
		term, err := r.term(maps)
		if err != nil {
			return nil, err
		}
		out = append(out, term)
		if r.space(); r.done() {
			return out, nil
		}
		if err := r.and(); err != nil {
			return nil, err
		}
	}
}

// String is the filter in the form that all spellings of it share.
func (f Filter) String() string {
	var parts []string
	for _, t := range f {
		field := t.Field
		if t.Key != "" {
			field += "." + quote(t.Key)
		}
		parts = append(parts, field+" = "+quote(t.Value))
	}
	return strings.Join(parts, " AND ")
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// reader goes through the text of a filter.
type reader struct {
	text string
	at   int // bytes read
}

func (r *reader) done() bool { return r.at == len(r.text) }

func (r *reader) position() int { return utf8.RuneCountInString(r.text[:r.at]) + 1 }

func (r *reader) wrong(format string, args ...any) error {
	return &Error{r.position(), fmt.Sprintf(format, args...)}
}

func (r *reader) space() {
	for !r.done() && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

// word reads the longest piece of the given characters, which may be empty.
func (r *reader) word(ok func(c byte) bool) string {
	from := r.at
	for !r.done() && ok(r.text[r.at]) {
		r.at++
	}
	return r.text[from:r.at]
}

func name(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func bare(c byte) bool { return name(c) || strings.IndexByte("./:*@", c) >= 0 }

// and reads the word between two terms.
func (r *reader) and() error {
	from := *r
	switch word := r.word(name); word {
	case "AND":
		r.space()
		return nil
	case "OR", "NOT":
		return from.wrong("has %s, which is not offered; comparisons can be joined by AND", word)
	}
	return from.wrong("has %s where AND has to stand", from.next())
}

// next describes what stands at the present place.
func (r *reader) next() string {
	if r.done() {
		return "its end"
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return strconv.QuoteRune(c)
}

func (r *reader) term(maps []string) (Term, error) {
	t := Term{Position: r.position()}
	from := *r
	if err := r.field(&t, maps); err != nil {
		return t, err
	}
	if t.Field == "NOT" || t.Field == "OR" || t.Field == "AND" {
		return t, from.wrong("has %s where a field has to stand", t.Field)
	}
	r.space()
	if r.done() || r.text[r.at] != '=' {
		return t, r.wrong("has %s behind %s, where = has to stand; no other comparison is offered", r.next(), t.Field)
	}
	r.at++
	r.space()
	var err error
	t.Value, err = r.value(bare)
	return t, err
}

// field reads a path, and the key of a map.
func (r *reader) field(t *Term, maps []string) error {
	for {
		part := r.word(name)
		if part == "" {
			return r.wrong("has %s where the name of a field has to stand", r.next())
		}
		t.Field += part
		if r.done() || r.text[r.at] != '.' {
			return nil
		}
		r.at++
		for _, m := range maps {
			if t.Field == m {
				var err error
				t.Key, err = r.value(bare)
				return err
			}
		}
		t.Field += "."
	}
}

// value reads a quoted text or a word, which is not empty.
func (r *reader) value(ok func(byte) bool) (string, error) {
	if r.done() || r.text[r.at] != '"' {
		v := r.word(ok)
		if v == "" {
			return "", r.wrong("has %s where a value has to stand: a word, or a text in double quotes", r.next())
		}
		return v, nil
	}
	opening := *r
	r.at++
	var out strings.Builder
	for !r.done() {
		c := r.text[r.at]
		r.at++
		switch {
		case c == '"':
			return out.String(), nil
		case c != '\\':
			out.WriteByte(c)
		case r.done() || r.text[r.at] != '"' && r.text[r.at] != '\\':
			r.at--
			return "", r.wrong(`has a backslash that stands before neither " nor \`)
		default:
			out.WriteByte(r.text[r.at])
			r.at++
		}
	}
	return "", opening.wrong("has a double quote without an end")
}
