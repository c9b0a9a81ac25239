// SPDX-License-Identifier: Apache-2.0

package rules

import (
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Refs are the resources that a distribution refers to, by id, sorted, each once.
type Refs struct {
	CachePolicies []string // managed ones included
	Origins       []string // of the registry
}

// DistributionRefs returns what d refers to. Names that are not well-formed are
// left out; CheckDistribution reports them.
func DistributionRefs(d *configv1.Distribution) Refs {
	return Refs{}
}

// CheckJoined returns what is wrong with d together with what it refers to: rules
// that need the content of a cache policy or a registered origin. The maps are by
// id, as in Refs; what they lack is passed over. Field paths begin at Distribution.
// d and what it refers to are valid by themselves, with defaults filled.
func CheckJoined(d *configv1.Distribution, policies map[string]*configv1.CachePolicy, origins map[string]*originv1.Origin) []Violation {
	return nil
}

// Warnings returns advice about what is legal in d and probably not meant, each
// beginning with the field that it is about. origins is by id, as in Refs. d is
// valid, with defaults filled.
func Warnings(d *configv1.Distribution, origins map[string]*originv1.Origin) []string {
	return nil
}
