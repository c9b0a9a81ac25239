// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// TestRestart: what was stored is there after a start, and obeys what was invalidated
// while the edge was away, what the table has forgotten, and another data set (D25.14).
func TestRestart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		table func() *invalidation.Table
		found bool
	}{
		{"nothing has happened", func() *invalidation.Table { return invalidation.New(era, 0) }, true},
		{"D25.14: invalidated before", func() *invalidation.Table {
			ended := invalidation.New(era, 0)
			end(ended, 10, "/a")
			return ended
		}, false},
		{"D25.14: another path", func() *invalidation.Table {
			ended := invalidation.New(era, 0)
			end(ended, 10, "/b")
			return ended
		}, true},
		{"D25.14: below what was forgotten", func() *invalidation.Table { return invalidation.New(era, 10) }, false},
		{"another data set", func() *invalidation.Table { return invalidation.New(era+1, 0) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			first := onDisk(t, 1<<20, invalidation.New(era, 0), dir)
			want := object(string(keyOf("/a")), 100)
			want.Status = 203
			first.Put(want)
			first.Put(&Object{Key: "mark", HitForMiss: true, Stamp: began.Stamp()})
			first.stop()
			second := onDisk(t, 1<<20, tt.table(), dir)
			got, ok := get(second.Store, want.Key)
			if ok != tt.found || ok && (got.Status != 203 || got.Size != 100) {
				t.Errorf("got %+v, %v", got, ok)
			}
			if _, again := get(second.Store, want.Key); again != ok {
				t.Error("the second look sees something else")
			}
			if _, ok := get(second.Store, "mark"); ok {
				t.Error("what an edge knows for a while has outlived it")
			}
		})
	}
}

// TestLiftedStampsOutliveTheProcess: what was held against the table before that forgot is
// alive after a start with nothing but the floor.
func TestLiftedStampsOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	ended := invalidation.New(era, 0)
	first := onDisk(t, 1<<20, ended, dir)
	for _, path := range []string{"/a", "/b"} {
		first.Put(object(string(keyOf(path)), 10))
	}
	end(ended, 10, "/b")
	first.forgetMemory()
	to, err := first.Sweep(t.Context())
	if err != nil || !ended.Forget(to) || ended.Met() != 1 {
		t.Fatalf("%v, %v, %d met", to, err, ended.Met())
	}
	next := &Object{Key: keyOf("/a"), Status: 503, Stamp: invalidation.Moment{Era: era, Revision: 10}.Stamp()}
	first.Offer(next, func(*Object) bool { return true })
	if o, ok := first.Peek(keyOf("/a")); !ok || o.Status == 503 {
		t.Error("a living object on disk alone was not asked whether it stays")
	}
	first.stop()
	second := onDisk(t, 1<<20, invalidation.New(era, to.Revision), dir)
	if _, ok := get(second.Store, keyOf("/a")); !ok {
		t.Error("a living object is below the floor")
	}
	if _, ok := get(second.Store, keyOf("/b")); ok {
		t.Error("D25.14: a dead object is given out")
	}
}

// TestPromotion: what is on disk alone comes into memory, but never in the place of what
// was stored or removed meanwhile.
func TestPromotion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	s := onDisk(t, 8<<20, invalidation.New(era, 0), dir)
	var mu sync.Mutex // of who writes; newest is what there is
	newest := 0
	write := func(n int, how func(o *Object)) {
		mu.Lock()
		defer mu.Unlock()
		o := object("k", 3000)
		copy(o.Body[0], fmt.Sprintf("%08d", n))
		how(o)
		newest = n
	}
	ctx, enough := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				least := newest
				mu.Unlock()
				var v View
				if !s.Get(ctx, "k", &v) {
					continue
				}
				var n int
				_, err := fmt.Sscanf(string(v.Content().Bytes[:8]), "%d", &n)
				v.Release()
				if err != nil || n < least {
					t.Errorf("got version %d after %d: %v", n, least, err)
				}
			}
		})
	}
	for n := 1; n < 600; n++ {
		switch n % 3 {
		case 0:
			write(n, func(o *Object) { s.Put(o) })
		case 1:
			write(n, func(o *Object) { s.Delete("k"); s.Put(o) })
		default:
			write(n, func(o *Object) {
				if now, ok := s.Peek("k"); ok {
					s.Replace(now, o)
				} else {
					s.Put(o)
				}
			})
		}
		s.forgetMemory()
		if n%50 == 0 {
			mu.Lock()
			s.Delete("k")
			if _, ok := get(s.Store, "k"); ok {
				t.Error("what was removed is there")
			}
			mu.Unlock()
		}
	}
	enough()
	readers.Wait()
}

// TestHeldViews: a view is what it was, whatever becomes of its key.
func TestHeldViews(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		ended := invalidation.New(era, 0)
		s := open(1<<20, ended)
		for name, happens := range map[string]func(){
			"replaced":    func() { s.Put(object("k", 9000)) },
			"removed":     func() { s.Delete("k") },
			"evicted":     func() { s.forgetMemory() },
			"invalidated": func() { ended.Drop(era + 1); _, _ = s.Sweep(t.Context()); ended.Drop(era) },
		} {
			o := object("k", 5000)
			for i := range o.Body[0] {
				o.Body[0][i] = 'x'
			}
			s.Put(o)
			var v View
			if !s.Get(t.Context(), "k", &v) {
				t.Fatal("not there")
			}
			happens()
			for i := range 200 { // takes what became free
				s.Put(object(fmt.Sprint(i), 5000))
			}
			if !bytes.Equal(v.Content().Bytes, bytes.Repeat([]byte{'x'}, 5000)) || v.Key != "k" {
				t.Errorf("%s: the view has changed", name)
			}
			v.Release()
			v.Release()
		}
	})
}

// TestDiskOutOfService: whatever is stored afterwards is in memory, slices too.
func TestDiskOutOfService(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	ended := invalidation.New(era, 0)
	s := onDisk(t, 128<<20, ended, dir)
	s.Put(object("before", 100))
	id := s.NewSlices()
	if err := os.Rename(dir, dir+" is gone"); err != nil {
		t.Fatal(err)
	}
	for i := 0; s.log.Serving(); i++ {
		s.PutSlice(id, int64(i), began, make([]byte, SliceBytes))
		_ = s.log.Sync(t.Context()) // fails in the end
		if i == 1000 {
			t.Fatalf("the disk is in service: %+v", s.log.Stats())
		}
	}
	if _, ok := get(s.Store, "before"); !ok {
		t.Error("what is in memory is gone")
	}
	if !s.Put(object("after", 100)) {
		t.Error("not stored in memory")
	}
	s.forgetMemory()
	if _, ok := get(s.Store, "after"); ok {
		t.Error("stored on a disk that is out of service")
	}
	var slice Slice
	if !s.PutSlice(id, 5000, began, []byte("slice")) || !s.Slice(t.Context(), id, 5000, &slice) {
		t.Fatal("a slice is not stored in memory")
	}
	if got := slice.Section(1, 3).Bytes; string(got) != "lic" {
		t.Errorf("got %q", got)
	}
	slice.Release()
	if s.MaxSliced() != 16<<20 {
		t.Errorf("MaxSliced = %d", s.MaxSliced())
	}
	end(ended, 10, "/x")
	if to, err := s.Sweep(t.Context()); err != nil || to.Revision != 10 {
		t.Errorf("Sweep: %v, %v", to, err)
	}
}

// TestSlices: of every place of a body, in each tier.
func TestSlices(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		s := open(128<<20, nil)
		a, b := s.NewSlices(), s.NewSlices()
		if a == b || a == 0 || !s.KeepsSlices() {
			t.Fatalf("ids %d and %d", a, b)
		}
		long := bytes.Repeat([]byte{'a'}, SliceBytes)
		if !s.PutSlice(a, 0, began, long) || !s.PutSlice(a, 1, began, []byte("end")) {
			t.Fatal("not stored")
		}
		for _, none := range []struct {
			id     uint64
			number int64
		}{{a, 2}, {b, 0}, {a, -1}} {
			var x Slice
			if s.Slice(t.Context(), none.id, none.number, &x) {
				t.Errorf("%v: there is none", none)
			}
		}
		var x Slice
		if !s.Slice(t.Context(), a, 1, &x) || x.Size() != 3 || x.Section(1, 2).Size() != 2 {
			t.Errorf("slice of %d bytes", x.Size())
		}
		x.Release()
		x.Release()
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
		if !s.Slice(t.Context(), a, 0, &x) || x.Size() != int64(SliceBytes) {
			t.Error("swept away")
		}
		x.Release()
	})
}

// TestTooSmallForSlices: memory alone that has no room for a slice keeps none, and says so.
func TestTooSmallForSlices(t *testing.T) {
	s := start(t, 8<<20, invalidation.New(era, 0), "")
	defer s.stop()
	if s.KeepsSlices() || s.MaxSliced() != s.MaxInline() || s.PutSlice(s.NewSlices(), 0, began, make([]byte, SliceBytes)) {
		t.Errorf("keeps slices: %v, up to %d", s.KeepsSlices(), s.MaxSliced())
	}
}

// TestBusyDisk: a disk that is too slow loses slices, says so, and does not serve older
// ones in their place.
func TestBusyDisk(t *testing.T) {
	ended := invalidation.New(era, 0)
	l, err := disk.Open(disk.Config{Dir: filepath.Join(t.TempDir(), "cache"), Limit: 64 << 20, SegmentBytes: 4 << 20, BufferBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nobody runs it: it takes what its buffer holds
	s, err := Open(Config{MemoryBytes: 1 << 20, Disk: l, Ended: ended})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	id, stored := s.NewSlices(), int64(0)
	for s.PutSlice(id, stored, began, make([]byte, SliceBytes)) {
		stored++
	}
	if stored == 0 || s.Stats().Disk.Dropped["busy"]+s.Stats().Disk.Dropped["no_room"] == 0 {
		t.Errorf("%d stored, %+v", stored, s.Stats().Disk)
	}
	if s.PutSlice(id, 0, began, make([]byte, SliceBytes)) {
		t.Error("stored on a disk that is busy")
	}
	var x Slice
	if s.Slice(t.Context(), id, 0, &x) {
		x.Release()
		t.Error("an older slice is there in the place of one that was not stored")
	}
}

// TestRunWaitsForTheDisk: what a start has not read yet cannot be held against the table,
// so that forgets nothing before, and everything soon after.
func TestRunWaitsForTheDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	first := start(t, 1<<20, invalidation.New(era, 0), dir)
	first.Put(object(string(keyOf("/a")), 10))
	first.Put(object(string(keyOf("/b")), 10))
	first.stop()
	synctest.Test(t, func(t *testing.T) {
		ended := invalidation.New(era, 0)
		end(ended, 10, "/b")
		l, err := disk.Open(disk.Config{Dir: dir, Limit: 64 << 20, SegmentBytes: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{MemoryBytes: 1 << 20, Disk: l, Ended: ended})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sweep(t.Context()); !errors.Is(err, disk.ErrLoading) {
			t.Errorf("Sweep of a disk that is not read yet: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var floors []int64
		wg.Go(func() { _ = s.Run(ctx, func(floor int64) { floors = append(floors, floor) }) })
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(floors) > 0 {
			t.Errorf("forgotten up to %v", floors)
		}
		wg.Go(func() { _ = l.Run(ctx) })
		<-l.Loaded()
		time.Sleep(2 * pause)
		synctest.Wait()
		if len(floors) != 1 || floors[0] != 10 || ended.Met() != 1 {
			t.Errorf("forgotten up to %v, %d met", floors, ended.Met())
		}
		if _, ok := get(s, keyOf("/a")); !ok {
			t.Error("a living object is dead")
		}
		cancel()
		wg.Wait()
		if err := errors.Join(s.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	})
}
