// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
)

// Reasons of this service's errors beside those of package rules.
const (
	reasonNoSuchDistribution = "NO_SUCH_DISTRIBUTION" // C2.188
	reasonNoSuchCachePolicy  = "NO_SUCH_CACHE_POLICY" // C2.192

	reasonNoSuchRequestPolicy = "NO_SUCH_ORIGIN_REQUEST_POLICY" // C2.193
	reasonEntityNotFound      = "ENTITY_NOT_FOUND"              // C2.204
	reasonDistributionExists  = "DISTRIBUTION_ALREADY_EXISTS"   // C2.207
	reasonAliasExists         = "CNAME_ALREADY_EXISTS"          // C2.208
	reasonNotDisabled         = "DISTRIBUTION_NOT_DISABLED"     // C2.223
	reasonInUse               = "RESOURCE_IN_USE"               // C1.52
	reasonTooMany             = "TOO_MANY_DISTRIBUTIONS"        // C2.298
)

// fieldPrefix leads from a request to the fields of its distribution.
const fieldPrefix = "distribution."

// orNil keeps a nil *Error from becoming an error that is not nil.
func orNil(e *apierr.Error) error {
	if e == nil {
		return nil
	}
	return e
}

func prefixed(prefix string, vs []rules.Violation) []apierr.Violation {
	var out []apierr.Violation
	for _, v := range vs {
		v.Field = prefix + v.Field
		out = append(out, apierr.Violation(v))
	}
	return out
}

// failed is one error of another kind than bad fields for all violations; its reason
// is that of the first.
func failed(kind apierr.Kind, vs []apierr.Violation) *apierr.Error {
	e := apierr.BadFields(vs)
	e.Kind = kind
	return e
}

// parseName reads the name of a distribution; bad is what else is wrong with the
// request by itself.
func parseName(field, name string, bad ...rules.Violation) (string, error) {
	id, vs := rules.ParseName(field, keys.Distributions, name)
	return id, collection.BadFields("", append(vs, bad...))
}

// checkRequestID checks the form of an idempotency key.
func checkRequestID(req collection.Mutation) []rules.Violation {
	var out []rules.Violation
	for _, v := range records.CheckRequestID(req.GetRequestId()) {
		out = append(out, rules.Violation(v))
	}
	return out
}

func noSuchDistribution(id string) error {
	name := keys.Distributions.Name(id)
	return apierr.New(apierr.NotFound, reasonNoSuchDistribution, "%s does not exist", name).With("resource", name)
}

// checkETag compares the etag of a request with that of the record (C3.6, design §5).
func checkETag(field, etag string, st *stored) error {
	return collection.ETag(field, etag, keys.Distributions.Name(st.id), st.version, true)
}

// checkOptionalETag is checkETag where an absent etag stands for whatever is current,
// also for nothing.
func checkOptionalETag(field, etag string, st *stored) error {
	if etag == "" {
		return nil
	}
	return checkETag(field, etag, st)
}

func notDisabled(st *stored, format string, args ...any) error {
	return apierr.New(apierr.Precondition, reasonNotDisabled, format, args...).With("resource", keys.Distributions.Name(st.id))
}

func tooMany(what string, limit, actual int64) error {
	return apierr.New(apierr.Exhausted, reasonTooMany, "there are %d %s; at most %d are allowed", actual, what, limit).
		With("limit", strconv.FormatInt(limit, 10)).With("actual", strconv.FormatInt(actual, 10))
}

// behind is the error of a server that has not kept up with the store.
func behind(format string, args ...any) *apierr.Error {
	return apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, format, args...)
}

func internal(cause error) error {
	e := apierr.New(apierr.Internal, apierr.ReasonInternal, "internal error")
	e.Cause = cause
	return e
}

// unreadable is the error for a record of which the envelope can be read and the
// resource cannot.
func unreadable(key string, err error) error {
	return internal(fmt.Errorf("record %s: %w", key, err))
}

// registryFault maps an error of the origin registry: what it asks for is ours and
// not the caller's, so it either does not answer now or something is broken.
func registryFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch s := status.Convert(err); {
	case s.Code() == codes.Unavailable && apierr.Reason(s) != "":
		return err // in its own words
	case s.Code() == codes.Unavailable, s.Code() == codes.DeadlineExceeded:
		e := apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "the origin registry does not answer; try again")
		e.Cause = err
		return e
	}
	return internal(fmt.Errorf("resolve origins: %w", err))
}
