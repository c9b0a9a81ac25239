// SPDX-License-Identifier: Apache-2.0

// Package computed is the request headers that an edge makes itself out of what it knows
// of a viewer (D10). Policies name them; what a viewer sends under such a name is forged
// and goes nowhere (D10.1). It is pure. It promises a value for every name that Built
// says is built, and knows nothing of countries, devices or TLS: those are not built.
package computed

import (
	"net/netip"
	"strconv"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// prefix is how all of them begin, whatever the brand: they are asked for by name, by
// origins that were written for that name.
const prefix = "CloudFront-"

// Is says whether an edge, and nobody else, makes headers of that name.
func Is(name string) bool {
	return len(name) >= len(prefix) && header.Equal(name[:len(prefix)], prefix)
}

// Viewer is what is known of whoever sent a request.
type Viewer struct {
	// Address is that of the TCP peer, or the one that stands for it.
	Address netip.AddrPort
	// Scheme is http or https.
	Scheme string
	// Major and Minor are the HTTP version.
	Major, Minor int
}

// Built says whether this release can make the header.
func Built(name string) bool {
	_, ok := Value(name, Viewer{})
	return ok
}

// Value returns the value of a header for a viewer (D10.2); false for one that is not
// built.
func Value(name string, v Viewer) (string, bool) {
	if !Is(name) {
		return "", false
	}
	switch rest := name[len(prefix):]; {
	case header.Equal(rest, "Forwarded-Proto"):
		return v.Scheme, true
	case header.Equal(rest, "Viewer-Address"): // without brackets, the port last
		return v.Address.Addr().Unmap().WithZone("").String() + ":" + strconv.Itoa(int(v.Address.Port())), true
	case header.Equal(rest, "Viewer-Http-Version"):
		return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor), true
	}
	return "", false
}
