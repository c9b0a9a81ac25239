// SPDX-License-Identifier: Apache-2.0

package originregistry

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
)

// Reasons of the registry's own errors. Those of fields are in package rules.
const (
	ReasonNotFound      = "ENTITY_NOT_FOUND"         // C2.204
	ReasonAlreadyExists = "ENTITY_ALREADY_EXISTS"    // C2.220
	ReasonInUse         = "ORIGIN_IN_USE"            // C2.335
	ReasonBadETag       = "INVALID_IF_MATCH_VERSION" // C2.181
	ReasonStale         = "PRECONDITION_FAILED"      // C2.182
	ReasonQuota         = "ENTITY_LIMIT_EXCEEDED"    // C2.312
)

// maxReferrers is how many referrers an error names (C5.36, C8.51).
const maxReferrers = 20

// offered refuses a request with a field that has no effect in this release
// (C2.185).
func offered(req proto.Message) error {
	if e := apierr.UnsupportedFields(violations(rules.Unsupported(req))); e != nil {
		return e
	}
	return nil
}

// invalid makes one error of all violations, and nil of none.
func invalid(vs []rules.Violation) error {
	if e := apierr.BadFields(violations(vs)); e != nil {
		return e
	}
	return nil
}

func violations(vs []rules.Violation) []apierr.Violation {
	out := make([]apierr.Violation, 0, len(vs))
	for _, v := range vs {
		out = append(out, apierr.Violation(v))
	}
	return out
}

func notFound(id string) *apierr.Error {
	return about(id, apierr.New(apierr.NotFound, ReasonNotFound, "origin %q does not exist", id))
}

// moving is for a write that another one got in the way of, again and again.
func moving(id string, cause error) *apierr.Error {
	e := about(id, apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "origin %q is being changed at the same time; try again", id))
	e.Cause = cause
	return e
}

func alreadyExists(id string) *apierr.Error {
	return about(id, apierr.New(apierr.AlreadyExists, ReasonAlreadyExists, "origin %q exists already", id).At("origin_id"))
}

// badETag is for an etag that no write can have had (C3.6).
func badETag(field string) *apierr.Error {
	return apierr.New(apierr.Invalid, ReasonBadETag, "%s is not an etag: E and 13 characters of [A-Z2-7], without quotes", field).At(field)
}

// stale is for an etag that is not current, or for a record that moved on while it
// was being written (C3.6, C3.12). current is empty when it is not known.
func stale(id, current string, given etagAt) *apierr.Error {
	e := about(id, apierr.New(apierr.Stale, ReasonStale, "origin %q was changed meanwhile; read it again, merge and retry", id))
	if given.etag != "" {
		e = e.At(given.field)
	}
	if current != "" {
		e = e.With("etagCurrent", current)
	}
	return e
}

// inUse is for a change that those who refer to the origin forbid. referrers are
// their resource names; more may exist.
func inUse(id, why string, referrers []string) *apierr.Error {
	named := referrers[:min(len(referrers), maxReferrers)]
	e := apierr.New(apierr.Precondition, ReasonInUse, "origin %q %s: %s", id, why, strings.Join(named, ", "))
	return about(id, e.With("referrers", strings.Join(named, ",")))
}

func quotaReached(limit, actual int64) *apierr.Error {
	e := apierr.New(apierr.Exhausted, ReasonQuota, "there are %d origins and at most %d are allowed", actual, limit)
	return e.With("limit", strconv.FormatInt(limit, 10)).With("actual", strconv.FormatInt(actual, 10))
}

func about(id string, e *apierr.Error) *apierr.Error {
	return e.With("resource", keys.Origins.Name(id))
}
