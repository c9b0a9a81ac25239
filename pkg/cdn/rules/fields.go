// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Findings collects violations in the order of the fields. It is for packages with
// rules of their own; the zero value is empty.
type Findings struct{ f findings }

// Found are the violations so far, nil when there are none.
func (c *Findings) Found() []Violation { return c.f.found }

// Add says what is wrong with a field; the text continues a sentence that begins with
// the field.
func (c *Findings) Add(field, reason, format string, args ...any) {
	c.f.add(field, reason, format, args...)
}

// Join adds what another check has found.
func (c *Findings) Join(vs []Violation) { c.f.join(vs) }

// Count checks the length of a list and returns how many of its elements to check:
// those within the limit.
func (c *Findings) Count(field, reason string, n, most int) int {
	return c.f.count(field, reason, n, most)
}

// Comment checks a text that may be empty: at most 128 characters (C2.7).
func (c *Findings) Comment(field, s string) { c.f.length(field, s) }

// Seconds checks a duration that may be absent: whole seconds (C6.13) within limits.
func (c *Findings) Seconds(field string, d *durationpb.Duration, low, high time.Duration) {
	c.f.seconds(field, ReasonInvalid, d, low, high)
}

// Enum refuses numbers without a name (C6.60); zero stands for an absent value.
func (c *Findings) Enum(field string, e protoreflect.Enum) { c.f.enum(field, e) }

// Required is Enum for a value without a default.
func (c *Findings) Required(field string, e protoreflect.Enum) { c.f.required(field, e) }

// CheckUniqueName checks a name that is unique in its collection: 1 to 128 characters
// of [A-Za-z0-9_-], the first a letter or digit (C2.9).
func CheckUniqueName(field, name string) []Violation {
	if name != "" && len(name) <= maxText && only(name[:1], upper+lower+digits) && only(name, upper+lower+digits+"_-") {
		return nil
	}
	return []Violation{{field, ReasonInvalid, fmt.Sprintf("is %.150q; want 1 to %d characters of [A-Za-z0-9_-], the first a letter or digit", name, maxText)}}
}

// CheckToken says what is wrong with the name of a header field: a token of RFC 9110
// §5.6.2 of at most most bytes. The text of the error continues a sentence that
// begins with the field.
func CheckToken(name string, most int) error {
	switch {
	case name == "":
		return fmt.Errorf("is empty; want the name of a header")
	case len(name) > most:
		return fmt.Errorf("is %d characters long; want at most %d", len(name), most)
	case !only(name, upper+lower+digits+"!#$%&'*+-.^_`|~"):
		return fmt.Errorf("is %.100q, which is no name of a header (RFC 9110 section 5.6.2)", name)
	}
	return nil
}

// CheckFieldValue is CheckToken for the value of a header field: visible ASCII and
// spaces, none at either end. It may be empty.
func CheckFieldValue(value string, most int) error {
	switch {
	case len(value) > most:
		return fmt.Errorf("is %d characters long; want at most %d", len(value), most)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }):
		return fmt.Errorf("holds other characters than visible ASCII and spaces")
	case strings.Trim(value, " ") != value:
		return fmt.Errorf("begins or ends with a space")
	}
	return nil
}
