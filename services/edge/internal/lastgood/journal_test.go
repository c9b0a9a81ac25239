// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	first := loadAll(t, dir)
	if first.Era == 0 || !first.Contact.IsZero() || first.Point.Revision != 0 {
		t.Fatalf("a new file holds %+v", first)
	}
	if again := loadAll(t, dir); again.Era != first.Era {
		t.Error("another era after a restart")
	}
	a, b, c := put("r/invalidations/D/1", 5, "/a"), put("r/invalidations/D/2", 6, "/b"), put("r/invalidations/D/0", 300, "/c")
	keep(t, dir,
		Step{Point: at(5), Invalidations: []snapshot.Change{a}},
		Step{Point: at(6), Invalidations: []snapshot.Change{b, a}, Served: []snapshot.Change{put("x", 6, "X")}},
		Step{Point: at(300), Invalidations: []snapshot.Change{c}})
	got := loadAll(t, dir)
	if since := time.Since(got.Contact); since < 0 || since > time.Minute {
		t.Errorf("C8.86: contact is %v ago", since)
	}
	want := Content{Point: at(300), Served: []snapshot.Change{put("x", 6, "X")}, Era: first.Era, Invalidations: []snapshot.Change{a, b, c}, Contact: got.Contact}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	s, _ := mustOpen(t, dir)
	s.Forget(6)
	if err := errors.Join(s.flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	want.Floor, want.Invalidations = 6, []snapshot.Change{c}
	if d := cmp.Diff(want, loadAll(t, dir)); d != "" {
		t.Errorf("forgotten up to 6: %s", d)
	}

	s, _ = mustOpen(t, dir)
	s.Forget(1000)
	if err := errors.Join(s.flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if c := loadAll(t, dir); c.Floor != 300 {
		t.Errorf("floor %d above the configuration, which is of 300", c.Floor)
	}

	keep(t, dir, Step{Point: at(301), Era: 77, Invalidations: []snapshot.Change{put("j", 301, "/")}})
	got = loadAll(t, dir)
	if got.Era != 77 || got.Floor != 0 || len(got.Invalidations) != 1 || len(got.Served) != 1 {
		t.Errorf("C8.86: after a drop: %+v", got)
	}
}

// TestDiskThatTakesNothing: what waits for the disk is bounded, and what is given up
// makes another cache of it.
func TestDiskThatTakesNothing(t *testing.T) {
	large := put("j", 1, strings.Repeat("x", 1<<20))
	step := func(revision int64) Step {
		large.ModRevision = revision
		return Step{Point: at(revision), Invalidations: []snapshot.Change{large}}
	}
	for what, fill := range map[string]func(*pending){
		"a step at a time": func(p *pending) {
			for i := range int64(100) {
				p.add(step(i + 1))
			}
		},
		"after failed writes": func(p *pending) {
			for i := range int64(100) {
				var newer pending
				newer.add(step(i + 1))
				p.merge(newer)
			}
		},
	} {
		dir := t.TempDir()
		before := loadAll(t, dir)
		s, _ := mustOpen(t, dir)
		synced := false
		s.pending.add(Step{Point: at(1), Synced: func() { synced = true }})
		fill(&s.pending)
		if s.pending.journal.bytes > mostBytes || len(s.pending.journal.orders) > mostBytes>>20 {
			t.Errorf("%s: %d bytes in %d invalidations wait", what, s.pending.journal.bytes, len(s.pending.journal.orders))
		}
		s.plan(0)
		if err := errors.Join(s.flush(), s.Close()); err != nil || !synced {
			t.Fatal(err, synced)
		}
		if after := loadAll(t, dir); after.Era == before.Era || after.Point.Revision != 100 {
			t.Errorf("%s: era %d as before, at revision %d", what, after.Era, after.Point.Revision)
		}
	}
}

func TestLostJournal(t *testing.T) {
	for _, tt := range []struct {
		what   string
		damage func(tx *bbolt.Tx) error
	}{
		{"a release that knows none wrote the state", func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bucketState)).Put([]byte(keyState), state{point: at(9), account: account{1, sumOf(encode(bucketServed, put("x", 2, "X")))}}.encode())
		}},
		{"no journal", func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucketState)).Delete([]byte(keyJournal)) }},
		{"a damaged journal", func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bucketState)).Put([]byte(keyJournal), []byte("? and more than eight"))
		}},
		{"no bucket", func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(bucketJournal)) }},
		{"an invalidation is missing", func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bucketJournal)).Delete(journalKey(put("i", 2, "/a")))
		}},
		{"an invalidation is damaged", func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bucketJournal)).Put(journalKey(put("i", 2, "/a")), []byte("something else"))
		}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			dir := t.TempDir()
			keep(t, dir, Step{Point: at(2), Served: []snapshot.Change{put("x", 2, "X")}, Invalidations: []snapshot.Change{put("i", 2, "/a")}})
			before := loadAll(t, dir)
			db, err := openDB(filepath.Join(dir, fileName))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(tt.damage), db.Close()); err != nil {
				t.Fatal(err)
			}
			after := loadAll(t, dir)
			if after.Era == before.Era || after.Era == 0 || len(after.Invalidations) > 0 {
				t.Errorf("the cache is not another one: %+v", after)
			}
			if len(after.Served) != 1 || after.Point.Revision < 2 {
				t.Errorf("the configuration is lost with it: %+v", after)
			}
			if again := loadAll(t, dir); again.Era != after.Era {
				t.Error("the new era is not on disk")
			}
		})
	}
}

func TestSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, _ := mustOpen(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		began := time.Now()
		var order []int
		s.Keep(Step{Point: at(1), Served: []snapshot.Change{put("a", 1, "A")}})
		s.Keep(Step{Point: at(2), Invalidations: []snapshot.Change{put("i", 2, "/a")}, Synced: func() { order = append(order, 2) }})
		s.Keep(Step{Point: at(3), Reset: true, Era: 9, Synced: func() { order = append(order, 3) }})
		synctest.Wait()
		if d := cmp.Diff([]int{2, 3}, order); d != "" || !time.Now().Equal(began) {
			t.Errorf("design 3.3: told %v after %v", order, time.Since(began))
		}
		s.Keep(Step{Point: at(4), Synced: func() { order = append(order, 4) }})
		synctest.Wait()
		if len(order) != 3 {
			t.Errorf("told %v", order)
		}
		cancel()
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What could not be written is not told, and told when it is written.
func TestNotSynced(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	told := 0
	s.Keep(Step{Point: at(2), Invalidations: []snapshot.Change{put("i", 2, "/a")}, Synced: func() { told++ }})
	if s.flush() == nil || told > 0 {
		t.Fatal("told of what is not on disk")
	}
	s.Keep(Step{Point: at(3), Invalidations: []snapshot.Change{put("j", 3, "/b")}, Synced: func() { told++ }})
	var err error
	if s.db, err = openDB(s.path); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.flush(), s.Close()); err != nil || told != 2 {
		t.Errorf("told %d times: %v", told, err)
	}
	if c := loadAll(t, dir); len(c.Invalidations) != 2 {
		t.Errorf("%d are on disk", len(c.Invalidations))
	}
}
