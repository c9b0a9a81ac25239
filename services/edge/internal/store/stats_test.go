// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"

	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// TestOnlyLookupsCount: the hit ratios are those of viewers. Who writes, recalls or looks at
// what is there for an operator is nobody who asked for it.
func TestOnlyLookupsCount(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		s := open(16<<20, nil)
		o, id := object("k", 100), s.NewSlices()
		var v View
		quiet := func() {
			s.Put(o)
			s.Offer(o, func(*Object) bool { return false })
			s.Peek("k")
			s.Peek("none")
			s.Recall("none", &v)
			s.RecallSlice(t.Context(), id, 7)
			_, _, _ = s.Find(t.Context(), "k")
			_, _, _ = s.Find(t.Context(), "none")
			if !s.Recall("k", &v) || string(v.Key) != "k" {
				t.Error("not recalled")
			}
			v.Release()
		}
		type counts struct{ hits, misses, diskHits, diskMisses int64 }
		counted := func() (c counts) {
			st := s.Stats()
			c.hits, c.misses = st.Memory.Hits, st.Memory.Misses
			if st.Disk != nil {
				c.diskHits, c.diskMisses = st.Disk.Hits, st.Disk.Misses
			}
			return c
		}
		quiet()
		s.forgetMemory()
		if s.log != nil {
			quiet()
			s.forgetMemory()
		}
		if got := counted(); got != (counts{}) {
			t.Errorf("counted without a lookup: %+v", got)
		}
		_, found := get(s.Store, "k")
		_, _ = get(s.Store, "none")
		_, _ = get(s.Store, "k")
		want := counts{hits: 0, misses: 3}
		if s.log != nil {
			want = counts{hits: 1, misses: 2, diskHits: 1, diskMisses: 1}
		}
		if got := counted(); got != want || found != (s.log != nil) {
			t.Errorf("three lookups: %+v, want %+v", got, want)
		}
	})
}
