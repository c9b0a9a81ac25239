// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A hit allocates nothing, and neither does a miss.
func TestAllocations(t *testing.T) {
	s := opened(t, Config{Limit: 1 << 20})
	key := []byte("https://example.org/a/page?with=a&query=string")
	set(s, string(key), make([]byte, 1000))
	missing := []byte("https://example.org/another")
	if n := testing.AllocsPerRun(1000, func() {
		r, ok := s.Get(key)
		if !ok || len(r.Bytes()) != 1000 || r.Word(0).Load() != 0 {
			t.Fatal("not there")
		}
		r.Release()
		if _, ok := s.Get(missing); ok {
			t.Fatal("there")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func benchmarkStore(b *testing.B, limit int64, keys int) (*Store, [][]byte) {
	s, err := New(Config{Limit: limit})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	all := make([][]byte, keys)
	for i := range all {
		all[i] = fmt.Appendf(nil, "https://example.org/section/%d/page-%d.html", i%100, i)
		s.Set(all[i], 1000, func([]byte) {})
	}
	return s, all
}

func BenchmarkHit(b *testing.B) {
	for _, keys := range []int{1, 100_000} {
		b.Run(strconv.Itoa(keys), func(b *testing.B) {
			s, all := benchmarkStore(b, 256<<20, keys)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r, _ := s.Get(all[i*7919%keys])
				r.Release()
			}
		})
	}
}

func BenchmarkHitOneKeyParallel(b *testing.B) {
	s, all := benchmarkStore(b, 16<<20, 1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := s.Get(all[0])
			r.Release()
		}
	})
}

func BenchmarkMiss(b *testing.B) {
	s, _ := benchmarkStore(b, 256<<20, 100_000)
	key := []byte("https://example.org/nothing")
	for b.Loop() {
		s.Get(key)
	}
}

// BenchmarkSetFull stores into a full store: each record pushes one out.
func BenchmarkSetFull(b *testing.B) {
	s, all := benchmarkStore(b, 64<<20, 200_000)
	value := make([]byte, 1000)
	b.ReportAllocs()
	b.SetBytes(1000)
	for i := 0; b.Loop(); i++ {
		s.Set(all[i%len(all)], len(value), func(dst []byte) { copy(dst, value) })
	}
}

// BenchmarkMillion tells what a million records of 1,000 bytes take in all.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		before := anonymous(b)
		s, _ := benchmarkStore(b, 4<<30, 1_000_000)
		st := s.Stats()
		if st.Records != 1_000_000 {
			b.Fatalf("%+v", st)
		}
		b.ReportMetric(float64(st.Bytes)/1e6, "counted/record")
		b.ReportMetric(float64(anonymous(b)-before)/1e6, "anonymous/record")
	}
}

// anonymous returns how many bytes of memory of this process are backed by no file.
func anonymous(b *testing.B) int64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(raw), "RssAnon:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		b.Skip("the system does not tell")
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n << 10
}
