// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// model is what a Store may answer: the latest record of a key, or nothing.
type model struct {
	t      testing.TB
	s      *Store
	latest map[string]string
	held   []Ref
	wants  []string // what held has
	n      int
}

// step does one thing, chosen by op, with a key and a size chosen by arg.
func (m *model) step(op, arg byte, size int) {
	key := fmt.Sprint("key ", arg)
	switch op % 8 {
	case 0, 1:
		m.n++
		value := content(key, m.n, size)
		if set(m.s, key, value) {
			m.latest[key] = string(value)
		}
	case 2:
		m.s.Delete([]byte(key))
		delete(m.latest, key)
	case 3:
		if r, ok := m.s.GetString(key); ok {
			m.held, m.wants = append(m.held, r), append(m.wants, string(r.Bytes()))
		}
	case 4:
		m.release(int(arg))
	case 5:
		m.swap(key, size)
	case 6:
		m.s.SetLimit(int64(arg) << 13)
	case 7:
		if d, ok := m.s.Reserve([]byte(key), size); ok {
			copy(d.Bytes(), content(key, -1, size))
			d.Discard()
		}
	}
	m.look(key)
}

// swap replaces what a held record stands for, if it still does.
func (m *model) swap(key string, size int) {
	d, ok := m.s.Reserve([]byte(key), size)
	if !ok {
		return
	}
	m.n++
	value := content(key, m.n, size)
	copy(d.Bytes(), value)
	var old Ref
	for _, r := range m.held {
		if string(r.Key()) == key {
			old = r
		}
	}
	is, _ := m.s.Peek([]byte(key))
	want := is.Same(old)
	is.Release()
	r, done := d.Swap(old)
	if done != want {
		m.t.Fatalf("Swap says %v, want %v", done, want)
	}
	if done {
		m.latest[key] = string(value)
	}
	r.Release()
	d.Discard()
}

func (m *model) release(i int) {
	if len(m.held) == 0 {
		return
	}
	i %= len(m.held)
	m.held[i].Release()
	m.held, m.wants = slices.Delete(m.held, i, i+1), slices.Delete(m.wants, i, i+1)
}

// look compares what there is of a key, and what is held.
func (m *model) look(key string) {
	if got, ok := get(m.s, key); ok && got != m.latest[key] {
		m.t.Fatalf("%s has %.40q, want %.40q", key, got, m.latest[key])
	}
	for i, r := range m.held {
		if string(r.Bytes()) != m.wants[i] {
			m.t.Fatalf("what is held of %s has changed to %.40q", r.Key(), r.Bytes())
		}
	}
	if st := m.s.Stats(); st.Held > st.Live || st.Live < 0 || st.Held < 0 {
		m.t.Fatalf("stats: %+v", st)
	}
}

func (m *model) end() {
	for len(m.held) > 0 {
		m.release(0)
	}
	seen := 0
	m.s.Range(func(r Ref) bool {
		seen++
		if string(r.Bytes()) != m.latest[string(r.Key())] {
			m.t.Errorf("Range has %.40q of %s", r.Bytes(), r.Key())
		}
		return true
	})
	if st := m.s.Stats(); st.Held != 0 || int(st.Records) != seen {
		m.t.Errorf("at the end Range saw %d: %+v", seen, st)
	}
}

// sizeOf makes many small sizes and a few large ones.
func sizeOf(x, most int) int { return (x * x * x >> 16) % most }

func TestModel(t *testing.T) {
	for _, limit := range []int64{MinLimit, 1 << 20, 2 << 20} {
		for seed := range uint64(3) {
			random := rand.New(rand.NewPCG(seed, uint64(limit)))
			m := &model{t: t, s: opened(t, Config{Limit: limit}), latest: map[string]string{}}
			for range 1500 {
				op := byte(random.IntN(8))
				if op == 6 && random.IntN(20) > 0 {
					op = 0
				}
				m.step(op, byte(random.IntN(256)), sizeOf(random.IntN(4096), 20_000))
			}
			m.end()
		}
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte("0a10b2 3a44a05a86a37a5"))
	f.Add([]byte{0, 1, 255, 3, 1, 0, 6, 1, 0, 5, 1, 200, 4, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := &model{t: t, s: opened(t, Config{Limit: 1 << 20}), latest: map[string]string{}}
		for ; len(ops) >= 3; ops = ops[3:] {
			m.step(ops[0], ops[1], int(ops[2])*60)
		}
		m.end()
	})
}

// Many at once: every record that anybody ever sees is whole, and of its key.
func TestConcurrent(t *testing.T) {
	var demoted sync.Map
	for _, c := range []Config{
		{Limit: 1 << 20},
		{Limit: 1 << 20, Evicted: func(r Ref) {
			if !whole(r.Key(), r.Bytes()) || r.Stored() {
				t.Errorf("%s goes with %.60q", r.Key(), r.Bytes())
			}
			demoted.Store(string(r.Key()), len(r.Bytes()))
		}},
	} {
		s := opened(t, c)
		var wg sync.WaitGroup
		for worker := range uint64(6) {
			wg.Go(func() { work(t, s, rand.New(rand.NewPCG(worker, 1))) })
		}
		wg.Wait()
		if st := s.Stats(); st.Held != 0 || st.EvictedRoom == 0 {
			t.Errorf("at the end: %+v", st)
		}
	}
	n := 0
	demoted.Range(func(_, _ any) bool { n++; return true })
	if n == 0 {
		t.Error("nobody was told of evictions")
	}
}

// whole says whether bytes are content of that key, whatever the version.
func whole(key, bytes []byte) bool {
	first := content(string(key), 0, len(bytes))
	for i := range min(len(key)+2, len(bytes)) {
		if bytes[i] != first[i] {
			return false
		}
	}
	period := slices.Index(bytes, '>') + 1
	for i := period; period > 0 && i < len(bytes); i++ {
		if bytes[i] != bytes[i-period] {
			return false
		}
	}
	return true
}

func work(t *testing.T, s *Store, random *rand.Rand) {
	const keys = 400
	var held []Ref
	for i := range 2500 {
		key := fmt.Sprint("key ", random.IntN(keys))
		switch random.IntN(10) {
		case 0, 1, 2:
			set(s, key, content(key, i, sizeOf(random.IntN(4096), 16_000)))
		case 3:
			s.Delete([]byte(key))
		case 4:
			if r, ok := s.GetString(key); ok {
				if d, ok := s.Reserve([]byte(key), 500); ok {
					copy(d.Bytes(), content(key, i, 500))
					next, _ := d.Swap(r)
					next.Release()
					d.Discard()
				}
				r.Word(0).Add(1)
				s.Remove(r, Invalidated)
				r.Release()
			}
		case 5:
			if random.IntN(50) == 0 {
				s.SetLimit(int64(1+random.IntN(2)) << 20)
				s.Range(func(r Ref) bool { return whole(r.Key(), r.Bytes()) })
			}
		default:
			if r, ok := s.GetString(key); ok {
				held = append(held, r)
			}
		}
		for _, r := range held {
			if !whole(r.Key(), r.Bytes()) {
				t.Errorf("%s has %.60q", r.Key(), r.Bytes())
			}
		}
		if len(held) > random.IntN(16) {
			for j := range held {
				held[j].Release()
			}
			held = held[:0]
		}
	}
	for j := range held {
		held[j].Release()
	}
}
