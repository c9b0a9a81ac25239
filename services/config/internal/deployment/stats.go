// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"math"
	"time"

	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
)

// Stats are figures for metrics.
type Stats struct {
	Distributions int
	// Edges counts registered edges by state.
	Edges map[commonv1.EdgeState]int
	// Lag is how long the oldest change that some live edge does not serve has been
	// known; 0 when all serve everything. It is exact to a second.
	Lag time.Duration
	// Revision is how far the index has come.
	Revision int64
}

// Stats returns the figures as they are now.
func (x *Index) Stats(now time.Time) Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := Stats{Distributions: len(x.distributions), Edges: map[commonv1.EdgeState]int{}, Revision: x.revision}
	slowest := int64(math.MaxInt64)
	for _, e := range x.edges {
		if e.identity == nil {
			continue
		}
		out.Edges[e.state]++
		if e.live() {
			slowest = min(slowest, e.applied(x.epoch))
		}
	}
	out.Lag = x.changes.waiting(slowest, now)
	return out
}
