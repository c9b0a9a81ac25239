// SPDX-License-Identifier: Apache-2.0

package rules

import (
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Limits are what checks depend on besides the message.
type Limits struct {
	// BaseDomain is the domain of the CDN's own generated names. Aliases and origin
	// hosts in it are refused (C2.44, C5.12). Empty forbids nothing.
	BaseDomain string
}

// CheckDistribution returns everything that is wrong with d by itself: syntax,
// limits and rules between fields (C2.1 steps 7 to 9 and 11), in the order of the
// fields. Field paths begin at Distribution, for example config.origins[0].id. It
// includes caller_reference and labels, and enum numbers without a name in fields
// that are built. d has been through Unsupported and DefaultDistribution.
func CheckDistribution(d *configv1.Distribution, l Limits) []Violation {
	return nil
}
