// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// checkFields fills defaults and returns everything that is wrong with d by itself,
// all at once (C2.1 steps 7 to 9 and 11, C2.2).
func (c call) checkFields(d *configv1.Distribution, limits rules.Limits) error {
	rules.DefaultDistribution(d)
	found := prefixed(c.prefix, rules.CheckDistribution(d, limits))
	return orNil(apierr.BadFields(append(found, prefixed("", c.bad)...)))
}

// compile is the last check: by the function that edges serve from. What it refuses
// would be accepted here and rejected by every edge.
func compile(prefix, id string, d *configv1.Distribution) error {
	_, err := snapshot.CompileDistribution(id, 0, proto.CloneOf(d))
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*snapshot.Error](err); ok {
		return collection.BadFields(prefix, []rules.Violation{{Field: "config", Reason: rules.ReasonInvalid, Description: "cannot be served: " + e.Message}})
	}
	return internal(err)
}

// checkQuota is C2.1 step 12, without a lock (C8.63).
func (s *Server) checkQuota(ctx context.Context, staging bool) error {
	n, err := s.count.Before(ctx, s.most)
	if err != nil {
		return err
	}
	if n >= s.most {
		return tooMany("distributions", s.most, n)
	}
	if !staging || int64(s.index.Staging()) < s.mostStaging {
		return nil
	}
	// The index may not have heard of a deletion yet.
	_, revision, err := records.Names(ctx, s.kv, keys.Distributions.Prefix(), 1)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, indexPatience)
	defer cancel()
	s.index.Reach(waiting, revision)
	if n := int64(s.index.Staging()); n >= s.mostStaging { // C4.5
		return tooMany("staging distributions", s.mostStaging, n)
	}
	return nil
}
