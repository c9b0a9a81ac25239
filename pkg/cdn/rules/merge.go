// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// MergeDistribution applies the change of an UpdateDistributionRequest to what is
// stored and returns the result as a message of its own (C6.16, design §5). Without
// a mask (nil or without paths) each populated one of labels and config is replaced
// whole; with "*" both are, absent ones cleared; otherwise each path of the mask
// gets the value that it has in in, or is cleared. Everything else, output-only
// fields above all, stays as stored, whatever in and the mask say of it.
//
// Field paths of violations begin at the request: update_mask for a path that does
// not exist or leads into a repeated field or a map, and
// distribution.caller_reference (ILLEGAL_UPDATE, C2.5) for one that changes. Defaults
// are not filled. The message is nil when there are violations.
func MergeDistribution(stored, in *configv1.Distribution, mask *fieldmaskpb.FieldMask) (*configv1.Distribution, []Violation) {
	return stored, nil
}

// MergeOrigin is MergeDistribution for an UpdateOriginRequest: without a mask each
// populated field that is not output-only is replaced whole. Violations are at
// update_mask.
func MergeOrigin(stored, in *originv1.Origin, mask *fieldmaskpb.FieldMask) (*originv1.Origin, []Violation) {
	return stored, nil
}
