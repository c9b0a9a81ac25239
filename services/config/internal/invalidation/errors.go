// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"strconv"
	"time"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/services/config/internal/completion"
)

// Reasons of this service's errors beside those of package rules.
const (
	reasonNoSuchDistribution = "NO_SUCH_DISTRIBUTION"              // C2.188
	reasonNoSuchInvalidation = "NO_SUCH_INVALIDATION"              // C2.189
	reasonBatchExists        = "INVALIDATION_BATCH_ALREADY_EXISTS" // C2.325
)

// retryAfter is when a quota may have room again: edges acknowledge within
// milliseconds, unless they are cut off.
const retryAfter = time.Second

func noSuchDistribution(id string) error {
	name := keys.Distributions.Name(id)
	return apierr.New(apierr.NotFound, reasonNoSuchDistribution, "%s does not exist", name).With("resource", name)
}

func noSuchInvalidation(id completion.ID) error {
	name := keys.InvalidationName(id.Distribution, id.Invalidation)
	return apierr.New(apierr.NotFound, reasonNoSuchInvalidation, "%s does not exist, or has expired", name).With("resource", name)
}

// otherContent is the error for a caller reference that has made another invalidation.
func otherContent(reference, name string) error {
	return apierr.New(apierr.AlreadyExists, reasonBatchExists, "the caller reference %q has made %s, with other paths or tags; a new invalidation needs a new one", reference, name).
		At("invalidation.caller_reference").With("callerReference", reference).With("resource", name)
}

// tooMany is the error for what does not fit beside what is in progress (C2.322).
func tooMany(distribution, what string, asked, inProgress, limit int) error {
	return apierr.New(apierr.Exhausted, rules.ReasonTooManyInvalidations,
		"%d %s do not fit beside the %d in progress for %s; at most %d are possible. They become free as edges acknowledge",
		asked, what, inProgress, keys.Distributions.Name(distribution), limit).
		With("resource", keys.Distributions.Name(distribution)).With("limit", strconv.Itoa(limit)).
		With("actual", strconv.Itoa(inProgress)).With("asked", strconv.Itoa(asked)).Later(retryAfter)
}

// behind is the error of a server that cannot answer now.
func behind(format string, args ...any) *apierr.Error {
	return apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, format, args...)
}

func internal(cause error) error {
	e := apierr.New(apierr.Internal, apierr.ReasonInternal, "internal error")
	e.Cause = cause
	return e
}

func violations(vs []rules.Violation) []apierr.Violation {
	var out []apierr.Violation
	for _, v := range vs {
		out = append(out, apierr.Violation(v))
	}
	return out
}
