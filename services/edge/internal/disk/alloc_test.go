// SPDX-License-Identifier: Apache-2.0

//go:build !race

package disk

import "testing"

// What a hit costs: nothing for the collector, once what it needs is in its pools.
func TestAllocationsOfAHit(t *testing.T) {
	l := start(t, small(t.TempDir()))
	l.put("k", 1, 1000)
	l.sync()
	ctx := t.Context()
	hit := func() {
		r, ok := l.Get(ctx, "k")
		if !ok {
			t.Fatal("a miss")
		}
		if _, err := r.Body(ctx); err != nil {
			t.Error(err)
		}
		r.Release()
	}
	hit()
	if n := testing.AllocsPerRun(1000, hit); n >= 1 {
		t.Errorf("%v allocations", n)
	}
	l.close()
}
