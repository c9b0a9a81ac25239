// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
)

// Counts is what a Pipeline has answered since it was made.
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

// labels are what metrics tell requests apart by: outcome, class of status, protocol.
type labels struct{ outcome, class, protocol int }

// bounds are the upper ends of all durations but the longest, which have none.
var bounds = [...]time.Duration{
	time.Millisecond / 2, time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	time.Second / 2, time.Second, 5 * time.Second, 10 * time.Second, time.Minute,
}

// tally is what was counted under the same labels.
type tally struct {
	took  [len(bounds) + 1]int64 // requests by duration
	nanos int64                  // that they took together
	bytes int64
}

func (t *tally) requests() (n int64) {
	for _, k := range t.took {
		n += k
	}
	return n
}

// counters count answers. They are counters of our own because each addition to one of
// OpenTelemetry costs hundreds of nanoseconds: metrics and Counts read them.
type counters [shards]struct {
	by [outcomes][classes][len(protocols)]struct {
		took         [len(bounds) + 1]atomic.Int64
		nanos, bytes atomic.Int64
	}
	_ [64]byte // so that two shards share no cache line
}

// add counts one answer. The id of a request is random, so it chooses the shard.
func (c *counters) add(x *visit, l labels, took time.Duration) {
	shard := 0
	if len(x.id) > 0 {
		shard = int(x.id[0]) % shards
	}
	by := &c[shard].by[l.outcome][l.class][l.protocol]
	slot := 0
	for slot < len(bounds) && took > bounds[slot] {
		slot++
	}
	by.took[slot].Add(1)
	by.nanos.Add(int64(took))
	if x.sent > 0 {
		by.bytes.Add(x.sent)
	}
}

// each yields the sums of all that were counted.
func (c *counters) each(yield func(labels, *tally)) {
	for o := range c[0].by {
		for k := range c[0].by[o] {
			for v := range c[0].by[o][k] {
				var t tally
				for i := range c {
					by := &c[i].by[o][k][v]
					for slot := range by.took {
						t.took[slot] += by.took[slot].Load()
					}
					t.nanos += by.nanos.Load()
					t.bytes += by.bytes.Load()
				}
				if t.requests() > 0 {
					yield(labels{o, k, v}, &t)
				}
			}
		}
	}
}

func (c *counters) sum() (out Counts) {
	c.each(func(l labels, t *tally) {
		out.Requests[l.outcome] += t.requests()
		out.Bytes[l.outcome] += t.bytes
	})
	return out
}
