// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

func TestPutGetDelete(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		s := open(1<<20, nil).Store
		o := object("a", 100)
		if !s.Put(o) {
			t.Fatal("not stored")
		}
		if got, ok := get(s, "a"); !ok || !is(got, o) {
			t.Errorf("Get = %v, %v", got, ok)
		}
		if st := s.Stats(); st.Memory.Records != 1 || st.Memory.Hits != 1 || st.Memory.Limit != 1<<20 {
			t.Errorf("Stats = %+v", st)
		}
		s.Delete("a")
		if _, ok := get(s, "a"); ok {
			t.Error("deleted and still there")
		}
	})
}

func TestTooLarge(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		s := open(1<<20, nil).Store
		s.Put(object("a", 1))
		if s.Put(object("a", 2<<20)) {
			t.Error("took more than a record holds")
		}
		if _, ok := get(s, "a"); ok {
			t.Error("the object before is still there")
		}
	})
}

func TestReplace(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		s := open(1<<20, nil).Store
		first, second, third := object("a", 1), object("a", 2), object("a", 3)
		s.Put(first)
		s.Replace(first, second)
		s.Replace(first, third) // comes too late
		if got, _ := get(s, "a"); !is(got, second) {
			t.Errorf("got %p, want %p", got, second)
		}
		s.Replace(first, nil)
		if _, ok := get(s, "a"); !ok {
			t.Error("removed by who knew only an older object")
		}
		s.Replace(second, nil)
		if _, ok := get(s, "a"); ok {
			t.Error("still there")
		}
		s.Replace(second, third)
		if _, ok := get(s, "a"); ok {
			t.Error("came back")
		}
	})
}

func TestLimit(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		const limit = 1 << 20
		s := open(limit, nil).Store
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 500 {
					s.Put(object(fmt.Sprint(w, "/", i), 10_000))
					get(s, cachekey.Key(fmt.Sprint(w, "/", i/2)))
				}
			})
		}
		wg.Wait()
		get(s, "none")
		if st := s.Stats(); st.Memory.Bytes > limit || st.Memory.Records == 0 || st.Memory.EvictedRoom == 0 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

func TestOffer(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		s := open(1<<16, nil).Store
		var asked *Object
		stays := func(answer bool) func(*Object) bool {
			return func(now *Object) bool {
				seen := *now // it is valid until then
				asked = &seen
				return answer
			}
		}
		first, second := &Object{Key: "k", Stamp: began.Stamp()}, &Object{Key: "k", Stamp: began.Stamp()}
		s.Offer(first, stays(true))
		if got, _ := get(s, "k"); !is(got, first) || asked != nil {
			t.Error("a free place is not taken")
		}
		s.Offer(second, stays(true))
		if got, _ := get(s, "k"); !is(got, first) || !is(asked, first) {
			t.Error("what stays is gone")
		}
		s.Offer(second, stays(false))
		if got, _ := get(s, "k"); !is(got, second) {
			t.Error("what need not stay is still there")
		}
		s.Offer(object("k", 2<<20), stays(false))
		if _, ok := get(s, "k"); ok {
			t.Error("an object that is too large leaves the one that it replaces")
		}
		s.Offer(object("other", 2<<20), stays(false))
		if s.Stats().Memory.Records != 0 {
			t.Error("an object that is too large is kept")
		}
	})
}

func TestDeadObjects(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		ended := invalidation.New(era, 0)
		s := open(1<<20, ended).Store
		end := func(id string, revision int64, path string) {
			ended.Apply([]invalidation.Order{{Distribution: "D", ID: id, Revision: revision, Paths: []string{path}}})
		}
		stored := func(path string, revision int64) *Object {
			return &Object{Key: keyOf(path), Stamp: invalidation.Moment{Era: era, Revision: revision}.Stamp()}
		}
		a, b := stored("/a", 1), stored("/b", 1)
		s.Put(a)
		s.Put(b)
		end("I", 10, "/a")
		if o, ok := s.Peek(a.Key); !ok || !is(o, a) || s.Alive(a) || !s.Alive(b) {
			t.Error("before anybody has met the dead object")
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, ok := get(s, a.Key); ok {
					t.Error("D25.14: a dead object is given out")
				}
			})
		}
		wg.Wait()
		if c := ended.Counts(); len(c) != 1 || c[0] != (invalidation.Ended{Distribution: "D", ID: "I", Objects: 1}) {
			t.Errorf("counts %v of one object that eight have met", c)
		}
		if s.Put(stored("/a", 9)) {
			t.Error("D25.15: taken in by Put")
		}
		s.Offer(stored("/a", 9), func(*Object) bool { return false })
		if _, ok := s.Peek(a.Key); ok {
			t.Error("D25.15: taken in by Offer")
		}
		live := stored("/a", 10)
		s.Put(live)
		s.Offer(stored("/a", 9), func(*Object) bool { return false })
		if o, _ := get(s, a.Key); !is(o, live) {
			t.Error("a dead object has taken the place of a live one")
		}
		s.Replace(live, stored("/a", 9))
		if _, ok := s.Peek(a.Key); ok {
			t.Error("D25.15: taken in by Replace")
		}
		s.Put(b)
		end("J", 20, "/b")
		next := stored("/b", 20)
		s.Offer(next, func(*Object) bool { t.Error("a dead object is asked whether it stays"); return true })
		if o, _ := get(s, b.Key); !is(o, next) {
			t.Error("a dead object keeps its place")
		}
	})
}

func TestSweep(t *testing.T) {
	inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
		ended := invalidation.New(era, 0)
		s := open(1<<20, ended).Store
		for i := range 100 {
			s.Put(&Object{Key: keyOf(fmt.Sprint("/", i%10, "/", i)), Stamp: began.Stamp()})
		}
		ended.Apply([]invalidation.Order{{Distribution: "D", ID: "I", Revision: 10, Paths: []string{"/3/*"}}})
		if to, err := s.Sweep(t.Context()); err != nil || to != (invalidation.Moment{Era: era, Revision: 10}) {
			t.Errorf("swept up to %+v", to)
		}
		if n := s.Stats().Memory.Records; n != 90 || ended.Met() != 10 {
			t.Errorf("%d objects are left, %d were met", n, ended.Met())
		}
		ended.Forget(invalidation.Moment{Era: era, Revision: 10})
		if _, ok := get(s, keyOf("/4/14")); !ok {
			t.Error("an object that was held against the table is below the floor")
		}
	})
}

func TestRunForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := invalidation.New(era, 0)
		s := start(t, 1<<20, ended, "")
		defer s.stop()
		ctx, cancel := context.WithCancel(t.Context())
		var floors []int64
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx, func(floor int64) { floors = append(floors, floor) }) })
		synctest.Wait()
		var paths []string
		for i := range 10_000 {
			paths = append(paths, fmt.Sprint("/", i))
		}
		for n := range int64(3) {
			ended.Apply([]invalidation.Order{{Distribution: "D", ID: "I", Revision: n + 1, Paths: paths}})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		wg.Wait()
		if !slices.Equal(floors, []int64{3}) {
			t.Errorf("forgotten up to %v", floors)
		}
	})
}
