// SPDX-License-Identifier: Apache-2.0

package hitratio

import (
	"math"

	"github.com/maypok86/otter/v2"
)

// Otter is the library otter: W-TinyLFU with a window that adapts.
func Otter() Rule {
	return Rule{"otter v2", func(_ *Trace, capacity int64) Cache {
		return &otterCache{capacity: capacity, cache: otter.Must(&otter.Options[int32, int64]{
			MaximumWeight: uint64(capacity),
			Weigher:       func(_ int32, size int64) uint32 { return uint32(min(size, math.MaxUint32)) },
			Executor:      func(task func()) { task() },
			Logger:        &otter.NoopLogger{},
		})}
	}}
}

type otterCache struct {
	cache    *otter.Cache[int32, int64]
	capacity int64
}

func (c *otterCache) Request(key int32, size int64) bool {
	if _, ok := c.cache.GetIfPresent(key); ok {
		return true
	}
	if size <= c.capacity {
		c.cache.Set(key, size)
	}
	return false
}
