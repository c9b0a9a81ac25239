// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"sync/atomic"

	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
)

// Counts is what a Pipeline has answered since it was made. It is there beside the metrics
// because those can only be read by who collects them.
type Counts struct {
	// Requests are viewer requests, and Bytes the body bytes that viewers took, by outcome.
	// Those of the zero Outcome did not come to the lookup.
	Requests, Bytes [outcomes]int64
}

// HitRatio is the share of requests that came to the lookup and were hits; 0 without any.
func (c Counts) HitRatio() float64 { return share(c.Requests) }

// ByteHitRatio is HitRatio for body bytes.
func (c Counts) ByteHitRatio() float64 { return share(c.Bytes) }

func share(by [outcomes]int64) float64 {
	all := by[Hit] + by[Stale] + by[Miss] + by[Bypass]
	if all == 0 {
		return 0
	}
	return float64(by[Hit]) / float64(all)
}

// Counts returns the present numbers. A request counts when its answer has ended.
func (p *Pipeline) Counts() Counts { return p.metrics.counts.sum() }

// Fills says what is under way from origins.
func (p *Pipeline) Fills() fill.Stats { return p.fills.Stats() }

// shards is how many goroutines count side by side without having to share memory.
const shards = 8

// counters add Counts up.
type counters [shards]struct {
	by [outcomes]struct{ requests, bytes atomic.Int64 }
	_  [48]byte // so that two shards share no cache line
}

// add counts one answer. The id of a request is random, so it chooses the shard.
func (c *counters) add(x *visit) {
	shard := 0
	if len(x.id) > 0 {
		shard = int(x.id[0]) % shards
	}
	by := &c[shard].by[x.outcome]
	by.requests.Add(1)
	by.bytes.Add(x.sent)
}

func (c *counters) sum() (out Counts) {
	for i := range c {
		for o := range c[i].by {
			out.Requests[o] += c[i].by[o].requests.Load()
			out.Bytes[o] += c[i].by[o].bytes.Load()
		}
	}
	return out
}
