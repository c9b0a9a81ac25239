// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// maxViolations bounds what one request can make the server say; a request that is
// wrong in more places is answered with the first of them.
const maxViolations = 1000

// findings collects violations in the order of the fields.
type findings struct{ found []Violation }

func (f *findings) add(field, reason, format string, args ...any) {
	if len(f.found) < maxViolations {
		f.found = append(f.found, Violation{field, reason, fmt.Sprintf(format, args...)})
	}
}

// wrap adds what is wrong with a field by one of the checks whose error continues
// a sentence that begins with the field.
func (f *findings) wrap(field, reason string, err error) {
	if err != nil {
		f.add(field, reason, "%v", err)
	}
}

func (f *findings) join(vs []Violation) {
	f.found = append(f.found, vs[:min(len(vs), maxViolations-len(f.found))]...)
}

// count checks the length of a list and returns how many of its elements to check:
// those within the limit.
func (f *findings) count(field, reason string, n, most int) int {
	if n > most {
		f.add(field, reason, "has %d entries; want at most %d", n, most)
	}
	return min(n, most)
}

// maxText is how long comments, names and references may be, in characters (C2.7, C2.19,
// C2.45, C3.19).
const maxText = 128

// length checks a text that may be empty.
func (f *findings) length(field, s string) {
	if n := utf8.RuneCountInString(s); n > maxText {
		f.add(field, ReasonInvalid, "is %d characters long; want at most %d", n, maxText)
	}
}

// number checks a number that may be absent.
func (f *findings) number(field string, v *int32, low, high int32) {
	if v != nil && (*v < low || *v > high) {
		f.add(field, ReasonInvalid, "is %d; want %d to %d", *v, low, high)
	}
}

// seconds checks a duration that may be absent: whole seconds (C6.13) within the
// limits.
func (f *findings) seconds(field, reason string, d *durationpb.Duration, low, high time.Duration) {
	switch {
	case d == nil:
	case d.CheckValid() != nil:
		f.add(field, reason, "is no valid duration; want whole seconds from %v to %v", low, high)
	case d.GetNanos() != 0:
		f.add(field, reason, "is %v; want whole seconds", d.AsDuration())
	// Compared as seconds: a Duration reaches further than a time.Duration.
	case d.GetSeconds() < int64(low/time.Second) || d.GetSeconds() > int64(high/time.Second):
		f.add(field, reason, "is %ds; want %ds to %ds", d.GetSeconds(), int64(low/time.Second), int64(high/time.Second))
	}
}

// enum refuses numbers without a name (C6.60). Zero stands for an absent value,
// which has a default.
func (f *findings) enum(field string, e protoreflect.Enum) {
	if e.Descriptor().Values().ByNumber(e.Number()) == nil {
		f.add(field, ReasonUnknownEnum, "%s", unknownNumber(e.Descriptor(), e.Number()))
	}
}

// required is enum for a value without a default.
func (f *findings) required(field string, e protoreflect.Enum) {
	if e.Number() == 0 {
		f.add(field, ReasonInvalid, "is not set; it has no default")
		return
	}
	f.enum(field, e)
}

func unknownNumber(d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	return fmt.Sprintf("has the number %d, which %s does not name; want one of %s", n, d.Name(), names(d))
}

// Alphabets.
const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// only says whether s holds nothing but the given characters.
func only(s, characters string) bool { return strings.Trim(s, characters) == "" }

// names lists the values of an enum that mean something.
func names(d protoreflect.EnumDescriptor) string {
	var out []string
	for i := range d.Values().Len() {
		if v := d.Values().Get(i); v.Number() != 0 {
			out = append(out, string(v.Name()))
		}
	}
	return strings.Join(out, ", ")
}
