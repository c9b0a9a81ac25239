// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func object(key string, size int) *Object {
	return &Object{Key: cachekey.Key(key), Body: [][]byte{make([]byte, size)}, Size: int64(size)}
}

func TestPutGetDelete(t *testing.T) {
	s := Open(1 << 20)
	o := object("a", 100)
	if !s.Put(o) {
		t.Fatal("not stored")
	}
	if got, ok := s.Get("a"); !ok || got != o {
		t.Errorf("Get = %v, %v", got, ok)
	}
	if st := s.Stats(); st.Objects != 1 || st.Bytes != o.Cost() || st.Hits != 1 || st.Limit != 1<<20 {
		t.Errorf("Stats = %+v", st)
	}
	s.Delete("a")
	if _, ok := s.Get("a"); ok {
		t.Error("deleted and still there")
	}
}

func TestOneObjectTakesAnEighth(t *testing.T) {
	s := Open(1 << 20)
	s.Put(object("a", 1))
	if s.Put(object("a", 1<<17)) {
		t.Error("took more than an eighth")
	}
	if _, ok := s.Get("a"); ok {
		t.Error("the object before is still there")
	}
	if !s.Put(object("a", 1<<17-600)) {
		t.Error("refused an eighth")
	}
}

func TestReplace(t *testing.T) {
	s := Open(1 << 20)
	first, second, third := object("a", 1), object("a", 2), object("a", 3)
	s.Put(first)
	s.Replace(first, second)
	s.Replace(first, third) // comes too late
	if got, _ := s.Get("a"); got != second {
		t.Errorf("got %p, want %p", got, second)
	}
	s.Replace(first, nil)
	if _, ok := s.Get("a"); !ok {
		t.Error("removed by who knew only an older object")
	}
	s.Replace(second, nil)
	if _, ok := s.Get("a"); ok {
		t.Error("still there")
	}
	s.Replace(second, third)
	if _, ok := s.Get("a"); ok {
		t.Error("came back")
	}
}

func TestLimit(t *testing.T) {
	const limit = 1 << 20
	s := Open(limit)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				s.Put(object(fmt.Sprint(w, "/", i), 10_000))
				s.Get(cachekey.Key(fmt.Sprint(w, "/", i/2)))
			}
		})
	}
	wg.Wait()
	s.Get("none")
	if st := s.Stats(); st.Bytes > limit || st.Objects == 0 || st.Evictions == 0 {
		t.Errorf("Stats = %+v", st)
	}
}

func TestOffer(t *testing.T) {
	s := Open(1 << 16)
	var asked *Object
	stays := func(answer bool) func(*Object) bool {
		return func(now *Object) bool { asked = now; return answer }
	}
	first, second := &Object{Key: "k"}, &Object{Key: "k"}
	s.Offer(first, stays(true))
	if got, _ := s.Get("k"); got != first || asked != nil {
		t.Error("a free place is not taken")
	}
	s.Offer(second, stays(true))
	if got, _ := s.Get("k"); got != first || asked != first {
		t.Error("what stays is gone")
	}
	s.Offer(second, stays(false))
	if got, _ := s.Get("k"); got != second {
		t.Error("what need not stay is still there")
	}
	s.Offer(&Object{Key: "k", Size: s.MaxObject()}, stays(false))
	if _, ok := s.Get("k"); ok {
		t.Error("an object that is too large leaves the one that it replaces")
	}
	s.Offer(&Object{Key: "other", Size: s.MaxObject()}, stays(false))
	if s.Stats().Objects != 0 {
		t.Error("an object that is too large is kept")
	}
}
