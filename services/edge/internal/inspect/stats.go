// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/memory"
	"github.com/seafront-cdn/seafront/services/edge/internal/pipeline"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

func tierKind(t store.Tier) edgev1.TierStats_Kind {
	switch t {
	case store.Memory:
		return edgev1.TierStats_KIND_MEMORY
	case store.Disk:
		return edgev1.TierStats_KIND_DISK
	default:
		return edgev1.TierStats_KIND_UNSPECIFIED
	}
}

// tiers are the places of a store, the fastest first.
func tiers(s store.Stats) []*edgev1.TierStats {
	out := []*edgev1.TierStats{inMemory(s.Memory)}
	if s.Disk != nil {
		out = append(out, onDisk(s.Disk))
	}
	return out
}

func inMemory(m memory.Stats) *edgev1.TierStats {
	return &edgev1.TierStats{
		Kind: edgev1.TierStats_KIND_MEMORY, Bytes: m.Bytes, LimitBytes: m.Limit, Records: m.Records, HeldBytes: m.Held,
		Hits: m.Hits, Misses: m.Misses, InService: true,
		Evictions: []*edgev1.EvictionCount{
			{Reason: "room", Records: m.EvictedRoom},
			{Reason: "replaced", Records: m.EvictedReplaced},
			{Reason: "deleted", Records: m.EvictedDeleted},
			{Reason: "invalidated", Records: m.EvictedInvalidated},
		},
	}
}

func onDisk(d *disk.Stats) *edgev1.TierStats {
	dropped := d.Lost
	for _, n := range d.Dropped {
		dropped += n
	}
	return &edgev1.TierStats{
		Kind: edgev1.TierStats_KIND_DISK, Bytes: d.Bytes, LimitBytes: d.Limit, Records: d.Objects, HeldBytes: d.Held,
		Hits: d.Hits, Misses: d.Misses, InService: d.State == "serving", Failure: d.Failure,
		Evictions: []*edgev1.EvictionCount{
			{Reason: "room", Records: d.Evicted},
			{Reason: "deleted", Records: d.Removals},
			{Reason: "corrupt", Records: d.FailedChecks},
			{Reason: "dropped", Records: dropped},
		},
	}
}

func lookups(c pipeline.Counts) *edgev1.LookupStats {
	return &edgev1.LookupStats{
		Hits: c.Requests[pipeline.Hit], Stale: c.Requests[pipeline.Stale],
		Misses: c.Requests[pipeline.Miss], Bypasses: c.Requests[pipeline.Bypass],
		HitRatio: c.HitRatio(), ByteHitRatio: c.ByteHitRatio(),
	}
}
