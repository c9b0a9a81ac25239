// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
)

// Limits of names, references, pages and labels.
const (
	maxID          = 63
	maxCoded       = 25
	maxSelfNamed   = 64
	maxEdgeID      = 128
	defaultPage    = 100
	maxPage        = 1000
	maxLabels      = 50
	maxLabelKey    = 128
	maxLabelValue  = 256
	reservedPrefix = "aws:"
)

// CheckOriginID checks the id that a client chooses for an origin: 1 to 63
// characters of [a-z0-9-], first a letter, last not a hyphen (C6.12). The field is
// origin_id.
func CheckOriginID(id string) []Violation {
	if isChosenID(id) {
		return nil
	}
	return []Violation{{"origin_id", ReasonInvalid, fmt.Sprintf("is %.100q; want %s", id, form(keys.Origins))}}
}

// ParseName returns the id in a resource name of collection c, for example E1… in
// distributions/E1…. It knows the form only, in its one spelling (C6.11, C3.41);
// whether the resource exists is the caller's question. A violation is at field.
func ParseName(field string, c keys.Collection, name string) (id string, v []Violation) {
	id, found := strings.CutPrefix(name, c.Name(""))
	if found && isID(c, id) {
		return id, nil
	}
	return "", []Violation{{field, ReasonInvalid, fmt.Sprintf("is %.100q; want %s and an id: %s", name, c.Name(""), form(c))}}
}

// ParseInvalidationName returns the ids in the resource name of an invalidation, for
// example distributions/E1…/invalidations/I1… (C6.11, C3.41). A violation is at field.
func ParseInvalidationName(field, name string) (distribution, id string, v []Violation) {
	parent, rest, _ := strings.Cut(name, "/invalidations/")
	distribution, v = ParseName(field, keys.Distributions, parent)
	if len(v) == 0 && isCoded(rest, 'I') {
		return distribution, rest, nil
	}
	return "", "", []Violation{{field, ReasonInvalid, fmt.Sprintf(
		"is %.100q; want distributions/, an id, /invalidations/ and an id: I and up to 24 characters of [A-Z0-9]", name)}}
}

func isID(c keys.Collection, id string) bool {
	switch c {
	case keys.Distributions, keys.OriginAccessControls:
		return isCoded(id, 'E')
	case keys.PublicKeys:
		return isCoded(id, 'K')
	case keys.CachePolicies, keys.OriginRequestPolicies, keys.ResponseHeadersPolicies, keys.KeyGroups,
		keys.ContinuousDeploymentPolicies, keys.Certificates:
		return isUUID(id)
	case keys.Edges:
		return IsEdgeID(id)
	case keys.Functions, keys.KeyValueStores:
		return id != "" && len(id) <= maxSelfNamed && only(id, upper+lower+digits+"-_")
	case keys.RealtimeLogConfigs: // C2.9
		return id != "" && len(id) <= maxText && only(id[:1], upper+lower+digits) && only(id, upper+lower+digits+"-_")
	default:
		return isChosenID(id)
	}
}

// form describes the ids of a collection to people.
func form(c keys.Collection) string {
	switch c {
	case keys.Distributions, keys.OriginAccessControls:
		return "E and up to 24 characters of [A-Z0-9]"
	case keys.PublicKeys:
		return "K and up to 24 characters of [A-Z0-9]"
	case keys.CachePolicies, keys.OriginRequestPolicies, keys.ResponseHeadersPolicies, keys.KeyGroups,
		keys.ContinuousDeploymentPolicies, keys.Certificates:
		return "a UUID in lower case"
	case keys.Edges:
		return "1 to 128 bytes of UTF-8 without slashes and control characters"
	case keys.RealtimeLogConfigs:
		return "1 to 128 characters of [a-zA-Z0-9-_], the first a letter or digit"
	case keys.Functions, keys.KeyValueStores:
		return "1 to 64 characters of [a-zA-Z0-9-_]"
	default:
		return "1 to 63 characters of [a-z0-9-], first a letter, last not a hyphen"
	}
}

// isCoded says whether id is a letter of its kind and upper-case letters and digits.
func isCoded(id string, kind byte) bool {
	return len(id) >= 2 && len(id) <= maxCoded && id[0] == kind && only(id, upper+digits)
}

func isChosenID(id string) bool {
	return id != "" && len(id) <= maxID && strings.Contains(lower, id[:1]) &&
		!strings.HasSuffix(id, "-") && only(id, lower+digits+"-")
}

// IsEdgeID says whether an edge may call itself that.
func IsEdgeID(id string) bool {
	return id != "" && len(id) <= maxEdgeID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(r rune) bool {
		return r == '/' || unicode.IsControl(r)
	})
}

func isUUID(id string) bool {
	groups := strings.Split(id, "-")
	if len(groups) != 5 {
		return false
	}
	for i, want := range []int{8, 4, 4, 4, 12} {
		if len(groups[i]) != want || !only(groups[i], digits+"abcdef") {
			return false
		}
	}
	return true
}

// PageSize is the page size of a list request: 100 for 0, at most 1000 (C6.17). A
// negative one is a violation at page_size.
func PageSize(requested int32) (int, []Violation) {
	switch {
	case requested < 0:
		return 0, []Violation{{"page_size", ReasonInvalid, fmt.Sprintf("is %d; want 0 for the default, or more", requested)}}
	case requested == 0:
		return defaultPage, nil
	default:
		return min(int(requested), maxPage), nil
	}
}

// CheckCallerReference checks a caller reference: 1 to 128 printable ASCII
// characters (C2.11, C3.19).
func CheckCallerReference(field, ref string) []Violation {
	var f findings
	switch {
	case ref == "":
		f.add(field, ReasonInvalid, "is empty; want 1 to %d printable ASCII characters that were never used before", maxText)
	case strings.ContainsFunc(ref, func(c rune) bool { return c < ' ' || c > '~' }):
		f.add(field, ReasonInvalid, "has a character that is not printable ASCII")
	default:
		f.length(field, ref)
	}
	return f.found
}

// CheckLabels checks the labels of a resource (C2.160, C4.11): at most 50, keys of
// 1 to 128 and values of 0 to 256 letters, digits, spaces and _.:/=+-@; keys that
// begin with aws: are reserved. Labels are reported in the order of their keys, as
// for example labels["env"].
func CheckLabels(field string, labels map[string]string) []Violation {
	var f findings
	n := f.count(field, ReasonInvalidTagging, len(labels), maxLabels)
	for _, key := range slices.Sorted(maps.Keys(labels))[:n] {
		at := fmt.Sprintf("%s[%.100q]", field, key)
		switch n := utf8.RuneCountInString(key); {
		case n == 0 || n > maxLabelKey:
			f.add(at, ReasonInvalidTagging, "has a key of %d characters; want 1 to %d", n, maxLabelKey)
		case strings.ContainsFunc(key, notLabel):
			f.add(at, ReasonInvalidTagging, "has a key with other characters than letters, digits, spaces and _.:/=+-@")
		case strings.HasPrefix(key, reservedPrefix):
			f.add(at, ReasonInvalidTagging, "has a key that begins with %s, which is reserved", reservedPrefix)
		}
		switch n := utf8.RuneCountInString(labels[key]); {
		case n > maxLabelValue:
			f.add(at, ReasonInvalidTagging, "has a value of %d characters; want at most %d", n, maxLabelValue)
		case strings.ContainsFunc(labels[key], notLabel):
			f.add(at, ReasonInvalidTagging, "has a value with other characters than letters, digits, spaces and _.:/=+-@")
		}
	}
	return f.found
}

func notLabel(c rune) bool {
	return !unicode.In(c, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", c)
}
