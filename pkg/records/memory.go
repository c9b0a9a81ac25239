// SPDX-License-Identifier: Apache-2.0

package records

import (
	"errors"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// After is the key behind which the page begins, for a listing that its owner makes
// from memory instead of by List; empty for the first page. It says what is wrong with
// the token.
func (r ListRequest) After() (key string, bad []apierr.Violation) {
	at, err := parseToken(r)
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return "", e.Violations
	}
	return at.GetAfter(), nil
}

// Next is the token of the page that begins behind a key. revision is that of the
// store at the time of the listing.
func (r ListRequest) Next(after string, revision int64) string {
	return formatToken(&storev1.PageToken{Method: r.Method, Filter: r.Filter, After: after, Revision: revision})
}
