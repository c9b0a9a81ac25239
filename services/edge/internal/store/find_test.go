// SPDX-License-Identifier: Apache-2.0

package store

import (
	"log/slog"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// TestFind looks at an object in either tier, and brings it into none.
func TestFind(t *testing.T) {
	ended := invalidation.New(era, 0)
	log, err := disk.Open(disk.Config{
		Dir: t.TempDir(), Limit: 256 << 20, Log: slog.New(slog.DiscardHandler),
		Alive: func(r disk.Record) (disk.Stamp, bool) { return Keep(ended, r) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s, err := Open(Config{MemoryBytes: 64 << 20, Disk: log, Ended: ended})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	o := object("k", 100)
	o.Header, o.Tags = header.Fields{{Name: "X", Value: "1"}}, []string{"a"}
	o.Prepare(func(header.Fields) header.Fields { return nil })
	if !s.Put(o) {
		t.Fatal("not stored")
	}
	find := func(want Tier) {
		t.Helper()
		got, in, ok := s.Find(t.Context(), "k")
		if !ok || in != want || !is(got, o) || got.Size != 100 || len(got.Body) != 0 || got.Header.Get("X") != "1" || len(got.Tags) != 1 {
			t.Errorf("Find = %+v in %v, %v; want it in %v", got, in, ok, want)
		}
	}
	find(Memory)
	if !s.memory.Delete([]byte("k")) {
		t.Fatal("not in memory")
	}
	find(Disk)
	find(Disk)
	if s.Stats().Memory.Records != 0 {
		t.Error("looking brought it into memory")
	}
	if _, _, ok := s.Find(t.Context(), "other"); ok {
		t.Error("found what is not there")
	}

	id := s.NewSlices()
	for _, n := range []int64{0, 1, 3} {
		if !s.PutSlice(id, n, began, make([]byte, 10)) {
			t.Fatal("slice not stored")
		}
	}
	sliced := &Object{Slices: id, Size: 4 * int64(SliceBytes)}
	if stored, all := s.CountSlices(t.Context(), sliced); stored != 3 || all != 4 {
		t.Errorf("%d of %d slices, want 3 of 4", stored, all)
	}
	if stored, all := s.CountSlices(t.Context(), o); stored != 0 || all != 0 {
		t.Errorf("%d of %d slices of an object in one piece", stored, all)
	}
}
