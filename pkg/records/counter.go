// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// How long a count is believed, and below which number and from which part of the limit on
// it is not: there every creation counts anew.
const (
	countFor  = 10 * time.Second
	countFew  = 1000
	countNear = 0.9
)

// Counter counts the keys with a prefix for a quota. etcd looks at every key to count
// them, which with a hundred thousand takes longer than the rest of a creation, so a
// count of many is believed for a while as long as the limit is far (C8.63: quotas are
// soft). It is safe for concurrent use.
type Counter struct {
	kv     clientv3.KV
	prefix string

	mu       sync.Mutex // guards the rest
	count    int64
	added    int64 // asked for since
	at       time.Time
	counting bool // somebody is at it; others need not wait
}

// NewCounter makes a counter of the keys with a prefix.
func NewCounter(kv clientv3.KV, prefix string) *Counter { return &Counter{kv: kv, prefix: prefix} }

// Before returns how many keys there are before one more is created; most is how many
// there may be.
func (c *Counter) Before(ctx context.Context, most int64) (int64, error) {
	c.mu.Lock()
	n, known := c.count+c.added, !c.at.IsZero()
	exact := n < countFew || float64(n) >= countNear*float64(most)
	if known && !exact && (c.counting || time.Since(c.at) < countFor) {
		c.added++
		c.mu.Unlock()
		return n, nil
	}
	c.counting = true
	c.mu.Unlock()
	n, err := Count(ctx, c.kv, c.prefix)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counting = false
	if err != nil {
		return 0, err
	}
	c.count, c.added, c.at = n, 1, time.Now()
	return n, nil
}
