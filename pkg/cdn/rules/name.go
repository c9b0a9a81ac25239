// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
)

// CheckOriginID checks the id that a client chooses for an origin: 1 to 63
// characters of [a-z0-9-], first a letter, last not a hyphen (C6.12). The field is
// origin_id.
func CheckOriginID(id string) []Violation {
	return nil
}

// ParseName returns the id in a resource name of collection c, for example E1… in
// distributions/E1…. It knows the form only, in its one spelling (C6.11, C3.41);
// whether the resource exists is the caller's question. A violation is at field.
func ParseName(field string, c keys.Collection, name string) (id string, v []Violation) {
	return "", nil
}

// PageSize is the page size of a list request: 100 for 0, at most 1000 (C6.17). A
// negative one is a violation at page_size.
func PageSize(requested int32) (int, []Violation) {
	return 0, nil
}

// CheckCallerReference checks a caller reference: 1 to 128 printable ASCII
// characters (C2.11, C3.19).
func CheckCallerReference(field, ref string) []Violation {
	return nil
}

// CheckLabels checks the labels of a resource (C2.160, C4.11): at most 50, keys of
// 1 to 128 and values of 0 to 256 letters, digits, spaces and _.:/=+-@; keys that
// begin with aws: are reserved.
func CheckLabels(field string, labels map[string]string) []Violation {
	return nil
}
