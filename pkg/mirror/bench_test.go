// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"iter"
	"maps"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

// BenchmarkList lists 10,000 records of 3 KiB: all of them, and the differences when
// one has changed.
func BenchmarkList(b *testing.B) {
	client := etcdtest.Client(b)
	const keys = 10_000
	fill(b, client, keys, strings.Repeat("x", 3<<10))
	c := &copier{client: client, config: Config{From: "r/", To: "r0"}, limits: usual()}
	held := map[string]struct{}{}
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			batch, err := c.list(b.Context())
			if err != nil || len(batch.Events) != keys {
				b.Fatal(len(batch.Events), err)
			}
			for _, e := range batch.Events {
				held[e.Key] = struct{}{}
			}
			c.at = Point{}
		}
	})
	b.Run("differences", func(b *testing.B) {
		for key := range held {
			c.at = Point{Revision: write(b, client, key, "y") - 1}
			break
		}
		c.config.Keys = func() iter.Seq[string] { return maps.Keys(held) }
		for b.Loop() {
			batch, err := c.list(b.Context())
			if err != nil || len(batch.Events) != 1 {
				b.Fatal(len(batch.Events), err)
			}
		}
	})
}
