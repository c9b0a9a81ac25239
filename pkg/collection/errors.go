// SPDX-License-Identifier: Apache-2.0

package collection

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
)

// Reasons of errors that every collection has.
const (
	ReasonIllegalDelete  = "ILLEGAL_DELETE"           // C2.184
	ReasonInvalidIfMatch = "INVALID_IF_MATCH_VERSION" // C2.181
	ReasonStale          = "PRECONDITION_FAILED"      // C2.182
	ReasonETagRequired   = "ETAG_REQUIRED"            // C2.334
)

// maxReferrers is how many referrers an error names (C8.51).
const maxReferrers = 20

// BadFields is one error for all violations, nil when there are none. prefix leads
// from the request to where the paths begin.
func BadFields(prefix string, vs []rules.Violation) error {
	if e := apierr.BadFields(prefixed(prefix, vs)); e != nil {
		return e
	}
	return nil
}

// Unsupported is the error for fields without effect in this release, nil when the
// request sets none (C2.185).
func Unsupported(vs []rules.Violation) error {
	if e := apierr.UnsupportedFields(prefixed("", vs)); e != nil {
		return e
	}
	return nil
}

func prefixed(prefix string, vs []rules.Violation) []apierr.Violation {
	out := make([]apierr.Violation, 0, len(vs))
	for _, v := range vs {
		v.Field = prefix + v.Field
		out = append(out, apierr.Violation(v))
	}
	return out
}

// missing is the error for references to nothing (C2.173 b).
func missing(vs []apierr.Violation) error {
	e := apierr.BadFields(vs)
	e.Kind = apierr.Precondition
	return e
}

func (c *Collection[M]) noSuch(id string) *apierr.Error {
	name := c.kind.Collection.Name(id)
	return apierr.New(apierr.NotFound, c.kind.Missing, "%s does not exist", name).With("resource", name)
}

// taken is the error for a unique value that another resource has. field is the path
// from the resource, empty for the id.
func (c *Collection[M]) taken(field, value string) *apierr.Error {
	at, what := c.kind.Field+"."+field, strings.ReplaceAll(field, "_", " ")
	if field == "" {
		at, what = c.kind.Field+"_id", "id"
	}
	return apierr.New(apierr.AlreadyExists, c.kind.Taken, "a %s with the %s %q exists already", c.kind.Noun, what, value).
		At(at).With("value", value)
}

// HeldBy is the error for what referrers forbid; they are resource names, and more may
// exist.
func HeldBy(reason, name, why string, referrers []string) *apierr.Error {
	named := strings.Join(referrers[:min(len(referrers), maxReferrers)], ", ")
	return apierr.New(apierr.Precondition, reason, "%s %s: %s", name, why, named).
		With("resource", name).With("referrers", strings.ReplaceAll(named, ", ", ","))
}

// referrers are the names of those who hold references with these keys.
func referrers(refs []string) []string {
	var out []string
	for _, ref := range refs {
		if c, id, err := keys.ParseRef(ref); err == nil {
			out = append(out, c.Name(id))
		}
	}
	return out
}

func (c *Collection[M]) tooMany(actual int64) *apierr.Error {
	return apierr.New(apierr.Exhausted, c.kind.TooMany, "there are %d resources of the kind %s; at most %d are allowed", actual, c.kind.Noun, c.kind.Most).
		With("limit", strconv.FormatInt(c.kind.Most, 10)).With("actual", strconv.FormatInt(actual, 10))
}

func (c *Collection[M]) readOnly(id, reason, verb string) *apierr.Error {
	name := c.kind.Collection.Name(id)
	return apierr.New(apierr.Precondition, reason, "%s is managed: it is part of the program and cannot be %s (C1.71)", name, verb).With("resource", name)
}

// ETag says whether a caller's etag, at field of the request, is that of v (C3.6). An
// absent one is no error unless required: the last writer wins (C6.15).
func ETag(field, etag, name string, v records.Version, required bool) error {
	if etag == "" && !required {
		return nil
	}
	if etag == "" {
		return apierr.New(apierr.Invalid, ReasonETagRequired, "%s is required: the etag that the change is based on", field).At(field)
	}
	id, ok := keys.ParseETag(etag)
	if !ok {
		return apierr.New(apierr.Invalid, ReasonInvalidIfMatch, "%s is not an etag: E and 13 characters of A-Z2-7, without quotes", field).At(field)
	}
	if id != v.WriteID {
		return Stale(field, name, v)
	}
	return nil
}

// Stale is the error for an etag, at field, that is not current any more.
func Stale(field, name string, v records.Version) *apierr.Error {
	return apierr.New(apierr.Stale, ReasonStale, "%s has been written since; its etag is %s: read it again and repeat the change", name, v.ETag()).
		At(field).With("resource", name).With("etagCurrent", v.ETag())
}

// moving is the error when what the client did not name kept changing.
func moving(name string, cause error) *apierr.Error {
	e := apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "%s, or what it refers to, is being changed at the same time; try again", name)
	e.Cause = cause
	return e
}

// tooLarge is the error for a write that depends on more than etcd takes at once.
func tooLarge(name string, ops int) error {
	return apierr.New(apierr.Invalid, rules.ReasonTooLarge, "the change of %s depends on %d keys at once, at most %d are possible", name, ops, etcd.MaxOps).
		With("resource", name).With("limit", strconv.Itoa(etcd.MaxOps)).With("actual", strconv.Itoa(ops))
}

func required(field string) error {
	return BadFields("", []rules.Violation{{Field: field, Reason: rules.ReasonInvalid, Description: "is required"}})
}

func internal(cause error) error {
	e := apierr.New(apierr.Internal, apierr.ReasonInternal, "internal error")
	e.Cause = fmt.Errorf("collection: %w", cause)
	return e
}
