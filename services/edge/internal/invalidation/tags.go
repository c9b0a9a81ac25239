// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"slices"
	"strings"
)

// Bounds of cache tags (C2.170).
const (
	mostTags   = 50
	longestTag = 256
)

// ParseTags reads the cache tags in the values of a response header: split at commas,
// trimmed, in lower case, each once (D17.16, C2.170). What is no tag, and what comes
// after the fiftieth, is ignored.
func ParseTags(values ...string) []string {
	var out []string
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			item = strings.Trim(item, " \t")
			if !isTag(item) {
				continue
			}
			tag := strings.Clone(strings.ToLower(item)) // not the whole header
			if len(out) < mostTags && !slices.Contains(out, tag) {
				out = append(out, tag)
			}
		}
	}
	return out
}

// isTag says whether s is 1 to 256 visible ASCII characters.
func isTag(s string) bool {
	if s == "" || len(s) > longestTag {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
