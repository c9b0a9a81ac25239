// SPDX-License-Identifier: Apache-2.0

package httpcache

import "strings"

// entityTag is a validator (RFC 9110 §8.8.3).
type entityTag struct {
	opaque string // with its quotes
	weak   bool
}

// parseTag reads a whole ETag value.
func parseTag(s string) (entityTag, bool) {
	t, rest, ok := cutTag(s)
	return t, ok && rest == ""
}

// cutTag reads the entity tag at the start of s. Inside the quotes everything but
// the quote, controls and space stands for itself; there are no escapes.
func cutTag(s string) (t entityTag, rest string, ok bool) {
	s, t.weak = strings.CutPrefix(s, "W/")
	if s == "" || s[0] != '"' {
		return entityTag{}, "", false
	}
	for i := 1; i < len(s); i++ {
		if s[i] == '"' {
			t.opaque = s[:i+1]
			return t, s[i+1:], true
		}
		if s[i] <= ' ' || s[i] == 0x7f {
			break
		}
	}
	return entityTag{}, "", false
}

// weakMatch compares by RFC 9110 §8.8.3.2: the weak marks do not count.
func weakMatch(a, b entityTag) bool {
	return a.opaque == b.opaque
}

// strongMatch compares by RFC 9110 §8.8.3.2: a weak tag matches nothing.
func strongMatch(a, b entityTag) bool {
	return !a.weak && !b.weak && a.opaque == b.opaque
}

// anyTag says whether match holds for a tag of the list. Members that are no
// entity tags match nothing.
func anyTag(list string, match func(entityTag) bool) bool {
	const separators = whitespace + ","
	list = strings.TrimLeft(list, separators)
	for list != "" {
		t, rest, ok := cutTag(list)
		rest = strings.TrimLeft(rest, whitespace)
		if ok && (rest == "" || rest[0] == ',') {
			if match(t) {
				return true
			}
		} else {
			_, rest, _ = strings.Cut(list, ",")
		}
		list = strings.TrimLeft(rest, separators)
	}
	return false
}
