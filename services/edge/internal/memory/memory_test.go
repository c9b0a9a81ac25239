// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// opened returns a Store that fills with 0xDE what becomes free, and is closed at the
// end of the test: so nobody holds a record then.
func opened(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	poison := bytes.Repeat([]byte{0xDE}, s.log.segmentSize)
	s.log.poison = func(b []byte) { copy(b, poison) }
	t.Cleanup(func() {
		check(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// check compares what a Store counts with what is there.
func check(t testing.TB, s *Store) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var total int64
	mapped := 0
	for i, g := range s.log.segments {
		if g.place == gone {
			continue
		}
		mapped++
		live := 0
		for off := 0; off < len(g.data); {
			b := g.block(off)
			if b.owner != 0 {
				live += int(b.size)
				if e := s.entries.at(b.owner); int(e.seg) != i || int(e.off) != off || e.size != b.size {
					t.Fatalf("block %d/%d of entry %d, which is %d bytes at %d/%d", i, off, b.owner, e.size, e.seg, e.off)
				}
			}
			off += int(b.size)
		}
		if live != g.live {
			t.Errorf("segment %d has %d live bytes, counts %d", i, live, g.live)
		}
		total += int64(live)
	}
	if total != s.log.live || mapped != s.log.mapped {
		t.Errorf("%d bytes in %d segments, counted are %d in %d", total, mapped, s.log.live, s.log.mapped)
	}
	n := 0
	for i := range s.index.shards {
		n += s.index.shards[i].n
	}
	if q := s.order.bytes(); s.holders() == 0 && (n != s.entries.n || q != s.log.live) {
		t.Errorf("%d entries, %d in the index; %d bytes, %d in queues", s.entries.n, n, s.log.live, q)
	}
}

// content makes bytes that tell of their key and version.
func content(key string, version, size int) []byte {
	b := bytes.Repeat([]byte(fmt.Sprintf("<%s %d>", key, version)), size/4+1)
	return b[:size]
}

func set(s *Store, key string, value []byte) bool {
	return s.Set([]byte(key), len(value), func(dst []byte) { copy(dst, value) })
}

// get returns a copy of what is stored.
func get(s *Store, key string) (string, bool) {
	r, ok := s.GetString(key)
	defer r.Release()
	if !ok {
		return "", false
	}
	return string(r.Bytes()), true
}

func TestSetGetDelete(t *testing.T) {
	s := opened(t, Config{Limit: 8 << 20})
	if _, ok := get(s, "a"); ok {
		t.Error("an empty store has a record")
	}
	for i, v := range []string{"one", "", "three"} {
		if !set(s, "a", []byte(v)) {
			t.Fatalf("%d: not stored", i)
		}
		if got, ok := get(s, "a"); !ok || got != v {
			t.Errorf("%d: got %q, %v, want %q", i, got, ok, v)
		}
	}
	if !s.Delete([]byte("a")) || s.Delete([]byte("a")) {
		t.Error("Delete says wrong things")
	}
	if _, ok := get(s, "a"); ok {
		t.Error("a deleted record is there")
	}
	set(s, "", []byte("no key"))
	if got, _ := get(s, ""); got != "no key" {
		t.Errorf("the empty key has %q", got)
	}
	st := s.Stats()
	if st.Hits != 4 || st.Misses != 2 || st.EvictedReplaced != 2 || st.EvictedDeleted != 1 || st.Records != 1 || st.Held != 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []Config{{}, {Limit: -1}, {Limit: 1 << 20, MaxRecord: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestTooLargeIsRefused(t *testing.T) {
	s := opened(t, Config{Limit: 32 << 20, MaxRecord: 1000})
	for _, tt := range []struct {
		key, size int
		want      bool
	}{{10, 990, true}, {10, 991, false}, {1000, 0, true}, {1001, 0, false}, {0, -1, false}} {
		d, ok := s.Reserve([]byte(strings.Repeat("k", tt.key)), tt.size)
		d.Discard()
		if ok != tt.want {
			t.Errorf("key %d, size %d: %v, want %v", tt.key, tt.size, ok, tt.want)
		}
	}
	if st := s.Stats(); st.RefusedSize != 3 || st.Live != 0 {
		t.Errorf("stats: %+v", st)
	}
}

// A record that was replaced, deleted or pushed out stays for who holds it, and its
// bytes count until then.
func TestHeldRecordsStay(t *testing.T) {
	s := opened(t, Config{Limit: 1 << 20})
	want := string(content("held", 1, 3000))
	for _, tt := range []struct {
		name string
		end  func()
		gone bool
	}{
		{"replaced", func() { set(s, "held", content("held", 2, 3000)) }, true},
		{"deleted", func() { s.Delete([]byte("held")) }, true},
		{"room is needed", func() {}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set(s, "held", []byte(want))
			r, ok := s.GetString("held")
			if !ok {
				t.Fatal("not stored")
			}
			second := r.Retain()
			tt.end()
			if r.Stored() == tt.gone {
				t.Errorf("Stored says %v", r.Stored())
			}
			for i := range 5000 {
				set(s, fmt.Sprint(i), content("other", i, 1000))
			}
			if string(r.Key()) != "held" || string(r.Bytes()) != want {
				t.Error("the record has changed")
			}
			if held := s.Stats().Held; (held > 0) != tt.gone {
				t.Errorf("%d bytes are held", held)
			}
			r.Release()
			r.Release() // of nothing
			if string(second.Bytes()) != want {
				t.Error("the record has gone with its first holder")
			}
			second.Release()
			if held := s.Stats().Held; held != 0 {
				t.Errorf("%d bytes are held by nobody", held)
			}
		})
	}
}

func TestSwap(t *testing.T) {
	s := opened(t, Config{Limit: 8 << 20})
	draft := func(v string) Draft {
		d, ok := s.Reserve([]byte("k"), len(v))
		if !ok {
			t.Fatal("no room")
		}
		copy(d.Bytes(), v)
		return d
	}
	first := draft("first")
	r1, ok := first.Swap(Ref{})
	if !ok {
		t.Fatal("an absent record is not taken for absent")
	}
	second := draft("second")
	if _, ok := second.Swap(Ref{}); ok {
		t.Error("a record is taken for absent")
	}
	r2, ok := second.Swap(r1)
	if !ok {
		t.Error("the record of the key is not recognised")
	}
	third := draft("third")
	if _, ok := third.Swap(r1); ok {
		t.Error("a record that was replaced is taken for that of the key")
	}
	if string(third.Bytes()) != "third" {
		t.Error("a draft that failed has changed")
	}
	third.Discard()
	if s.Remove(r1, Deleted) {
		t.Error("a record that was replaced could be removed")
	}
	if !s.Remove(r2, Invalidated) || s.Remove(r2, Invalidated) {
		t.Error("Remove says wrong things")
	}
	r1.Release()
	r2.Release()
	if st := s.Stats(); st.EvictedInvalidated != 1 || st.Records != 0 || st.Live != 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestWordsAreShared(t *testing.T) {
	s := opened(t, Config{Limit: 8 << 20})
	d, _ := s.Reserve([]byte("k"), 3)
	copy(d.Bytes(), "abc")
	d.Word(1).Store(7)
	a := d.Put()
	b, _ := s.GetString("k")
	b.Word(0).Store(1 << 63)
	if a.Word(0).Load() != 1<<63 || a.Word(1).Load() != 7 || string(a.Bytes()) != "abc" || !a.Same(b) {
		t.Error("words are not shared")
	}
	a.Release()
	b.Release()
}

// Whatever is stored, all that is taken stays within the limit.
func TestLimit(t *testing.T) {
	for _, limit := range []int64{1, 1 << 20, 10 << 20} {
		for _, size := range []int{0, 100, 1500, 20_000} {
			told := 0
			tell := func(Ref) { told++ }
			for _, c := range []Config{{Limit: limit}, {Limit: limit, Evicted: tell}} {
				t.Run(fmt.Sprintf("%d, records of %d, told %v", limit, size, c.Evicted != nil), func(t *testing.T) {
					testLimit(t, opened(t, c), size)
				})
			}
			if (told > 0) != (size > 1500 || (size > 100 && limit < 10<<20) || limit == 1) {
				t.Errorf("limit %d, records of %d: told of %d evictions", limit, size, told)
			}
		}
	}
}

func testLimit(t *testing.T, s *Store, size int) {
	random := rand.New(rand.NewPCG(1, 2))
	stored := 0
	for i := range 3000 {
		n := random.IntN(2*size + 1)
		if set(s, fmt.Sprint(i), content("", i, n)) {
			stored++
		} else if n < s.MaxRecord()/2 {
			t.Fatalf("%d bytes are not taken", n)
		}
		if i%100 == 0 {
			get(s, fmt.Sprint(random.IntN(i+1)))
		}
		if st := s.Stats(); st.Bytes > st.Limit {
			t.Fatalf("after %d: %d bytes are taken, limit %d", i, st.Bytes, st.Limit)
		}
	}
	if st := s.Stats(); int(st.Records+st.EvictedRoom) != stored {
		t.Errorf("%d stored, but %+v", stored, st)
	}
}

// A lower limit holds at once, and what is above it is given back; a higher one is used.
func TestSetLimit(t *testing.T) {
	s := opened(t, Config{Limit: 16 << 20})
	fill := func() Stats {
		for i := range 20_000 {
			set(s, fmt.Sprint(i), content("", i, 1000))
		}
		return s.Stats()
	}
	before := fill()
	for _, limit := range []int64{8 << 20, 4 << 20, 12 << 20} {
		s.SetLimit(limit)
		if st := s.Stats(); st.Bytes > limit || st.Limit != limit {
			t.Errorf("limit %d: %+v", limit, st)
		}
		if st := fill(); st.Bytes > limit || st.Bytes < limit/2 || st.Records == 0 {
			t.Errorf("limit %d, when full: %+v, before %+v", limit, st, before)
		}
	}
	for i := range 20_000 {
		s.Delete([]byte(fmt.Sprint(i)))
	}
	if st := s.Stats(); st.Live != 0 || st.Bytes > 5<<20 {
		t.Errorf("when all is deleted: %+v", st)
	}
}

// When all is held nothing is taken, and all goes on when it is not held any more.
func TestAllIsHeld(t *testing.T) {
	s := opened(t, Config{Limit: 1 << 20})
	var held []Ref
	for i := range 5000 {
		key := fmt.Sprint(i)
		if set(s, key, content(key, i, 1000)) {
			r, _ := s.GetString(key)
			held = append(held, r)
		}
	}
	if st := s.Stats(); st.RefusedRoom == 0 || st.Bytes > st.Limit || st.EvictedRoom > 0 {
		t.Errorf("all is held: %+v", st)
	}
	for i := range held {
		held[i].Release()
	}
	if !set(s, "next", []byte("next")) {
		t.Error("nothing is held, but nothing is taken")
	}
}

func TestKeysAreWhole(t *testing.T) {
	s := opened(t, Config{Limit: 1 << 20})
	set(s, "key 1", []byte("x"))
	for _, key := range []string{"key 2", "key", "key 11", ""} {
		if r, ok := s.Peek([]byte(key)); ok {
			t.Errorf("%q finds %q", key, r.Key())
		}
	}
}
