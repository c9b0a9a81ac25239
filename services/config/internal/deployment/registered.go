// SPDX-License-Identifier: Apache-2.0

package deployment

import commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"

// Registered is one registered edge as the index sees it.
type Registered struct {
	ID, Pop string
	State   commonv1.EdgeState
}

// Live says whether the edge counts: for deployments, and for the completion of
// invalidations.
func (r Registered) Live() bool { return r.State == commonv1.EdgeState_EDGE_STATE_SERVING }

// Registered returns every registered edge, by id.
func (x *Index) Registered() []Registered {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []Registered
	for _, e := range x.edges {
		if e.identity != nil {
			out = append(out, Registered{e.id, e.identity.GetPop(), e.state})
		}
	}
	return out
}
