// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/canonical"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Limits of what an invalidation says. The bytes are those of all paths and tags: etcd
// takes 1.5 MiB at once (C8.1), and every edge takes every invalidation.
const (
	maxInvalidationPath  = 4000 // C2.167, D25.1
	maxInvalidationTag   = 256  // C2.170
	maxInvalidationBytes = 512 << 10
)

// InvalidationLimits are quotas that an operator can set: how many paths without a
// wildcard and tags, and how many paths with one, may be in progress for one
// distribution (C2.171, C4.54, C4.55, D25.17). One invalidation cannot have more.
type InvalidationLimits struct{ Paths, Wildcards int }

// CheckInvalidation checks what a caller says of a new invalidation. Doubles are
// legal, and count once (C2.172).
func CheckInvalidation(inv *configv1.Invalidation, limits InvalidationLimits) []Violation {
	var f findings
	f.join(CheckCallerReference("caller_reference", inv.GetCallerReference()))
	if len(inv.GetPaths())+len(inv.GetTags()) == 0 {
		f.add("paths", ReasonInvalid, "is empty, and so is tags; want at least one path or tag")
	}
	for i, p := range inv.GetPaths() {
		f.wrap(fmt.Sprintf("paths[%d]", i), ReasonInvalid, checkInvalidationPath(p))
	}
	for i, t := range inv.GetTags() {
		f.wrap(fmt.Sprintf("tags[%d]", i), ReasonInvalid, checkInvalidationTag(t))
	}
	paths, tags := onceEach(inv.GetPaths(), CanonicalPath), onceEach(inv.GetTags(), strings.ToLower)
	size := 0
	for _, s := range append(paths, tags...) {
		size += len(s)
	}
	plain, wild := countPaths(paths)
	if n := plain + len(tags); n > limits.Paths {
		f.add("paths", ReasonBatchTooLarge, "and tags without a wildcard are %d; want at most %d in one invalidation", n, limits.Paths)
	}
	if size > maxInvalidationBytes {
		f.add("paths", ReasonBatchTooLarge, "and tags have %d bytes together; want at most %d in one invalidation", size, maxInvalidationBytes)
	}
	if wild > limits.Wildcards {
		f.add("paths", ReasonTooManyInvalidations, "has %d paths with a wildcard; want at most %d in one invalidation", wild, limits.Wildcards)
	}
	return f.found
}

// checkInvalidationPath is C2.167 and C2.169: its error continues a sentence that
// begins with the field.
func checkInvalidationPath(p string) error {
	switch {
	case strings.HasPrefix(p, "#"): // C9.29: CloudFront's form of a tag
		return fmt.Errorf("begins with #; a cache tag belongs into tags, without the #")
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("is %.100q; want a path that begins with /", p)
	case len(p) > maxInvalidationPath:
		return fmt.Errorf("has %d characters; want at most %d", len(p), maxInvalidationPath)
	}
	for i := range len(p) {
		switch {
		case p[i] == '%' && !isEscape(p[i:]):
			return fmt.Errorf("has a %% at byte %d that is followed by no two hexadecimal digits; a percent sign itself is %%25", i)
		case p[i] != '%' && unsafe(p[i]):
			return fmt.Errorf("has the byte 0x%02X at %d; want it percent-encoded as %%%02X", p[i], i, p[i])
		}
	}
	return nil
}

// checkInvalidationTag is C2.170.
func checkInvalidationTag(t string) error {
	if t == "" || len(t) > maxInvalidationTag {
		return fmt.Errorf("has %d characters; want 1 to %d", len(t), maxInvalidationTag)
	}
	if strings.ContainsFunc(t, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }) {
		return fmt.Errorf("is %.100q; want visible ASCII characters without a comma", t)
	}
	return nil
}

// CanonicalInvalidation brings paths and tags into the form in which they are stored
// and compared, each once, in the order in which they first stand (C2.172, C3.15).
func CanonicalInvalidation(inv *configv1.Invalidation) {
	inv.Paths = onceEach(inv.GetPaths(), CanonicalPath)
	inv.Tags = onceEach(inv.GetTags(), strings.ToLower)
}

func onceEach(list []string, canonical func(string) string) []string {
	var out []string
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if s = canonical(s); !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// CountInvalidation returns how many entries of an invalidation in canonical form
// count as paths without a wildcard, tags among them, and how many as wildcards.
func CountInvalidation(inv *configv1.Invalidation) (paths, wildcards int) {
	plain, wild := countPaths(inv.GetPaths())
	return plain + len(inv.GetTags()), wild
}

func countPaths(paths []string) (plain, wild int) {
	for _, p := range paths {
		if IsWildcard(p) {
			wild++
		}
	}
	return len(paths) - wild, wild
}

// IsWildcard says whether a path of an invalidation stands for every path that it
// begins (C2.168, D25.2).
func IsWildcard(path string) bool { return strings.HasSuffix(path, "*") }

// InvalidationWarnings returns advice about what is legal in inv and probably not
// meant, each beginning with the field that it is about. inv is valid.
func InvalidationWarnings(inv *configv1.Invalidation) []string {
	var out []string
	for i, p := range inv.GetPaths() {
		if strings.Contains(strings.TrimSuffix(p, "*"), "*") { // C2.168, C9.30
			out = append(out, fmt.Sprintf("paths[%d] has a * before its last character: that one is a character like others and no wildcard", i))
		}
	}
	return out
}

// CanonicalPath is the form in which paths of invalidations and paths of stored
// objects, with their queries, are compared (D25.3, D25.8): letters, digits and -._~
// are not percent-encoded, unsafe and other characters than ASCII are, and escapes
// have upper-case digits. It takes any bytes, and leaves what is canonical as it is.
func CanonicalPath(raw string) string { return string(canonical.Append(nil, raw)) }

// isEscape says whether s begins with a percent-encoded byte.
func isEscape(s string) bool {
	return len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2])
}

func isHex(c byte) bool { return strings.IndexByte(digits+"abcdefABCDEF", c) >= 0 }

// unsafe are the bytes that stand in no URL as they are (RFC 1738 §2.2), but for the
// tilde, which all URLs of today have (D25.8). A percent sign is one unless it begins
// an escape.
func unsafe(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte("<>\"#%{}|\\^[]`", c) >= 0
}
