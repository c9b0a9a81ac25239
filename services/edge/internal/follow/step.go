// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
)

// step is what has to be on disk after a batch: every version that came into
// service, beside it every newest version that did not, the edges that are
// registered, and what operators want of this one. Records that the snapshot had seen already are there already.
func step(b mirror.Batch, changes []snapshot.Change, done snapshot.Report, edge string) lastgood.Step {
	became := outcomes(done.Applied)
	out := lastgood.Step{Point: mirror.Point{Revision: b.Revision, Epoch: b.Epoch}, Reset: b.Reset}
	for _, c := range changes {
		kind, id := keys.Parse(c.Key)
		var a snapshot.Applied
		known := true
		switch kind {
		case keys.KindDistribution, keys.KindCachePolicy, keys.KindOriginRequestPolicy, keys.KindCertificate, keys.KindOrigin:
			a, known = became(c.Key)
		case keys.KindEpoch, keys.KindEdge:
		case keys.KindEdgeIntent:
			known = id == edge
		default:
			continue
		}
		switch {
		case !known:
		case a.Rejected != nil:
			out.Rejected = append(out.Rejected, c)
		default:
			out.Served = append(out.Served, c)
		}
	}
	return out
}

// outcomes finds what became of a key. A change is usually one record: no map
// for that.
func outcomes(applied []snapshot.Applied) func(key string) (snapshot.Applied, bool) {
	if len(applied) == 1 {
		return func(key string) (snapshot.Applied, bool) { return applied[0], applied[0].Key == key }
	}
	became := make(map[string]snapshot.Applied, len(applied))
	for _, a := range applied {
		became[a.Key] = a
	}
	return func(key string) (snapshot.Applied, bool) {
		a, ok := became[key]
		return a, ok
	}
}
