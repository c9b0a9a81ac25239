// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules/internal/mask"
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
// not exist or leads into a repeated field or a map, and for immutable fields
// distribution.caller_reference or distribution.staging (ILLEGAL_UPDATE, C2.5).
// Defaults are not filled. The message is nil when there are violations.
func MergeDistribution(stored, in *configv1.Distribution, updateMask *fieldmaskpb.FieldMask) (*configv1.Distribution, []Violation) {
	return Merge(stored, in, updateMask, Change{
		Resource:  "distribution",
		Updatable: []protoreflect.Name{"labels", "config"},
		Immutable: []protoreflect.Name{"caller_reference", "staging"},
	})
}

// MergeOrigin is MergeDistribution for an UpdateOriginRequest: without a mask each
// populated field that is not output-only is replaced whole. Violations are at
// update_mask.
func MergeOrigin(stored, in *originv1.Origin, updateMask *fieldmaskpb.FieldMask) (*originv1.Origin, []Violation) {
	return Merge(stored, in, updateMask, Change{
		Resource: "origin",
		Updatable: []protoreflect.Name{
			"labels", "display_name", "endpoint", "connection_attempts", "connect_timeout", "read_timeout",
			"keepalive_timeout", "response_completion_timeout", "access_control", "custom_headers", "shield",
		},
	})
}

// Change says which top-level fields of a resource a caller may write. The fields
// in neither list are the server's: what a caller says of them is ignored (AIP-203).
type Change struct {
	// Resource is the field of the request that holds the resource.
	Resource string
	// Updatable fields may be written, Immutable ones named but not changed.
	Updatable, Immutable []protoreflect.Name
	// Reason is that of a changed immutable field, ILLEGAL_UPDATE when empty.
	Reason string
}

// Merge is MergeDistribution for any resource.
func Merge[M proto.Message](stored, in M, updateMask *fieldmaskpb.FieldMask, c Change) (M, []Violation) {
	paths := updateMask.GetPaths()
	out := proto.CloneOf(stored)
	// A copy, because its parts become parts of the result.
	src, dst := proto.CloneOf(in).ProtoReflect(), out.ProtoReflect()
	var f findings
	c.checkImmutable(&f, stored.ProtoReflect(), src, paths)
	fields := dst.Descriptor().Fields()
	for _, name := range c.Updatable {
		fd := fields.ByName(name)
		if slices.Contains(paths, "*") || len(paths) == 0 && src.Has(fd) {
			mask.Path{fd}.Copy(dst, src)
		}
	}
	for _, path := range paths {
		if path == "*" {
			continue
		}
		steps, err := mask.Resolve(dst.Descriptor(), path)
		if err != nil {
			f.add("update_mask", ReasonInvalid, "has the path %.100q, %v", path, err)
			continue
		}
		if slices.Contains(c.Updatable, steps[0].Name()) {
			steps.Copy(dst, src)
		}
	}
	if len(f.found) > 0 {
		var none M
		return none, f.found
	}
	return out, nil
}

// checkImmutable refuses other values of immutable fields. An absent one counts
// only when the mask names it: everything else that a caller leaves out is kept.
func (c Change) checkImmutable(f *findings, stored, in protoreflect.Message, paths []string) {
	for _, name := range c.Immutable {
		fd := stored.Descriptor().Fields().ByName(name)
		if !in.Has(fd) && !slices.Contains(paths, string(name)) || stored.Get(fd).Equal(in.Get(fd)) {
			continue
		}
		f.add(c.Resource+"."+string(name), cmp.Or(c.Reason, ReasonIllegalUpdate), "is not what is stored, and can never be changed")
	}
}
