// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"path/filepath"

	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// openCache opens both tiers of the cache. What is on disk is held against ended.
func (e *Edge) openCache(ended *invalidation.Table) (err error) {
	cfg, t := e.cfg, e.cfg.Telemetry
	if cfg.DiskCacheBytes > 0 {
		e.disk, err = disk.Open(disk.Config{
			Dir: filepath.Join(cfg.DataDir, "cache"), Limit: cfg.DiskCacheBytes, Log: t.Log,
			Alive: func(r disk.Record) (disk.Stamp, bool) { return store.Keep(ended, r) },
		})
		if err != nil {
			return fmt.Errorf("open the cache on disk: %w", err)
		}
		e.closers = append(e.closers, e.disk.Close)
		end, err := e.disk.Measure(t.Meter)
		if err != nil {
			return err
		}
		e.closers = append(e.closers, end)
	}
	e.objects, err = store.Open(store.Config{MemoryBytes: cfg.CacheBytes, Disk: e.disk, Ended: ended})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, e.objects.Close)
	return nil
}
