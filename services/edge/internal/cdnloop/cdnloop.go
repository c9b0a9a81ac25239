// SPDX-License-Identifier: Apache-2.0

// Package cdnloop keeps requests from going round between CDNs for ever, by the
// CDN-Loop field (RFC 8586, D2.9). It promises that no bytes which a viewer sends can
// hide the passes of a request through this CDN. It knows no configuration: two
// installations under one name count as one CDN.
package cdnloop

import (
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Field is the name of the header field.
const Field = "CDN-Loop"

// MaxPasses is how many distributions of this CDN may lie in one chain (D2.9).
const MaxPasses = 2

// Refused says whether a request has passed through this CDN as often as it may, so
// that it has to be refused with 403. The id is the name of the CDN, a token.
func Refused(h header.Fields, id string) bool { return Passes(h, id) >= MaxPasses }

// Passes counts the entries of this CDN, in any case and with any parameters. Commas
// within quoted parameters divide entries as well: so an open quote hides nothing that
// stands behind it, and who quotes our name refuses nobody but himself.
func Passes(h header.Fields, id string) int {
	n := 0
	for i := range h {
		if !header.Equal(h[i].Name, Field) {
			continue
		}
		for entry := range strings.SplitSeq(h[i].Value, ",") {
			name, _, _ := strings.Cut(entry, ";")
			if header.Equal(strings.Trim(name, " \t"), id) {
				n++
			}
		}
	}
	return n
}

// Append returns the value to send to the origin: what h, the viewer's header, has,
// which nobody on the way may drop or change (RFC 8586 §2), and this CDN behind it.
func Append(h header.Fields, id string) string {
	before, _ := h.Joined(Field, ", ")
	if strings.Trim(before, " \t") == "" {
		return id
	}
	return before + ", " + id
}
